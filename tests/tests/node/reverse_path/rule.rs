//! The same check made by rules of netfilter.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, Router, SERVER};
use tracer_tests::{Expect, Family, Story, remedy};

use super::{Datagram, R2, R2_V6, SPOOFED, SPOOFED6};

/// A rule of netfilter refuses the spoofed source; `removal` is the part of a remedy that takes it away.
fn refused_by_rule(lab: &Router, family: Family, removal: &str) -> Result<()> {
    let source = family.pick(SPOOFED.into(), SPOOFED6.into());
    let datagram = Datagram::spoofed(lab, source, SERVER.ip(family));
    let mut story = Story::of(&lab.router)?;
    let flow = datagram.send()?;
    let wanted = Expect::drop("NETFILTER_DROP").cause("netfilter_rule").hook("prerouting").interface("r1").flow(&flow);
    let (text, ip) = (family.pick(R2, R2_V6), family.pick("ip", "ip -6"));
    let event = story.names(wanted.with(key::ROUTE_TEXT, text).with(key::ROUTE_TABLE, "main"), 1)?;
    event.says(key::EVIDENCE, &format!("the route back to {source} is {text} (table main)"))?;
    event.says(key::EVIDENCE, "the rule wants the way back to leave by r1, where the packet came in")?;
    event.says(key::REMEDY, &format!("{ip} route get {source}"))?;
    remedy::apply(&event, removal, &lab.router)?;
    datagram.arrives(&lab.server)?;
    story.end().map(drop)
}

#[test]
fn rules_of_iptables_that_look_for_a_way_back() -> Result<()> {
    let lab = topology::router()?;
    for backend in Backend::BOTH {
        for family in Family::BOTH {
            let chain = Chain { namespace: &lab.router, backend, family, table: "raw", chain: "PREROUTING" };
            // The remedy takes it away, so no guard may.
            std::mem::forget(chain.append("-p udp --dport 5001 -m rpfilter --invert -j DROP")?);
            refused_by_rule(&lab, family, "-D PREROUTING")?;
        }
    }
    Ok(())
}

#[test]
fn rules_of_nftables_that_look_for_a_way_back() -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.router, "table inet t { chain c { type filter hook prerouting priority -300; }; }")?;
    for family in Family::BOTH {
        nft(&lab.router, "add rule inet t c udp dport 5001 fib saddr . iif oif missing drop")?;
        refused_by_rule(&lab, family, "nft delete rule")?;
    }
    Ok(())
}
