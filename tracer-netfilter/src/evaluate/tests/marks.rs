//! Marks that rules set on the way and match on later.

use super::Policy::{Accept, Drop};
use super::*;

const MARK: &str = "the packet's mark on the way";
/// A match that can't be told, as that of a set that was not read.
fn selected() -> Vec<Expression> {
    [vec![payload(PayloadBase::Network, 12, 4)], lookup("pods", None, false)].concat()
}

/// Azure NPM: policies set the drop mark, and one rule drops by it.
fn azure() -> Firewall {
    Firewall::nft()
        .base("FORWARD", Hook::Forward, 0, Accept)
        .rule(&[&ct_state(8), &jump("AZURE-NPM")])
        .chain("AZURE-NPM")
        .rule(&[&jump("AZURE-NPM-INGRESS")])
        .rule(&[&mark(0x400, 0x400), &drop()])
        .rule(&[&jump("AZURE-NPM-EGRESS")])
        .rule(&[&jump("AZURE-NPM-ACCEPT")])
        .chain("AZURE-NPM-INGRESS")
        .rule(&[&selected(), &jump("AZURE-NPM-INGRESS-1")])
        .rule(&[&mark(0x400, 0x400), &drop()])
        .chain("AZURE-NPM-INGRESS-1")
        .rule(&[&dport(80), &jump("AZURE-NPM-INGRESS-ALLOW-MARK")])
        .rule(&[&set_mark(0x400, 0x400)])
        .chain("AZURE-NPM-INGRESS-ALLOW-MARK")
        .rule(&[&set_mark(0x200, 0x200)])
        .rule(&[&jump("AZURE-NPM-EGRESS")])
        .chain("AZURE-NPM-EGRESS")
        .rule(&[&mark(0x800, 0x800), &drop()])
        .rule(&[&mark(0x200, 0x200), &jump("AZURE-NPM-ACCEPT")])
        .chain("AZURE-NPM-ACCEPT")
        .rule(&[&accept()])
}

#[test]
fn azure_drops_by_the_mark_that_a_policy_has_set() {
    let ours = |elements| azure().set("pods", 7, 4, false, elements);
    let firewall = ours(vec![element(&[10, 0, 0, 1], None, None)]);
    let walk = firewall.ask(&with_mark(Mark::After(0x400)), Hook::Forward);
    assert_eq!(firewall.words(&walk), "AZURE-NPM-INGRESS 2: Drop; Dropped");
    let marks: Vec<String> = walk.candidates[0].marks.iter().map(|place| firewall.name(*place)).collect();
    assert_eq!(marks, ["AZURE-NPM-INGRESS-1 2"], "the policy's chain has set it");
    assert_eq!(walk.mark, Some(0x400));
    // A packet that was not seen.
    let before = with_mark(Mark::Before(0));
    assert_eq!(firewall.tell(&before, Hook::Forward), "AZURE-NPM-INGRESS 2: Drop; Dropped");
    let others = ours(vec![element(&[10, 9, 9, 9], None, None)]);
    assert_eq!(others.tell(&before, Hook::Forward), "Accepted");
}

#[test]
fn a_mark_that_no_rule_set_is_no_way_to_be_dropped() {
    // The policy would set 0x400, but the packet had no such mark when it was dropped.
    let firewall = azure().set("pods", 7, 4, false, vec![element(&[10, 0, 0, 1], None, None)]);
    let walk = firewall.ask(&with_mark(Mark::After(0)), Hook::Forward);
    assert_eq!(walk.outcome, Outcome::Open);
    assert!(walk.candidates.is_empty());
    assert_eq!(walk.unknown, ["rule 2 of chain AZURE-NPM-INGRESS in table ip t would drop it, but with another mark"]);
}

#[test]
fn the_mark_at_the_drop_tells_what_an_unread_set_does_not() {
    // The set was not read, so the policy's mark is only a possible one; but the packet had it at the end.
    let mut firewall = azure().set("pods", 7, 4, false, vec![]);
    firewall.elements.clear();
    assert_eq!(firewall.tell(&with_mark(Mark::After(0x400)), Hook::Forward), "AZURE-NPM-INGRESS 2: Drop; Dropped");
    assert_eq!(
        firewall.tell(&with_mark(Mark::Before(0)), Hook::Forward),
        format!("AZURE-NPM-INGRESS 2: Drop if {MARK}; AZURE-NPM 2: Drop if {MARK}; Open")
    );
}

/// Calico: an endpoint's chain clears the accept mark, asks each policy, and drops what none accepted.
fn calico(port: u16) -> Firewall {
    Firewall::nft()
        .base("FORWARD", Hook::Forward, 0, Accept)
        .rule(&[&jump("cali-FORWARD")])
        .chain("cali-FORWARD")
        .rule(&[&set_mark(0, 0xe0000)])
        .rule(&[&mark(0, 0x10000), &jump("cali-from-hep-forward")])
        .rule(&[&jump("cali-to-wl-dispatch")])
        .rule(&[&mark(0x10000, 0x10000), &accept()])
        .chain("cali-from-hep-forward")
        .chain("cali-to-wl-dispatch")
        .rule(&[&goto("cali-tw-cali1")])
        .rule(&[&drop()])
        .chain("cali-tw-cali1")
        .rule(&[&ct_state(6), &accept()])
        .rule(&[&ct_state(1), &drop()])
        .rule(&[&set_mark(0, 0x10000)])
        .rule(&[&set_mark(0, 0x20000)])
        .rule(&[&mark(0, 0x20000), &jump("cali-pi-1")])
        .rule(&[&mark(0x10000, 0x10000), &back()])
        .rule(&[&mark(0, 0x20000), &drop()])
        .chain("cali-pi-1")
        .rule(&[&dport(port), &set_mark(0x10000, 0x10000)])
        .rule(&[&mark(0x10000, 0x10000), &back()])
}

#[test]
fn calico_drops_what_no_policy_accepted() {
    let firewall = calico(80);
    let walk = firewall.ask(&with_mark(Mark::After(0)), Hook::Forward);
    assert_eq!(firewall.words(&walk), "cali-tw-cali1 7: Drop; Dropped");
    let path: Vec<String> = walk.candidates[0].path.iter().map(|place| firewall.name(*place)).collect();
    assert_eq!(path, ["FORWARD 1", "cali-FORWARD 3", "cali-to-wl-dispatch 1", "cali-tw-cali1 7"]);
    assert_eq!(firewall.name(walk.candidates[0].marks[0]), "cali-tw-cali1 4");
    assert_eq!(firewall.tell(&with_mark(Mark::After(0x8000)), Hook::Forward), "cali-tw-cali1 7: Drop; Dropped");
    assert_eq!(firewall.tell(&with_mark(Mark::Before(0)), Hook::Forward), "cali-tw-cali1 7: Drop; Dropped");
    assert_eq!(calico(22).tell(&with_mark(Mark::Before(0)), Hook::Forward), "Accepted");
}

#[test]
fn a_mark_set_at_an_earlier_hook_is_as_at_the_end() {
    let firewall = Firewall::input(Accept)
        .rule(&[&jump("KUBE-FIREWALL")])
        .chain("KUBE-FIREWALL")
        .rule(&[&mark(0x8000, 0x8000), &drop()]);
    assert_eq!(firewall.tell(&with_mark(Mark::After(0x8001)), Hook::Input), "KUBE-FIREWALL 1: Drop; Dropped");
    assert_eq!(firewall.tell(&with_mark(Mark::After(1)), Hook::Input), "Accepted");
    // Another rule behind drops too, but would not have left the mark as it was.
    let both = firewall.base("late", Hook::Input, 5, Drop);
    assert_eq!(both.tell(&with_mark(Mark::After(0x8000)), Hook::Input), "KUBE-FIREWALL 1: Drop; Dropped");
}

#[test]
fn two_stories_that_end_with_the_same_mark_are_both_told() {
    // Either it came with the mark, or the second rule set it.
    let firewall = Firewall::input(Drop).rule(&[&mark(1, 1), &drop()]).rule(&[&set_mark(1, 1)]);
    assert_eq!(
        firewall.tell(&with_mark(Mark::After(1)), Hook::Input),
        format!("input 1: Drop if {MARK}; input 0: Policy; Dropped")
    );
    assert_eq!(firewall.tell(&with_mark(Mark::Before(0)), Hook::Input), "input 0: Policy; Dropped");
    assert_eq!(firewall.tell(&with_mark(Mark::Before(1)), Hook::Input), "input 1: Drop; Dropped");
}

#[test]
fn a_bit_that_is_written_later_is_not_taken_from_the_end() {
    // By the mark at the end the packet comes to the second rule; but if the last rule set it, it was at the first.
    let firewall = Firewall::input(Accept)
        .rule(&[&mark(0, 1), &goto("other")])
        .rule(&[&drop()])
        .chain("other")
        .rule(&[&set_mark(1, 1)])
        .rule(&[&drop()]);
    assert_eq!(
        firewall.tell(&with_mark(Mark::After(1)), Hook::Input),
        format!("other 2: Drop if {MARK}; input 2: Drop if {MARK}; Dropped")
    );
    assert_eq!(firewall.tell(&with_mark(Mark::After(0)), Hook::Input), "Open");
    // Where there is only one place to be dropped, it was there either way.
    let one = Firewall::input(Drop).rule(&[&mark(0, 1), &accept()]).rule(&[&set_mark(1, 1)]);
    assert_eq!(one.tell(&with_mark(Mark::After(1)), Hook::Input), "input 0: Policy; Dropped");
}

#[test]
fn marks_by_shifts_flips_and_the_connection() {
    let shift = |operation| Expression::Bitwise { source: R, destination: R, length: 4, operation };
    let shifted = [
        vec![meta(MetaKey::Mark)],
        vec![shift(BitwiseOperation::ShiftRight(8)), and(0xff, 0), is(&4_u32.to_ne_bytes())],
    ]
    .concat();
    let firewall = Firewall::input(Accept).rule(&[&shifted, &drop()]);
    assert_eq!(firewall.tell(&with_mark(Mark::After(0x0001_0433)), Hook::Input), "input 1: Drop; Dropped");
    assert_eq!(firewall.tell(&with_mark(Mark::After(0x0001_0533)), Hook::Input), "Accepted");

    // `meta mark set meta mark xor 1` twice, and `ct mark set meta mark`, `meta mark set ct mark`.
    let flip = vec![meta(MetaKey::Mark), and(u32::MAX, 1), Expression::MetaSet { key: MetaKey::Mark, register: R }];
    let save = vec![meta(MetaKey::Mark), Expression::ConntrackSet { key: CtKey::Mark, direction: None, register: R }];
    let restore = vec![
        Expression::Conntrack { key: CtKey::Mark, direction: None, register: R },
        Expression::MetaSet { key: MetaKey::Mark, register: R },
    ];
    let chain = Firewall::input(Accept)
        .rule(&[&flip])
        .rule(&[&save])
        .rule(&[&set_mark(0xff, 0xff)])
        .rule(&[&restore])
        .rule(&[&mark(3, 0xff), &drop()]);
    assert_eq!(chain.tell(&with_mark(Mark::Before(2)), Hook::Input), "input 5: Drop; Dropped");
    assert_eq!(chain.tell(&with_mark(Mark::Before(3)), Hook::Input), "Accepted");
    let walk = chain.ask(&with_mark(Mark::Before(3)), Hook::Input);
    assert_eq!(walk.mark, Some(2));
}

#[test]
fn only_the_bits_that_are_compared_are_taken_from_the_end() {
    let firewall =
        Firewall::input(Accept).rule(&[&mark(0x10, 0x10), &accept()]).rule(&[&set_mark(0x20, 0x20)]).rule(&[&drop()]);
    let walk = firewall.ask(&with_mark(Mark::After(0x20)), Hook::Input);
    assert_eq!(firewall.words(&walk), "input 3: Drop; Dropped", "0x20 was not asked for before it was set");
}
