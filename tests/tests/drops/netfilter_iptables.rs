//! iptables rules, legacy and nft, at each hook.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, Router, SERVER};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Story};

/// One port a backend, so that each drop is a flow of its own.
const PORTS: [(Backend, u16); 2] = [(Backend::Legacy, 10250), (Backend::Nft, 10255)];

/// Where a rule stands, and what a drop there looks like.
struct Place<'a> {
    namespace: &'a NetNs,
    table: &'static str,
    chain: &'static str,
    hook: &'static str,
    /// A packet that is sent from here has no device before it is routed.
    interface: Option<&'static str>,
}

impl Place<'_> {
    fn expect(&self, reason: &str) -> Result<Expect> {
        let expect = Expect::drop(reason).problem().hook(self.hook).netns(self.namespace)?;
        Ok(match self.interface {
            Some(interface) => expect.interface(interface),
            None => expect,
        })
    }
}

/// A TCP rule with this target drops a SYN and nothing else, with both backends in both families.
fn drops_a_syn(lab: &Router, place: &Place, target: &str) -> Result<()> {
    let mut story = Story::of(place.namespace)?;
    for ((backend, port), family) in PORTS.into_iter().flat_map(|port| Family::BOTH.map(|family| (port, family))) {
        let chain = Chain { namespace: place.namespace, backend, family, table: place.table, chain: place.chain };
        let rule = chain.append(&format!("-p tcp --dport {port} -j {target}"))?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let wanted = place.expect("NETFILTER_DROP")?.flow(&flow).with(key::TCP_FLAGS, "S");
        story.names(wanted.freed_in(&[backend.location()]), 1)?;
        assert_eq!(rule.counter()?.packets, 1);
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn prerouting() -> Result<()> {
    let lab = topology::router()?;
    let place =
        Place { namespace: &lab.server, table: "raw", chain: "PREROUTING", hook: "prerouting", interface: Some("s0") };
    drops_a_syn(&lab, &place, "DROP")
}

#[test]
fn input() -> Result<()> {
    let lab = topology::router()?;
    let place = Place { namespace: &lab.server, table: "filter", chain: "INPUT", hook: "input", interface: Some("s0") };
    drops_a_syn(&lab, &place, "DROP")
}

#[test]
fn forward() -> Result<()> {
    let lab = topology::router()?;
    let place =
        Place { namespace: &lab.router, table: "filter", chain: "FORWARD", hook: "forward", interface: Some("r1") };
    drops_a_syn(&lab, &place, "DROP")
}

#[test]
fn output() -> Result<()> {
    let lab = topology::router()?;
    let place = Place { namespace: &lab.client, table: "filter", chain: "OUTPUT", hook: "output", interface: None };
    drops_a_syn(&lab, &place, "DROP")
}

#[test]
fn postrouting() -> Result<()> {
    let lab = topology::router()?;
    let place = Place {
        namespace: &lab.router,
        table: "mangle",
        chain: "POSTROUTING",
        hook: "postrouting",
        interface: Some("r2"),
    };
    drops_a_syn(&lab, &place, "DROP")
}

#[test]
fn reject_is_a_drop_with_an_answer() -> Result<()> {
    let lab = topology::router()?;
    let place =
        Place { namespace: &lab.router, table: "filter", chain: "FORWARD", hook: "forward", interface: Some("r1") };
    drops_a_syn(&lab, &place, "REJECT --reject-with tcp-reset")
}

#[test]
fn policy() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let mut story = Story::of(&lab.server)?;
        for family in Family::BOTH {
            let chain = Chain::filter(&lab.server, backend, family, "INPUT");
            let _neighbours = chain.append(&format!("-p {} -j ACCEPT", family.icmp()))?;
            let _control = chain.append(&format!("-p udp --dport {CONTROL_PORT} -j ACCEPT"))?;
            chain.set_policy("DROP")?;
            let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, 10250)))?;
            let wanted = Expect::drop("NETFILTER_DROP").problem().hook("input").interface("s0").netns(&lab.server)?;
            story.names(wanted.flow(&flow).freed_in(&[backend.location()]), 1)?;
            story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_rule_drops_each_of_many_packets() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let rule = Chain::filter(&lab.server, Backend::Nft, family, "INPUT").append("-p udp --dport 53 -j DROP")?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 53), 25, 100))?;
        assert_eq!(sent.accepted, 25);
        let wanted = Expect::drop("NETFILTER_DROP").problem().hook("input").interface("s0").netns(&lab.server)?;
        let event = story.names(wanted.flow(&sent.flow), 25)?;
        assert_eq!(event.number(key::LENGTH)?, 100 + family.pick(28, 48));
        assert_eq!(rule.counter()?.packets, 25);
    }
    story.end().map(drop)
}

#[test]
fn a_queue_that_no_program_reads() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    for ((backend, port), family) in PORTS.into_iter().flat_map(|port| Family::BOTH.map(|family| (port, family))) {
        let chain = Chain::filter(&lab.server, backend, family, "INPUT");
        let _rule = chain.append(&format!("-p tcp --dport {port} -j NFQUEUE --queue-num 5"))?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let wanted = Expect::drop("NOT_SPECIFIED").cause("netfilter_rule").problem().hook("input").interface("s0");
        story.names(wanted.netns(&lab.server)?.flow(&flow).freed_in(&["nf_queue"]), 1)?;
    }
    story.end().map(drop)
}
