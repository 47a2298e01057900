//! Registers, comparisons, sets.

use super::Policy::Accept;
use super::*;

fn drops(expressions: &[Expression]) -> String {
    Firewall::input(Accept).rule(&[expressions, &drop()]).tell(&tcp(), Hook::Input)
}

const YES: &str = "input 1: Drop; Dropped";
const NO: &str = "Accepted";

fn immediate(data: &[u8]) -> Expression {
    Expression::Immediate { data: data.to_vec(), register: R }
}

fn shift(operation: BitwiseOperation, length: u32) -> Expression {
    Expression::Bitwise { source: R, destination: R, length, operation }
}

fn swap(length: u32, size: u32) -> Expression {
    Expression::ByteOrder { source: R, destination: R, length, size, to_host: true }
}

#[test]
fn comparisons_are_by_bytes() {
    let port = payload(PayloadBase::Transport, 2, 2);
    for (operator, data, told) in [
        (Operator::Equal, [0, 22], YES),
        (Operator::NotEqual, [0, 22], NO),
        (Operator::Less, [0, 23], YES),
        (Operator::Less, [0, 22], NO),
        (Operator::LessOrEqual, [0, 22], YES),
        (Operator::Greater, [0, 22], NO),
        (Operator::GreaterOrEqual, [0, 22], YES),
        (Operator::Greater, [0, 3], YES),
    ] {
        assert_eq!(drops(&[port.clone(), cmp(operator, &data)]), told, "{operator:?} {data:?}");
    }
    let range = |negated, from: [u8; 2], to: [u8; 2]| Expression::Range {
        register: R,
        negated,
        from: from.to_vec(),
        to: to.to_vec(),
    };
    assert_eq!(drops(&[port.clone(), range(false, [0, 20], [0, 22])]), YES);
    assert_eq!(drops(&[port.clone(), range(true, [0, 20], [0, 22])]), NO);
    assert_eq!(drops(&[port, range(false, [0, 23], [1, 0])]), NO);
}

#[test]
fn shifts_swaps_and_masks_are_the_kernels() {
    // Words hold numbers in this machine's order.
    let number = |value: u32| value.to_ne_bytes();
    assert_eq!(
        drops(&[immediate(&number(0x1234)), shift(BitwiseOperation::ShiftLeft(4), 4), is(&number(0x1_2340))]),
        YES
    );
    assert_eq!(
        drops(&[immediate(&number(0x1234)), shift(BitwiseOperation::ShiftRight(4), 4), is(&number(0x123))]),
        YES
    );
    // Over two words the first is the higher one.
    let two = [number(0x1), number(0x8000_0000)].concat();
    let left = [number(0x3), number(0)].concat();
    assert_eq!(drops(&[immediate(&two), shift(BitwiseOperation::ShiftLeft(1), 8), is(&left)]), YES);
    let right = [number(0), number(0xc000_0000)].concat();
    assert_eq!(drops(&[immediate(&two), shift(BitwiseOperation::ShiftRight(1), 8), is(&right)]), YES);
    assert_eq!(drops(&[immediate(&[1, 2, 3, 4]), swap(4, 4), is(&0x0102_0304_u32.to_ne_bytes())]), YES);
    assert_eq!(
        drops(&[
            immediate(&[1, 2, 3, 4]),
            swap(4, 2),
            is(&[0x0102_u16.to_ne_bytes(), 0x0304_u16.to_ne_bytes()].concat())
        ]),
        YES
    );
    assert_eq!(
        drops(&[immediate(&[1, 2, 3, 4, 5, 6, 7, 8]), swap(8, 8), is(&0x0102_0304_0506_0708_u64.to_ne_bytes())]),
        YES
    );
    let other = Register(8);
    let second = Expression::Immediate { data: number(0x0ff0).to_vec(), register: other };
    let with =
        |operation, result: u32| [immediate(&number(0x1234)), second.clone(), shift(operation, 4), is(&number(result))];
    assert_eq!(drops(&with(BitwiseOperation::And(other), 0x0230)), YES);
    assert_eq!(drops(&with(BitwiseOperation::Or(other), 0x1ff4)), YES);
    assert_eq!(drops(&with(BitwiseOperation::Xor(other), 0x1dc4)), YES);
}

#[test]
fn masked_bits_need_not_be_known() {
    let random = meta(MetaKey::Random);
    assert_eq!(drops(&[random.clone(), and(0, 5), is(&5_u32.to_ne_bytes())]), YES);
    assert_eq!(drops(&[random.clone(), and(0xf0, 0), is(&0x100_u32.to_ne_bytes())]), NO, "a bit that is masked away");
    assert_eq!(drops(&[random, and(0xf0, 0), is(&[0; 4])]), "input 1: Drop if a random number; Open");
}

fn set(elements: Vec<Element>) -> Firewall {
    Firewall::input(Accept).set("bl", 7, 4, false, elements)
}

#[test]
fn sets_say_which_element_decided() {
    let source = payload(PayloadBase::Network, 12, 4);
    let net = set(vec![element(&[10, 0, 0, 0], Some(&[10, 0, 0, 255]), None)]);
    let inside = net.rule(&[std::slice::from_ref(&source), &lookup("bl", None, false), &drop()]);
    let walk = inside.ask(&tcp(), Hook::Input);
    assert_eq!(walk.candidates[0].sets, ["10.0.0.1 is in set bl (10.0.0.0/24)"]);
    let range = set(vec![element(&[10, 0, 0, 1], Some(&[10, 0, 0, 3]), None)]);
    let walk =
        range.rule(&[std::slice::from_ref(&source), &lookup("bl", None, false), &drop()]).ask(&tcp(), Hook::Input);
    assert_eq!(walk.candidates[0].sets, ["10.0.0.1 is in set bl (10.0.0.1-10.0.0.3)"]);
    let outside = set(vec![element(&[10, 0, 1, 0], None, None)]);
    let negated = outside.rule(&[std::slice::from_ref(&source), &lookup("bl", None, true), &drop()]);
    let walk = negated.ask(&tcp(), Hook::Input);
    assert_eq!(walk.candidates[0].sets, ["10.0.0.1 is not in set bl"]);
    let unread = Firewall { elements: HashMap::new(), ..set(vec![]) };
    let unread = unread.rule(&[&[source], &lookup("bl", None, false), &drop()]);
    assert_eq!(unread.tell(&tcp(), Hook::Input), "input 1: Drop if the elements of set bl; Open");
}

#[test]
fn concatenations_are_named_part_by_part() {
    let key = [10, 0, 0, 1, 0, 22, 0, 0];
    let mut firewall = Firewall::input(Accept).set("pairs", 0x1cd, 8, false, vec![element(&key, None, None)]);
    firewall.ruleset.tables[0].sets[0].parts = vec![4, 2];
    let port = Expression::Payload { base: PayloadBase::Transport, offset: 2, length: 2, register: Register(5) };
    let firewall =
        firewall.rule(&[&[payload(PayloadBase::Network, 12, 4), port], &lookup("pairs", None, false), &drop()]);
    let walk = firewall.ask(&tcp(), Hook::Input);
    assert_eq!(walk.candidates[0].sets, ["10.0.0.1 . 22 is in set pairs"]);
}

#[test]
fn a_map_gives_a_mark() {
    let data = |value: u32| Some(ElementData::Value(value.to_ne_bytes().to_vec()));
    let map = Firewall::input(Accept).set("marks", 7, 4, true, vec![element(&[10, 0, 0, 1], None, data(0x99))]);
    let set = Expression::MetaSet { key: MetaKey::Mark, register: R };
    let firewall = map
        .rule(&[&[payload(PayloadBase::Network, 12, 4)], &lookup("marks", Some(MapTarget::Register(R)), false), &[set]])
        .rule(&[&mark(0x99, 0xff), &drop()]);
    assert_eq!(firewall.tell(&with_mark(Mark::Before(0)), Hook::Input), "input 2: Drop; Dropped");
}

#[test]
fn a_key_that_is_partly_known_can_be_in_no_set() {
    let cut = Packet { bytes: tcp().bytes[..28].to_vec(), ..tcp() };
    let with = |first: u8| {
        set(vec![element(&[first, 0, 0, 1], None, None)]).rule(&[
            &[payload(PayloadBase::Network, 12, 4)],
            &lookup("bl", None, false),
            &drop(),
        ])
    };
    assert_eq!(with(192).tell(&cut, Hook::Input), NO);
    assert_eq!(with(10).tell(&cut, Hook::Input), "input 1: Drop if bytes of the packet that were not kept; Open");
}

#[test]
fn bytes_that_a_rule_changed_are_not_known() {
    let change = Expression::PayloadSet { base: PayloadBase::Network, offset: 1, length: 1, register: R };
    let firewall = Firewall::input(Accept)
        .rule(&[&[immediate(&[8]), change]])
        .rule(&[&[payload(PayloadBase::Network, 0, 2), is(&[0x45, 0])], &drop()]);
    let hangs = "input 2: Drop if bytes that a rule on the way has changed; Open";
    assert_eq!(firewall.tell(&with_mark(Mark::Before(0)), Hook::Input), hangs);
    assert_eq!(firewall.tell(&tcp(), Hook::Input), "input 2: Drop; Dropped", "it was seen behind the change");
}
