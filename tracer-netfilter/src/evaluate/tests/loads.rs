//! What expressions load of the packet and the node, and when they end a rule because there is nothing to load.

use super::Policy::Accept;
use super::*;

/// Whether a rule of these expressions matches.
fn matches(packet: &Packet, expressions: &[Expression]) -> String {
    told(&Firewall::input(Accept), packet, expressions, Hook::Input)
}

fn told(firewall: &Firewall, packet: &Packet, expressions: &[Expression], hook: Hook) -> String {
    let rule = Rule { number: 1, handle: None, comment: None, counter: None, expressions: expressions.to_vec() };
    let mut firewall = Firewall {
        ruleset: firewall.ruleset.clone(),
        routes: firewall.routes.clone(),
        kinds: firewall.kinds.clone(),
        ..Firewall::default()
    };
    for chain in &mut firewall.ruleset.tables[0].chains {
        chain.base.as_mut().unwrap().hook = hook;
    }
    let question = Question { packet, hook, layer: Layer::Ip, backend: None, verbose: true };
    let walk =
        walk_with(&firewall.ruleset, &question, &firewall, &|place| (place.number == 1).then(|| Ok(rule.clone())));
    let says = &walk.steps[0].says;
    match says.split_once(':') {
        Some(("matches", _)) => "yes".to_owned(),
        Some((before, _)) => before.replacen("hangs on ", "", 1),
        None => "no".to_owned(),
    }
}

/// Whether it loads exactly this.
fn loads(packet: &Packet, load: Expression, data: &[u8]) -> String {
    matches(packet, &[load, is(data)])
}

fn name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(16, 0);
    bytes
}

#[test]
fn bytes_of_the_packet() {
    let packet = tcp();
    assert_eq!(loads(&packet, payload(PayloadBase::Network, 9, 1), &[6]), "yes");
    assert_eq!(loads(&packet, payload(PayloadBase::Transport, 0, 4), &[0x0f, 0xa0, 0, 22]), "yes");
    assert_eq!(loads(&packet, payload(PayloadBase::Link, 12, 2), &[8, 0]), "yes");
    // Behind the end there is nothing, not even something unequal.
    assert_eq!(matches(&packet, &[payload(PayloadBase::Transport, 20, 1), cmp(Operator::NotEqual, &[0])]), "no");
    assert_eq!(matches(&packet, &[payload(PayloadBase::Inner, 0, 1), cmp(Operator::NotEqual, &[0])]), "no");
    let longer = Packet { length: Some(100), ..tcp() };
    assert_eq!(loads(&longer, payload(PayloadBase::Inner, 0, 1), &[0]), "bytes of the packet that were not kept");
    let fragment = Packet { fragment_offset: 8, ..tcp() };
    let ports = loads(&fragment, payload(PayloadBase::Transport, 0, 2), &[0x0f, 0xa0]);
    assert_eq!(ports, "what this kernel takes for the ports of a later fragment");
    assert_eq!(matches(&fragment, &[payload(PayloadBase::Transport, 0, 6)]), "no");
    let bare = Packet { link: None, ..tcp() };
    assert_eq!(matches(&bare, &[payload(PayloadBase::Link, 0, 6)]), "no");
    // Two bytes of four are known, and differ.
    let cut = Packet { bytes: tcp().bytes[..36].to_vec(), ..tcp() };
    assert_eq!(loads(&cut, payload(PayloadBase::Transport, 0, 4), &[9, 9, 0, 22]), "no");
    let not_kept = loads(&cut, payload(PayloadBase::Transport, 0, 4), &[0x0f, 0xa0, 0, 22]);
    assert_eq!(not_kept, "bytes of the packet that were not kept");
}

#[test]
fn a_tag_stands_where_it_was_taken_off() {
    let packet = Packet { vlan: Some(5), ..tcp() };
    assert_eq!(loads(&packet, payload(PayloadBase::Link, 12, 6), &[0x81, 0, 0, 5, 8, 0]), "yes");
    assert_eq!(loads(&packet, payload(PayloadBase::Link, 18, 2), &[0x45, 0]), "yes");
    assert_eq!(loads(&packet, payload(PayloadBase::Network, 0, 2), &[0x45, 0]), "yes");
}

#[test]
fn what_surrounds_the_packet() {
    let packet = tcp();
    for (key, data) in [
        (MetaKey::Length, 40_u32.to_ne_bytes().to_vec()),
        (MetaKey::Protocol, vec![8, 0]),
        (MetaKey::NfProtocol, vec![2]),
        (MetaKey::TransportProtocol, vec![6]),
        (MetaKey::InputIndex, 1_u32.to_ne_bytes().to_vec()),
        (MetaKey::OutputIndex, vec![0; 4]),
        (MetaKey::InputName, name("eth1")),
        (MetaKey::OutputName, name("")),
        (MetaKey::InputType, 1_u16.to_ne_bytes().to_vec()),
        (MetaKey::InputKind, name("veth")),
        (MetaKey::PacketType, vec![0]),
        (MetaKey::BridgeInputName, name("")),
    ] {
        assert_eq!(loads(&packet, meta(key), &data), "yes", "{key:?}");
    }
    assert_eq!(matches(&packet, &[meta(MetaKey::InputName), is(b"eth")]), "yes", "`eth*` compares only three bytes");
    // There is no output device: its index is 0, but it has no type.
    assert_eq!(matches(&packet, &[meta(MetaKey::OutputType), cmp(Operator::NotEqual, &[9, 9])]), "no");
    assert_eq!(matches(&packet, &[meta(MetaKey::SocketUser), cmp(Operator::NotEqual, &[9; 4])]), "no");
    let socket = Socket { user: Some(1000), group: None, cgroup: None };
    let sent = Packet { socket: Known::Is(socket), ..tcp() };
    assert_eq!(loads(&sent, meta(MetaKey::SocketUser), &1000_u32.to_ne_bytes()), "yes");
    assert_eq!(loads(&sent, meta(MetaKey::SocketGroup), &[0; 4]), "the group of the socket");
    let unseen = Packet { input: Known::Unknown, ..tcp() };
    assert_eq!(loads(&unseen, meta(MetaKey::InputName), &name("eth1")), "the input device");
    assert_eq!(loads(&packet, meta(MetaKey::Random), &[0; 4]), "a random number");
    let day = [meta(MetaKey::DayOfWeek), cmp(Operator::Less, &[7])];
    assert_eq!(matches(&packet, &day), "yes");
}

#[test]
fn connections() {
    let ct = |key, direction| Expression::Conntrack { key, direction, register: R };
    let state = |packet: &Packet, bit: u32| loads(packet, ct(CtKey::State, None), &bit.to_ne_bytes());
    let with = |state| {
        let tuple = Tuple {
            source: ip("10.0.0.1"),
            destination: ip("10.9.9.9"),
            source_port: 4000,
            destination_port: 80,
            protocol: 6,
        };
        let connection =
            Connection { state, is_reply: true, mark: Some(7), status: Some(0x2a), original: Some(tuple), reply: None };
        Packet { connection: Known::Is(connection), ..tcp() }
    };
    for (kind, bit) in [
        (ConnectionState::Invalid, 1),
        (ConnectionState::Established, 2),
        (ConnectionState::Related, 4),
        (ConnectionState::New, 8),
        (ConnectionState::Untracked, 64),
    ] {
        assert_eq!(state(&with(kind), bit), "yes");
    }
    assert_eq!(state(&Packet { connection: Known::Absent, ..tcp() }, 1), "yes");
    assert_eq!(state(&Packet { connection: Known::Unknown, ..tcp() }, 1), "the state of its connection");
    let packet = with(ConnectionState::Established);
    assert_eq!(loads(&packet, ct(CtKey::Status, None), &0x2a_u32.to_ne_bytes()), "yes");
    assert_eq!(loads(&packet, ct(CtKey::Direction, None), &[1]), "yes");
    assert_eq!(loads(&packet, ct(CtKey::Mark, None), &7_u32.to_ne_bytes()), "yes");
    let original = Some(Direction::Original);
    assert_eq!(loads(&packet, ct(CtKey::DestinationIp, original), &[10, 9, 9, 9]), "yes");
    assert_eq!(loads(&packet, ct(CtKey::DestinationPort, original), &[0, 80]), "yes");
    assert_eq!(matches(&packet, &[ct(CtKey::SourceIp6, original), cmp(Operator::NotEqual, &[0; 16])]), "no");
    assert_eq!(loads(&packet, ct(CtKey::SourceIp, Some(Direction::Reply)), &[0; 4]), "the addresses of its connection");
    let invalid = with(ConnectionState::Invalid);
    assert_eq!(matches(&invalid, &[ct(CtKey::Status, None), cmp(Operator::NotEqual, &[9; 4])]), "no");
}

#[test]
fn routes() {
    let fib = |flags| Expression::Fib { result: FibResult::OutputIndex, flags, register: R };
    let mut firewall = Firewall::input(Accept);
    firewall.routes.insert(ip("10.0.0.1"), RouteAnswer { output: 1, kind: 1 });
    firewall.kinds.insert(ip("10.0.0.2"), 2);
    let missing = [fib(1 | 8), is(&[0; 4])];
    let tell = |firewall: &Firewall, packet: &Packet| told(firewall, packet, &missing, Hook::Prerouting);
    assert_eq!(tell(&firewall, &tcp()), "no", "the way back is by eth1");
    let other = Packet { input: Known::Is(device(2, "eth2")), ..tcp() };
    assert_eq!(tell(&firewall, &other), "yes", "it came by another device");
    let looped = Packet { input: Known::Is(device(2, "lo")), ..tcp() };
    assert_eq!(tell(&firewall, &looped), "no");
    assert_eq!(tell(&Firewall::input(Accept), &tcp()), "the route to 10.0.0.1");
    let present = [fib(1 | 8 | 32), is(&1_u32.to_ne_bytes())];
    assert_eq!(told(&firewall, &tcp(), &present, Hook::Prerouting), "yes");
    let local = [Expression::Fib { result: FibResult::AddressType, flags: 2, register: R }, is(&2_u32.to_ne_bytes())];
    assert_eq!(told(&firewall, &tcp(), &local, Hook::Prerouting), "yes");
}

#[test]
fn options_and_extension_headers() {
    let header = |header, kind, offset, length, present| Expression::ExtensionHeader {
        header,
        kind,
        offset,
        length,
        present,
        register: R,
    };
    let mss = header(ExtensionHeader::TcpOption, 2, 2, 2, false);
    assert_eq!(matches(&tcp(), std::slice::from_ref(&mss)), "no", "it has no options");
    let mut packet = tcp();
    packet.bytes[46] = 0x60;
    packet.bytes.extend([2, 4, 5, 0xb4]);
    packet.length = Some(44);
    assert_eq!(loads(&packet, mss.clone(), &[5, 0xb4]), "yes");
    packet.bytes.truncate(54);
    assert_eq!(loads(&packet, mss, &[5, 0xb4]), "its TCP options");
    let is_there = |kind| header(ExtensionHeader::TcpOption, kind, 0, 1, true);
    assert_eq!(loads(&tcp(), is_there(2), &[0; 4]), "yes");
    let mut six = Packet { ethertype: ETH_P_IPV6, bytes: vec![0; 60], network: Some(0), transport: Some(48), ..tcp() };
    six.bytes[6] = 44;
    six.bytes[40] = 6;
    six.length = Some(60);
    let mut inet = Firewall::default().table(Backend::Nft, Family::Inet, "t").base("input", Hook::Input, 0, Accept);
    inet.rules.clear();
    let fragment = [header(ExtensionHeader::Ipv6, 44, 0, 1, true), is(&1_u32.to_ne_bytes())];
    assert_eq!(told(&inet, &six, &fragment, Hook::Input), "yes");
    let routing = [header(ExtensionHeader::Ipv6, 43, 0, 1, true), is(&1_u32.to_ne_bytes())];
    assert_eq!(told(&inet, &six, &routing, Hook::Input), "no");
}

#[test]
fn what_has_been_counted_is_not_known() {
    let object = |kind| vec![Expression::Object { kind, name: "x".into() }];
    for (expressions, what) in [
        (limit(), "the rate so far (limit)"),
        (quota(), "the amount so far (quota)"),
        (vec![Expression::ConnectionLimit { count: 1, over: true }], "the number of connections (ct count)"),
        (object(4), "the rate so far (limit)"),
        (object(1), "yes"),
        (vec![Expression::Counter(Counter::default())], "yes"),
    ] {
        assert_eq!(matches(&tcp(), &expressions), what);
    }
    let dynamic = |expressions| Expression::DynamicSet {
        set: "meter".into(),
        operation: DynamicOperation::Update,
        key: R,
        data: None,
        timeout_ms: None,
        inverted: false,
        expressions,
    };
    assert_eq!(matches(&tcp(), &[dynamic(vec![])]), "yes");
    assert_eq!(matches(&tcp(), &[dynamic(limit())]), "the rate so far (set meter)");
    let numgen = Expression::NumberGenerator { modulus: 2, random: true, offset: 0, register: R };
    assert_eq!(matches(&tcp(), &[numgen, is(&[0; 4])]), "a random number (numgen)");
}
