//! The interface by which a dropped packet was to leave, and the ports of a bridge that it was on its way between.

use anyhow::Result;
use serde_json::Value;
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, NEIGHBOUR, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, require, sysctl};

const NOWHERE: Value = Value::Null;

#[test]
fn of_what_is_sent_from_here() -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.client, "table inet t { chain o { type filter hook output priority 0; udp dport 81 drop; }; }")?;
    let mut story = Story::of(&lab.client)?;
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("NETFILTER_DROP").hook("output").netns(&lab.client)?.flow(&sent.flow);
        story.names(wanted.with("/interface/index", 0).with(key::OUT_INTERFACE, "c0"), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn of_what_is_forwarded_and_of_nothing_else() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table inet t {
            chain p { type filter hook prerouting priority 0; udp dport 81 drop; };
            chain f { type filter hook forward priority 0; udp dport 82 drop; };
            chain q { type filter hook postrouting priority 0; udp dport 83 drop; };
            chain i { type filter hook input priority 0; udp dport 84 drop; };
        }",
    )?;
    let mut story = Story::of(&lab.router)?;
    let places = [
        (81, "prerouting", "r1", NOWHERE),
        (82, "forward", "r1", "r2".into()),
        // It is on the way out already.
        (83, "postrouting", "r2", NOWHERE),
        // Its route leads to the loopback device.
        (84, "input", "r1", NOWHERE),
    ];
    for family in Family::BOTH {
        for (port, hook, interface, out) in &places {
            let to = if *hook == "input" { topology::ROUTER_1 } else { SERVER };
            let sent = lab.client.run(|| udp::send(to.port(family, *port), 1, 20))?;
            let wanted = Expect::drop("NETFILTER_DROP").hook(hook).interface(interface).netns(&lab.router)?;
            story.names(wanted.flow(&sent.flow).with(key::OUT_INTERFACE, out.clone()), 1)?;
        }
    }
    story.end().map(drop)
}

#[test]
fn between_two_ports_of_a_bridge() -> Result<()> {
    require!(BRIDGE, BRIDGE_NETFILTER);
    let lab = topology::bridge()?;
    let mut story = Story::of(&lab.bridge)?;
    for family in Family::BOTH {
        let name = family.pick("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables");
        let _on = sysctl::set(&lab.bridge, name, "1")?;
        let places = [
            ("mangle", "PREROUTING", "prerouting", 81, NOWHERE),
            ("filter", "FORWARD", "forward", 82, "r2".into()),
            ("mangle", "POSTROUTING", "postrouting", 83, "r2".into()),
        ];
        for (table, chain, hook, port, out) in places {
            let chain = Chain { namespace: &lab.bridge, backend: Backend::Nft, family, table, chain };
            let _rule = chain.append(&format!("-p udp --dport {port} -j DROP"))?;
            let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, port), 1, 20))?;
            let wanted = Expect::drop("NETFILTER_DROP").hook(hook).netns(&lab.bridge)?.flow(&sent.flow);
            story.names(wanted.with(key::BRIDGE_IN, "r1").with(key::BRIDGE_OUT, out), 1)?;
        }
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}
