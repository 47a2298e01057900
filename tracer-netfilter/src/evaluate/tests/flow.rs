//! Jumps, verdicts and what hangs on what.

use super::Policy::{Accept, Drop};
use super::*;

const RATE: &str = "the rate so far (limit)";
const QUOTA: &str = "the amount so far (quota)";

#[test]
fn the_first_rule_that_matches_decides() {
    let firewall = Firewall::input(Accept)
        .rule(&[&dport(23), &drop()])
        .rule(&[&saddr("10.0.0.1"), &dport(22), &drop()])
        .rule(&[&drop()]);
    let walk = firewall.ask(&tcp(), Hook::Input);
    assert_eq!(firewall.words(&walk), "input 2: Drop; Dropped");
    let says: Vec<&str> = walk.steps.iter().map(|step| step.says.as_str()).collect();
    assert_eq!(says, ["does not match (th dport)", "matches: drop"]);
    assert_eq!(walk.candidates[0].path, [walk.candidates[0].place]);
}

#[test]
fn the_policy_takes_what_no_rule_decides() {
    let other = |policy| Firewall::input(policy).rule(&[&dport(80), &accept()]);
    let walk = other(Drop).ask(&tcp(), Hook::Input);
    assert_eq!(other(Drop).words(&walk), "input 0: Policy; Dropped");
    assert_eq!(other(Accept).tell(&tcp(), Hook::Input), "Accepted");
    assert_eq!(other(Drop).rule(&[&dport(22), &accept()]).tell(&tcp(), Hook::Input), "Accepted");
    assert_eq!(other(Drop).rule(&[&dport(22), &back()]).tell(&tcp(), Hook::Input), "input 0: Policy; Dropped");
}

#[test]
fn two_rules_that_may_drop_are_both_named() {
    let firewall = Firewall::input(Drop).rule(&[&limit(), &drop()]).rule(&[&quota(), &drop()]);
    let told = format!("input 1: Drop if {RATE}; input 2: Drop if {QUOTA}; input 0: Policy; Dropped");
    assert_eq!(firewall.tell(&tcp(), Hook::Input), told);
    let open = Firewall::input(Accept).rule(&[&limit(), &drop()]);
    assert_eq!(open.tell(&tcp(), Hook::Input), format!("input 1: Drop if {RATE}; Open"));
    let no = Firewall::input(Accept).rule(&[&limit(), &dport(23), &drop()]);
    assert_eq!(no.tell(&tcp(), Hook::Input), "Accepted", "a later no decides");
}

#[test]
fn behind_a_rule_that_may_accept_all_hangs_on_it() {
    let firewall = Firewall::input(Drop).rule(&[&limit(), &accept()]).rule(&[&dport(22), &drop()]);
    assert_eq!(firewall.tell(&tcp(), Hook::Input), format!("input 2: Drop if {RATE}; Open"));
    let policy = Firewall::input(Drop).rule(&[&limit(), &accept()]);
    assert_eq!(policy.tell(&tcp(), Hook::Input), format!("input 0: Policy if {RATE}; Open"));
    // At the next base chain the ways are one again.
    let next = policy.base("late", Hook::Input, 10, Accept).rule(&[&drop()]);
    assert_eq!(next.tell(&tcp(), Hook::Input), format!("input 0: Policy if {RATE}; late 1: Drop; Dropped"));
}

#[test]
fn a_jump_comes_back_and_a_goto_does_not() {
    let with = |verdict: Vec<Expression>| {
        Firewall::input(Accept)
            .rule(&[&jump("first")])
            .rule(&[&drop()])
            .chain("first")
            .rule(&[&verdict])
            .rule(&[&accept()])
            .chain("second")
            .rule(&[&dport(23), &accept()])
    };
    assert_eq!(with(jump("second")).tell(&tcp(), Hook::Input), "Accepted", "back behind the jump, to accept");
    assert_eq!(with(goto("second")).tell(&tcp(), Hook::Input), "input 2: Drop; Dropped", "back to the jump's caller");
    assert_eq!(with(back()).tell(&tcp(), Hook::Input), "input 2: Drop; Dropped");
}

#[test]
fn a_goto_in_a_base_chain_ends_at_its_policy() {
    let firewall =
        Firewall::input(Drop).rule(&[&goto("first")]).rule(&[&accept()]).chain("first").rule(&[&dport(23), &accept()]);
    let walk = firewall.ask(&tcp(), Hook::Input);
    assert_eq!(firewall.words(&walk), "input 0: Policy; Dropped");
    let maybe =
        Firewall::input(Drop).rule(&[&limit(), &goto("first")]).rule(&[&drop()]).chain("first").rule(&[&dport(23)]);
    // The second rule is met only if the goto is not made, the policy only if it is.
    assert_eq!(maybe.tell(&tcp(), Hook::Input), format!("input 2: Drop if {RATE}; input 0: Policy; Dropped"));
}

#[test]
fn the_path_names_each_rule_that_led_there() {
    let firewall = Firewall::input(Accept)
        .rule(&[&dport(23), &jump("first")])
        .rule(&[&dport(22), &jump("first")])
        .chain("first")
        .rule(&[&jump("empty")])
        .rule(&[&goto("second")])
        .chain("second")
        .rule(&[&drop()])
        .chain("empty");
    let walk = firewall.ask(&tcp(), Hook::Input);
    let path: Vec<String> = walk.candidates[0].path.iter().map(|place| firewall.name(*place)).collect();
    assert_eq!(path, ["input 2", "first 2", "second 1"]);
    assert_eq!(walk.steps.last().unwrap().depth, 1, "a goto goes no deeper");
}

#[test]
fn what_is_behind_a_jump_that_may_be_made_hangs_only_on_what_it_decided() {
    let with = |inside: Vec<Expression>| {
        Firewall::input(Accept)
            .rule(&[&limit(), &jump("first")])
            .rule(&[&drop()])
            .chain("first")
            .rule(&[&inside])
            .rule(&[&drop()])
    };
    assert_eq!(with(back()).tell(&tcp(), Hook::Input), "input 2: Drop; Dropped");
    let accepts = format!("input 2: Drop if {RATE}; Open");
    assert_eq!(with(accept()).tell(&tcp(), Hook::Input), accepts);
    let drops = format!("first 1: Drop if {RATE}; input 2: Drop; Dropped");
    assert_eq!(with(drop()).tell(&tcp(), Hook::Input), drops);
}

#[test]
fn a_return_that_may_be_made_parts_only_its_chain() {
    let with = |after: Vec<Expression>| {
        Firewall::input(Accept)
            .rule(&[&jump("first")])
            .rule(&[&drop()])
            .chain("first")
            .rule(&[&limit(), &back()])
            .rule(&[&after])
    };
    assert_eq!(with(dport(23)).tell(&tcp(), Hook::Input), "input 2: Drop; Dropped", "both ways come back");
    assert_eq!(with(accept()).tell(&tcp(), Hook::Input), format!("input 2: Drop if {RATE}; Open"));
    let drops = format!("first 2: Drop if {RATE}; input 2: Drop; Dropped");
    assert_eq!(with(drop()).tell(&tcp(), Hook::Input), drops);
}

#[test]
fn a_verdict_map_jumps_drops_or_does_not_hold() {
    let port = |port: u16| port.to_be_bytes();
    let vmap = |elements| {
        Firewall::input(Accept)
            .set("ports", 13, 2, true, elements)
            .rule(&[&[payload(PayloadBase::Transport, 2, 2)], &lookup("ports", Some(MapTarget::Verdict), false)])
            .chain("ssh")
            .rule(&[&drop()])
    };
    let verdict = |verdict| Some(ElementData::Verdict(verdict));
    let jumps = vmap(vec![
        element(&port(80), None, verdict(Verdict::Drop)),
        element(&port(22), None, verdict(Verdict::Jump("ssh".into()))),
    ]);
    let walk = jumps.ask(&tcp(), Hook::Input);
    assert_eq!(jumps.words(&walk), "ssh 1: Drop; Dropped");
    assert_eq!(walk.candidates[0].sets, ["22 is in map ports"]);
    assert_eq!(vmap(vec![element(&port(80), None, verdict(Verdict::Drop))]).tell(&tcp(), Hook::Input), "Accepted");
    // A key that is not known: each verdict that its elements can give.
    let blind = Packet { bytes: tcp().bytes[..30].to_vec(), transport: None, ..tcp() };
    let told = "ports 1: Drop";
    assert!(!jumps.tell(&blind, Hook::Input).contains(told));
    assert_eq!(
        jumps.tell(&blind, Hook::Input),
        "ssh 1: Drop if bytes of the packet that were not kept; input 1: Drop if bytes of the packet that were not kept; Open"
    );
}

#[test]
fn loops_and_missing_chains_end_the_walk_without_a_claim() {
    let endless = Firewall::input(Accept).rule(&[&jump("a")]).chain("a").rule(&[&jump("a")]).rule(&[&drop()]);
    let walk = endless.ask(&tcp(), Hook::Input);
    assert!(walk.unknown.iter().any(|what| what.contains("deeper")), "{:?}", walk.unknown);
    assert!(walk.candidates.iter().all(|candidate| !candidate.unknown.is_empty()));
    let round = Firewall::input(Accept).rule(&[&goto("a")]).chain("a").rule(&[&goto("a")]);
    assert_eq!(round.ask(&tcp(), Hook::Input).outcome, Outcome::Open);
    let missing = Firewall::input(Accept).rule(&[&jump("nowhere")]).rule(&[&drop()]);
    assert_eq!(missing.tell(&tcp(), Hook::Input), "input 2: Drop if the chain nowhere, which was not read; Open");
}

#[test]
fn many_jumps_that_may_be_made_cost_a_bounded_walk() {
    let mut firewall = Firewall::input(Accept).rule(&[&limit(), &jump("c0")]);
    for depth in 0..14 {
        firewall = firewall.chain(&format!("c{depth}"));
        for _ in 0..9 {
            firewall = firewall.rule(&[&limit(), &jump(&format!("c{}", depth + 1))]);
        }
    }
    let firewall = firewall.chain("c14").rule(&[&dport(23), &drop()]);
    let packet = tcp();
    let question = Question { packet: &packet, hook: Hook::Input, layer: Layer::Ip, backend: None, verbose: false };
    let walk = firewall.question(&question);
    assert_eq!(walk.outcome, Outcome::Open);
    assert_eq!(walk.unknown, ["the rest of the rules, which are too many to look at"]);
}

#[test]
fn endings_that_are_not_plain_drops() {
    let reject =
        |kind, code| Firewall::input(Accept).rule(&[&[Expression::Reject { kind, code }]]).tell(&tcp(), Hook::Input);
    assert_eq!(reject(RejectKind::Icmp, 3), "input 1: Reject(\"icmp port-unreachable\"); Dropped");
    assert_eq!(reject(RejectKind::IcmpAny, 3), "input 1: Reject(\"icmpx admin-prohibited\"); Dropped");
    assert_eq!(reject(RejectKind::TcpReset, 0), "input 1: Reject(\"tcp reset\"); Dropped");
    let queue = Expression::Queue { number: 5, total: 1, bypass: true, fanout: false, register: None };
    let queued = Firewall::input(Drop).rule(&[&[queue]]).rule(&[&drop()]);
    assert_eq!(
        queued.tell(&tcp(), Hook::Input),
        "input 1: Queue { number: 5, bypass: true } if whether a program takes packets from queue 5; Open"
    );
    let proxy = Expression::TransparentProxy { family: 2, address: None, port: None };
    let proxied = Firewall::input(Accept).rule(&[&[proxy], &drop()]);
    assert_eq!(proxied.tell(&tcp(), Hook::Input), "input 1: Drop if whether the proxy listens (tproxy); Open");
    let forward = Expression::Forward { device: R, address: None, family: 2 };
    let forwarded = Firewall::input(Drop).rule(&[&[forward]]);
    assert_eq!(forwarded.tell(&tcp(), Hook::Input), "Accepted", "it goes another way, but is not dropped");
}

#[test]
fn a_rule_that_can_not_be_read_is_no_no() {
    let firewall = Firewall::input(Accept).rule(&[]).rule(&[&drop()]);
    let packet = tcp();
    let question = Question { packet: &packet, hook: Hook::Input, layer: Layer::Ip, backend: None, verbose: false };
    let walk = walk_with(&firewall.ruleset, &question, &firewall, &|place| match place.number {
        1 => Some(Err(DecodeError::Short("a rule"))),
        _ => firewall.rules.get(&place).cloned().map(Ok),
    });
    assert_eq!(walk.outcome, Outcome::Open);
    let why = "rule 1 of chain input in table ip t, which can't be read: the kernel's answer is cut short in a rule";
    assert_eq!(walk.candidates[0].unknown, [why]);
    let unknown = Firewall::input(Accept).rule(&[&[Expression::Unknown { name: "magic".into() }], &drop()]);
    assert_eq!(unknown.ask(&tcp(), Hook::Input).outcome, Outcome::Open);
    let extension = crate::xt::Match::decode("magic", 0, Family::Ip, &[]).unwrap();
    let matched = Firewall::input(Accept).rule(&[&[Expression::Match(extension)], &drop()]);
    assert_eq!(matched.tell(&tcp(), Hook::Input), "input 1: Drop if the match magic; Open");
}
