//! Address translation: drops that are not a rule's, and drops behind a translated address.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::topology::{self, ROUTER_2, SERVER, ip};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Dual, Expect, Family, Story};

#[test]
fn no_port_is_left_to_translate_to() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let mut story = Story::of(&lab.router)?;
        for family in Family::BOTH {
            let chain = Chain { namespace: &lab.router, backend, family, table: "nat", chain: "POSTROUTING" };
            let only = ROUTER_2.port(family, 40000);
            let _rule = chain.append(&format!("-o r2 -p udp --dport 9999 -j SNAT --to-source {only}"))?;
            // The first takes the one port there is.
            lab.client.run(|| udp::send(SERVER.port(family, 9999), 1, 20))?;
            let second = lab.client.run(|| udp::send(SERVER.port(family, 9999), 1, 20))?;
            let wanted =
                Expect::drop("NETFILTER_DROP").problem().hook("postrouting").interface("r2").netns(&lab.router)?;
            // Whatever put the rule there: it is the core that drops, after the address was translated.
            let translated = Flow { source: only, ..second.flow };
            story.names(wanted.flow(&translated).freed_in(&["nf_hook_slow"]), 1)?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_service_leads_to_a_closed_port() -> Result<()> {
    const SERVICE: Dual =
        Dual { v4: std::net::Ipv4Addr::new(10, 96, 0, 1), v6: std::net::Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1) };
    let lab = topology::router()?;
    ip(&lab.router, "address add 10.96.0.1/32 dev lo\naddress add fd96::1/128 dev lo nodad")?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let chain = Chain { namespace: &lab.router, backend: Backend::Nft, family, table: "nat", chain: "PREROUTING" };
        let backend = SERVER.port(family, 6443);
        let _rule = chain
            .append(&format!("-d {} -p tcp --dport 443 -j DNAT --to-destination {backend}", SERVICE.ip(family)))?;
        let attempt = lab.client.run(|| tcp::attempt(SERVICE.port(family, 443)))?;
        // The server's kernel sees the translated destination.
        let translated = Flow { destination: backend, ..attempt };
        let wanted =
            Expect::drop("NO_SOCKET").cause("no_socket").problem().hook("socket").interface("s0").netns(&lab.server)?;
        story.names(wanted.flow(&translated).with(key::TCP_FLAGS, "S"), 1)?;
    }
    story.end().map(drop)
}
