//! Rules of nft at every hook: named by table, chain, handle and the line of `nft list ruleset`.

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::firewall::nft;
use tracer_tests::topology::{self, NEIGHBOUR, Router, SERVER};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Story};

const PORT: u16 = 10250;

/// A rule of this ruleset drops a SYN in each family, and is named as wanted.
fn names(lab: &Router, namespace: &NetNs, ruleset: &str, wanted: &Expect) -> Result<()> {
    nft(namespace, ruleset)?;
    let mut story = Story::of(namespace)?;
    for family in Family::BOTH {
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, PORT)))?;
        story.names(wanted.clone().netns(namespace)?.flow(&flow), 1)?;
    }
    story.end().map(drop)
}

fn chain(family: &str, hook: &str, rules: &str) -> String {
    format!("table {family} t {{ chain c {{ type filter hook {hook} priority 0; {rules} }}; }}")
}

fn rule(place: &str, number: u64, text: &str) -> Expect {
    Expect::drop("NETFILTER_DROP").problem().rule(place, number, text).with(key::OWNER, "user")
}

#[test]
fn at_each_hook() -> Result<()> {
    let text = "tcp dport 10250 drop";
    let rules = "udp dport 9 accept; tcp dport 10250 drop;";
    for hook in ["prerouting", "forward", "postrouting"] {
        let lab = topology::router()?;
        names(&lab, &lab.router, &chain("inet", hook, rules), &rule("nftables inet t/c", 2, text).hook(hook))?;
    }
    let lab = topology::router()?;
    names(&lab, &lab.server, &chain("inet", "input", rules), &rule("nftables inet t/c", 2, text).hook("input"))?;
    let lab = topology::router()?;
    names(&lab, &lab.client, &chain("inet", "output", rules), &rule("nftables inet t/c", 2, text).hook("output"))?;
    let lab = topology::router()?;
    let at = "ingress device s0";
    names(&lab, &lab.server, &chain("netdev", at, rules), &rule("nftables netdev t/c", 2, text).hook("ingress"))?;
    let lab = topology::router()?;
    names(&lab, &lab.server, &chain("inet", at, rules), &rule("nftables inet t/c", 2, text).hook("ingress"))?;
    let lab = topology::router()?;
    let at = "egress device c0";
    names(&lab, &lab.client, &chain("netdev", at, rules), &rule("nftables netdev t/c", 2, text).hook("egress"))
}

#[test]
fn a_counter_makes_it_certain_and_without_one_it_is_derived() -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.server, &chain("inet", "input", "tcp dport 10250 counter drop; udp dport 9 drop;"))?;
    let mut story = Story::of(&lab.server)?;
    let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
    story.names(Expect::drop("NETFILTER_DROP").flow(&flow).sure("certain").with(key::RULE_NUMBER, 1), 1)?;
    let sent = lab.client.run(|| udp::send(SERVER.port(Family::V4, 9), 1, 10))?;
    story.names(rule("nftables inet t/c", 2, "udp dport 9 drop").flow(&sent.flow).sure("derived"), 1)?;
    story.end().map(drop)
}

#[test]
fn sets_maps_and_chains() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = "table inet t { \
        set bad { type inet_service; flags interval; elements = { 10000-10300 }; }; \
        map way { type inet_service : verdict; elements = { 10250 : jump deep, 80 : accept }; }; \
        chain deep { tcp dport @bad reject with tcp reset; }; \
        chain c { type filter hook input priority 0; tcp dport vmap @way; }; }";
    nft(&lab.server, ruleset)?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, PORT)))?;
        let wanted = rule("nftables inet t/deep", 1, "tcp dport @bad reject with tcp reset").flow(&flow);
        let event = story.names(wanted, 1)?;
        let way = serde_json::json!([{"chain": "c", "number": 1}, {"chain": "deep", "number": 1}]);
        assert_eq!(event.at(key::RULE_PATH), Some(&way));
        let told = event.texts(key::EVIDENCE).iter().any(|fact| fact.contains("10000-10300"));
        ensure!(told, "the element that decided is not told: {event}");
    }
    story.end().map(drop)
}

#[test]
fn a_policy_and_how_to_change_it() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.server,
        &chain("inet", "input", "policy drop; meta l4proto { icmp, ipv6-icmp } accept; ct state established accept;"),
    )?;
    let mut story = Story::of(&lab.server)?;
    let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
    let event = story.names(Expect::drop("NETFILTER_DROP").policy("nftables inet t/c").flow(&flow), 1)?;
    story.end()?;
    let remedy = event.texts(key::REMEDY);
    let step = remedy.iter().find(|step| step.contains("policy accept")).context("no command changes the policy")?;
    let done = std::process::Command::new("sh").args(["-c", step]).output()?;
    ensure!(done.status.success(), "`{step}` failed: {}", String::from_utf8_lossy(&done.stderr));
    assert!(lab.server.exec("nft list chain inet t c")?.contains("policy accept"));
    Ok(())
}

#[test]
fn a_rule_of_a_bridge() -> Result<()> {
    let lab = topology::bridge()?;
    nft(&lab.bridge, &chain("bridge", "forward", "tcp dport 10250 drop;"))?;
    let mut story = Story::of(&lab.bridge)?;
    for family in Family::BOTH {
        let flow = lab.client.run(|| tcp::attempt(NEIGHBOUR.port(family, PORT)))?;
        story.names(rule("nftables bridge t/c", 1, "tcp dport 10250 drop").flow(&flow), 1)?;
    }
    story.end().map(drop)
}
