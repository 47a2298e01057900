//! Rules that no kernel would give, on packets that no stack would show: no panic, no endless walk.

use super::*;

fn number(random: &mut Random) -> u32 {
    match random.below(6) {
        0 => u32::MAX - random.below(40) as u32,
        1 => random.below(1 << 32) as u32,
        _ => random.below(40) as u32,
    }
}

fn register(random: &mut Random) -> Register {
    Register(if random.below(20) == 0 { random.below(256) as u8 } else { random.below(16) as u8 })
}

fn bytes(random: &mut Random) -> Vec<u8> {
    (0..random.below(70)).map(|_| random.below(256) as u8).collect()
}

fn load(random: &mut Random) -> Expression {
    let bases = [PayloadBase::Link, PayloadBase::Network, PayloadBase::Transport, PayloadBase::Inner];
    let headers = [ExtensionHeader::Ipv6, ExtensionHeader::TcpOption, ExtensionHeader::Ipv4Option];
    let (offset, length, register) = (number(random), number(random), register(random));
    match random.below(6) {
        0 | 1 => Expression::Payload { base: bases[random.below(4) as usize], offset, length, register },
        2 => Expression::Meta { key: MetaKey::Mark, register },
        3 => Expression::Fib { result: FibResult::OutputName, flags: offset, register },
        4 => Expression::Immediate { data: bytes(random), register },
        _ => {
            let (header, kind) = (headers[random.below(3) as usize], random.below(64) as u8);
            Expression::ExtensionHeader { header, kind, offset, length, present: false, register }
        }
    }
}

fn change(random: &mut Random) -> Expression {
    let (source, destination, length) = (register(random), register(random), number(random));
    let operation = match random.below(4) {
        0 => BitwiseOperation::Boolean { mask: bytes(random), xor: bytes(random) },
        1 => BitwiseOperation::ShiftLeft(number(random)),
        2 => BitwiseOperation::ShiftRight(number(random)),
        _ => BitwiseOperation::Xor(register(random)),
    };
    match random.below(4) {
        0 => Expression::ByteOrder { source, destination, length, size: number(random), to_host: true },
        1 => Expression::MetaSet { key: MetaKey::Mark, register: source },
        2 => Expression::PayloadSet { base: PayloadBase::Network, offset: number(random), length, register: source },
        _ => Expression::Bitwise { source, destination, length, operation },
    }
}

fn end(random: &mut Random) -> Expression {
    let register = register(random);
    match random.below(6) {
        0 => Expression::Compare { register, operator: Operator::Less, data: bytes(random) },
        1 => Expression::Compare { register, operator: Operator::Equal, data: bytes(random) },
        2 => Expression::Range { register, negated: false, from: bytes(random), to: bytes(random) },
        3 => Expression::Lookup { set: "s".into(), register, map: None, negated: false },
        4 => {
            let address = Some((register, register));
            Expression::Nat { kind: NatKind::Destination, family: 2, address, port: address, flags: 0 }
        }
        _ => Expression::Verdict(Verdict::Drop),
    }
}

fn packet(random: &mut Random) -> Packet {
    let at = |random: &mut Random| (random.below(4) != 0).then(|| number(random) as usize);
    Packet {
        ethertype: if random.below(2) == 0 { ETH_P_IP } else { ETH_P_IPV6 },
        bytes: bytes(random),
        link: at(random),
        network: at(random),
        transport: at(random),
        length: at(random).map(|length| length as u32),
        protocol: Some(if random.below(2) == 0 { 6 } else { 17 }),
        vlan: Some(1).filter(|_| random.below(3) == 0),
        mark: if random.below(2) == 0 { Mark::Before(number(random)) } else { Mark::After(number(random)) },
        ..tcp()
    }
}

#[test]
fn senseless_rules_and_packets_never_panic() {
    let mut random = Random(0x0123_4567_89ab_cdef);
    for _ in 0..50_000 {
        let key_type = number(&mut random);
        let from = bytes(&mut random);
        let end_of_range = bytes(&mut random);
        let elements = vec![element(&from, Some(&end_of_range), None), element(&bytes(&mut random), None, None)];
        let length = number(&mut random);
        let mut firewall = Firewall::default().table(Backend::Nft, Family::Inet, "t").typed(
            ChainKind::Nat,
            "nat",
            Hook::Prerouting,
            -100,
            Policy::Accept,
        );
        firewall = firewall.set("s", key_type % 45, length, false, elements);
        if random.below(3) == 0 {
            firewall.ruleset.tables[0].sets[0].parts = (0..random.below(5)).map(|_| number(&mut random)).collect();
        }
        for _ in 0..3 {
            let rule = [load(&mut random), change(&mut random), load(&mut random), end(&mut random), end(&mut random)];
            firewall = firewall.rule(&[&rule]);
        }
        let walk = firewall.ask(&packet(&mut random), Hook::Prerouting);
        assert!(walk.steps.len() <= 6, "three rules, walked at most twice");
    }
}
