//! nftables rules at each hook that nftables has.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::{self, Backend, nft};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, NEIGHBOUR, Router, SERVER};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Story, require, sysctl};

const PORT: u16 = 10250;

/// A ruleset drops one SYN in each family at a hook, and nothing else.
fn drops_a_syn(lab: &Router, namespace: &NetNs, ruleset: &str, expect: &Expect) -> Result<()> {
    nft(namespace, ruleset)?;
    let mut story = Story::of(namespace)?;
    for family in Family::BOTH {
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, PORT)))?;
        story.names(expect.clone().netns(namespace)?.flow(&flow).freed_in(&[Backend::Nft.location()]), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

/// A base chain with one rule.
fn chain(family: &str, hook: &str, rule: &str) -> String {
    format!("table {family} t {{ chain c {{ type filter hook {hook} priority 0; {rule}; }}; }}")
}

fn drop_at(hook: &str) -> Expect {
    Expect::drop("NETFILTER_DROP").problem().hook(hook)
}

#[test]
fn prerouting() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("inet", "prerouting", "tcp dport 10250 drop");
    drops_a_syn(&lab, &lab.router, &ruleset, &drop_at("prerouting").interface("r1"))
}

#[test]
fn input() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("inet", "input", "tcp dport 10250 counter drop");
    drops_a_syn(&lab, &lab.server, &ruleset, &drop_at("input").interface("s0"))?;
    assert_eq!(firewall::nft_counter(&lab.server, "inet t c")?.packets, 2);
    Ok(())
}

#[test]
fn forward() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("inet", "forward", "tcp dport 10250 drop");
    drops_a_syn(&lab, &lab.router, &ruleset, &drop_at("forward").interface("r1"))
}

#[test]
fn output() -> Result<()> {
    let lab = topology::router()?;
    drops_a_syn(&lab, &lab.client, &chain("inet", "output", "tcp dport 10250 drop"), &drop_at("output"))
}

#[test]
fn postrouting() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("inet", "postrouting", "tcp dport 10250 drop");
    drops_a_syn(&lab, &lab.router, &ruleset, &drop_at("postrouting").interface("r2"))
}

#[test]
fn ingress_of_the_inet_family() -> Result<()> {
    require!(NFT_INGRESS);
    let lab = topology::router()?;
    let ruleset = chain("inet", "ingress device s0", "tcp dport 10250 drop");
    drops_a_syn(&lab, &lab.server, &ruleset, &drop_at("ingress").interface("s0"))
}

#[test]
fn ingress_of_the_netdev_family() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("netdev", "ingress device s0", "tcp dport 10250 drop");
    drops_a_syn(&lab, &lab.server, &ruleset, &drop_at("ingress").interface("s0"))
}

#[test]
fn egress() -> Result<()> {
    require!(NFT_EGRESS);
    let lab = topology::router()?;
    let ruleset = chain("netdev", "egress device c0", "tcp dport 10250 drop");
    drops_a_syn(&lab, &lab.client, &ruleset, &drop_at("egress").interface("c0"))
}

#[test]
fn reject() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("inet", "input", "tcp dport 10250 reject");
    drops_a_syn(&lab, &lab.server, &ruleset, &drop_at("input").interface("s0"))
}

#[test]
fn a_chain_that_was_jumped_to() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = "table inet t { chain bad { drop; }; chain i { type filter hook input priority 0; tcp dport 10250 jump bad; }; }";
    drops_a_syn(&lab, &lab.server, ruleset, &drop_at("input").interface("s0"))
}

#[test]
fn policy() -> Result<()> {
    let lab = topology::router()?;
    let ruleset = chain("inet", "input", "policy drop; meta l4proto { icmp, icmpv6, udp } accept");
    drops_a_syn(&lab, &lab.server, &ruleset, &drop_at("input").interface("s0"))
}

#[test]
fn an_arp_request() -> Result<()> {
    let lab = topology::pair()?;
    let _as_usual = sysctl::set(&lab.client, "net/ipv4/neigh/c0/mcast_solicit", "3")?;
    nft(&lab.server, &chain("arp", "input", "arp operation request drop"))?;
    let mut story = Story::of(&lab.server)?;
    lab.client.exec("ip neighbour flush all")?;
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
    let wanted = drop_at("input").interface("s0").netns(&lab.server)?.freed_in(&[Backend::Nft.location()]);
    // Asked three times, each after 50 ms.
    let wanted = wanted.with(key::PROTOCOL, "arp").with(key::FAMILY, "other");
    story.names(wanted, 3)?;
    story.end().map(drop)
}
