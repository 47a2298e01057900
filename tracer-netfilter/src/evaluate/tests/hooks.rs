//! Which base chains run, and in which order.

use super::Policy::{Accept, Drop};
use super::*;

fn ask(firewall: &Firewall, packet: &Packet, hook: Hook, layer: Layer, backend: Option<Backend>) -> Walk {
    firewall.question(&Question { packet, hook, layer, backend, verbose: true })
}

fn order(firewall: &Firewall, packet: &Packet, hook: Hook, layer: Layer) -> Vec<String> {
    let steps = ask(firewall, packet, hook, layer, None).steps;
    steps.iter().map(|step| firewall.name(step.place)).collect()
}

fn seen(firewall: Firewall, name: &str, hook: Hook, priority: i32) -> Firewall {
    firewall.base(name, hook, priority, Accept).rule(&[&dport(22)])
}

#[test]
fn base_chains_run_by_priority_and_the_latest_of_equals_first() {
    // As the kernel was seen to do it (6.18).
    let mut firewall = seen(seen(Firewall::nft(), "late", Hook::Input, 10), "first", Hook::Input, 0);
    firewall = seen(seen(firewall, "second", Hook::Input, 0), "early", Hook::Input, -150);
    firewall = seen(firewall.table(Backend::Nft, Family::Ip6, "six"), "six", Hook::Input, 0);
    firewall = seen(firewall.table(Backend::Nft, Family::Inet, "both"), "both", Hook::Input, 5);
    firewall = seen(firewall, "elsewhere", Hook::Forward, 0);
    firewall = seen(firewall.table(Backend::Nft, Family::Ip, "off"), "off", Hook::Input, 0);
    firewall.ruleset.tables.last_mut().unwrap().dormant = true;
    assert_eq!(
        order(&firewall, &tcp(), Hook::Input, Layer::Ip),
        ["early 1", "second 1", "first 1", "both 1", "late 1"]
    );
    let six = Packet { ethertype: ETH_P_IPV6, ..tcp() };
    assert_eq!(order(&firewall, &six, Hook::Input, Layer::Ip), ["six 1", "both 1"]);
    assert!(order(&firewall, &tcp(), Hook::Input, Layer::Bridge).is_empty());
}

#[test]
fn accept_ends_only_its_base_chain() {
    let firewall =
        Firewall::input(Drop).rule(&[&accept()]).base("late", Hook::Input, 10, Accept).rule(&[&dport(22), &drop()]);
    assert_eq!(firewall.tell(&tcp(), Hook::Input), "late 1: Drop; Dropped");
}

#[test]
fn chains_of_a_device_are_asked_by_its_name() {
    let netdev = |name: &str| {
        let mut firewall = Firewall::default().table(Backend::Nft, Family::Netdev, "n");
        firewall = firewall.base("c", Hook::Ingress, 0, Accept).rule(&[&drop()]);
        firewall.ruleset.tables[0].chains[0].base.as_mut().unwrap().devices = vec![name.into()];
        firewall
    };
    let tell = |firewall: &Firewall, packet: &Packet| {
        firewall.words(&ask(firewall, packet, Hook::Ingress, Layer::Device, None))
    };
    assert_eq!(tell(&netdev("eth1"), &tcp()), "c 1: Drop; Dropped");
    assert_eq!(tell(&netdev("eth*"), &tcp()), "c 1: Drop; Dropped");
    assert_eq!(tell(&netdev("eth2"), &tcp()), "Accepted");
    let nowhere = Packet { input: Known::Unknown, ..tcp() };
    assert_eq!(tell(&netdev("eth1"), &nowhere), "c 1: Drop if the device; Open");
}

fn two(legacy: i32, nft: i32) -> Firewall {
    Firewall::default()
        .table(Backend::Legacy, Family::Ip, "filter")
        .base("INPUT", Hook::Input, legacy, Accept)
        .rule(&[&dport(22), &drop()])
        .table(Backend::Nft, Family::Ip, "t")
        .base("input", Hook::Input, nft, Drop)
}

#[test]
fn a_rule_of_the_other_backend_is_never_blamed() {
    let tell = |firewall: &Firewall, backend| firewall.words(&ask(firewall, &tcp(), Hook::Input, Layer::Ip, backend));
    assert_eq!(tell(&two(-5, 0), None), "INPUT 1: Drop; Dropped");
    assert_eq!(tell(&two(-5, 0), Some(Backend::Legacy)), "INPUT 1: Drop; Dropped");
    // What is read now does not fit: the legacy rule comes first.
    let walk = ask(&two(-5, 0), &tcp(), Hook::Input, Layer::Ip, Some(Backend::Nft));
    let why =
        "rule 1 of chain INPUT in table ip filter would drop it before, but the drop was not in its part of the kernel";
    assert_eq!(walk.unknown, [why]);
    assert_eq!(two(-5, 0).words(&walk), format!("input 0: Policy if {why}; Dropped"));
    // With the same priority either may run first, so nothing is wrong.
    assert_eq!(tell(&two(0, 0), Some(Backend::Nft)), "input 0: Policy; Dropped");
    assert_eq!(tell(&two(0, 0), Some(Backend::Legacy)), "INPUT 1: Drop; Dropped");
    let order = "which of the chains of the same priority runs first";
    assert_eq!(tell(&two(0, 0), None), format!("input 0: Policy if {order}; INPUT 1: Drop if {order}; Dropped"));
}

#[test]
fn before_connection_tracking_no_packet_has_a_state() {
    let at = |priority| Firewall::nft().base("c", Hook::Prerouting, priority, Accept).rule(&[&ct_state(1), &drop()]);
    assert_eq!(at(-300).tell(&tcp(), Hook::Prerouting), "c 1: Drop; Dropped");
    assert_eq!(at(-150).tell(&tcp(), Hook::Prerouting), "Accepted");
    let looped = Packet { input: Known::Is(device(1, "lo")), ..tcp() };
    assert_eq!(at(-300).tell(&looped, Hook::Prerouting), "Accepted", "it kept its connection from the way out");
}

#[test]
fn notrack_makes_a_packet_untracked() {
    let untracked = |rest: &[Expression]| {
        Firewall::nft()
            .base("raw", Hook::Prerouting, -300, Accept)
            .rule(&[&dport(22), &[Expression::NoTrack], rest])
            .base("filter", Hook::Prerouting, 0, Accept)
            .rule(&[&ct_state(64), &drop()])
            .typed(ChainKind::Nat, "nat", Hook::Prerouting, -100, Drop)
    };
    let packet = Packet { mark: Mark::Before(0), ..tcp() };
    assert_eq!(untracked(&[]).tell(&packet, Hook::Prerouting), "filter 1: Drop; Dropped");
}
