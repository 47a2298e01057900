//! Firewall rules for bridged frames: as on nodes whose pods hang on a bridge.

use anyhow::Result;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, NEIGHBOUR};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, require, sysctl};

#[test]
fn nft_of_the_bridge_family() -> Result<()> {
    require!(BRIDGE);
    let lab = topology::bridge()?;
    nft(&lab.bridge, "table bridge t { chain c { type filter hook forward priority 0; udp dport 81 drop; }; }")?;
    let mut story = Story::of(&lab.bridge)?;
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 81), 1, 20))?;
        let wanted = Expect::drop("NETFILTER_DROP").problem().hook("forward").netns(&lab.bridge)?;
        story.names(wanted.flow(&sent.flow).freed_in(&[Backend::Nft.location()]), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn iptables_for_bridged_packets() -> Result<()> {
    require!(BRIDGE, BRIDGE_NETFILTER);
    for backend in Backend::BOTH {
        let lab = topology::bridge()?;
        let mut story = Story::of(&lab.bridge)?;
        for family in Family::BOTH {
            let name = family.pick("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables");
            let _on = sysctl::set(&lab.bridge, name, "1")?;
            let chain = Chain::filter(&lab.bridge, backend, family, "FORWARD");
            let rule = chain.append("-m physdev --physdev-in r1 -p udp --dport 81 -j DROP")?;
            let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 81), 1, 20))?;
            let wanted = Expect::drop("NETFILTER_DROP").problem().hook("forward").netns(&lab.bridge)?;
            story.names(wanted.flow(&sent.flow).freed_in(&[backend.location()]), 1)?;
            assert_eq!(rule.counter()?.packets, 1);
            story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
        }
        story.end()?;
    }
    Ok(())
}
