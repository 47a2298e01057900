//! No port is left to translate to.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, CLIENT, ROUTER_2, Router, SERVER};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, udp};
use tracer_tests::{Event, Expect, Family, Story, Tracer, remedy};

use super::arrives;

const PORT: u16 = 9999;

/// Two connections take both ports; the third finds none. What is told of it.
fn third(lab: &Router, story: &mut Story, family: Family) -> Result<Event> {
    let mut last = None;
    for _ in 0..3 {
        last = Some(lab.client.run(|| Ok(udp::send(SERVER.port(family, PORT), 1, 20)?.flow))?);
    }
    let Some(last) = last else { anyhow::bail!("nothing was sent") };
    // It is dropped with the address and the port that were tried last.
    let translated = Flow { source: ROUTER_2.port(family, 0), ..last };
    let wanted = Expect::drop("NETFILTER_DROP").problem().hook("postrouting").netns(&lab.router)?;
    let wanted = wanted.cause("nat_exhausted").sure("certain").addresses(&translated).freed_in(&["nf_hook_slow"]);
    let event = story.names(wanted, 1)?;
    ensure!(event.at("/explanation/rule").is_none(), "the rule that translates is blamed: {event}");
    let place = format!("{} towards udp {}", ports(family), SERVER.port(family, PORT));
    let summary = format!("all 2 ports of {place} are in use, so {} can't be translated", CLIENT.ip(family));
    ensure!(event.text(key::SUMMARY) == summary, "{event}");
    event.says(key::EVIDENCE, &format!("2 of 2 ports of {place} are in use"))?;
    event.says(key::EVIDENCE, &format!("{} has 2 of them", CLIENT.ip(family)))?;
    event.says(key::EVIDENCE, "insert_failed rose by 1 since the look before the drop")?;
    Ok(event)
}

/// A datagram gets through the translation, from whatever port.
fn passes(lab: &Router, family: Family) -> Result<Flow> {
    let mut wire = lab.server.run(|| Interface::listener("s0"))?;
    let flow = lab.client.run(|| Ok(udp::send(SERVER.port(family, PORT), 1, 200)?.flow))?;
    arrives(&mut wire, &[b'w'; 200])?;
    Ok(flow)
}

fn ports(family: Family) -> String {
    let address = ROUTER_2.ip(family);
    family.pick(format!("{address}:40000-40001"), format!("[{address}]:40000-40001"))
}

#[test]
fn the_rule_its_ports_and_who_has_them_are_told() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let chain = |family, table| Chain { namespace: &lab.router, backend, family, table, chain: "POSTROUTING" };
        let mut story = Story::of(&lab.router)?;
        for family in Family::BOTH {
            // It would drop what the packet looks like now, but stands before the translation, and saw none.
            let looks_like = format!("-s {} -p udp --dport {PORT} -j DROP", ROUTER_2.ip(family));
            let _other = Chain { backend: Backend::Legacy, ..chain(family, "mangle") }.append(&looks_like)?;
            let rule = format!("-o r2 -p udp -j SNAT --to-source {}", ports(family));
            let snat = chain(family, "nat").append(&rule)?;
            let event = third(&lab, &mut story, family)?;
            let place = format!("{} nat/POSTROUTING rule 1 translates it", backend.program(family));
            event.says(key::EVIDENCE, &place)?;
            event.says(key::EVIDENCE, "--to-source")?;
            ensure!(event.texts(key::REMEDY).iter().any(|remedy| remedy.contains("more ports")), "{event}");
            // More ports.
            drop(snat);
            let wider = ports(family).replace("40001", "40009");
            let _wider = chain(family, "nat").append(&format!("-o r2 -p udp -j SNAT --to-source {wider}"))?;
            story.control(passes(&lab, family)?);
        }
        story.end()?;
    }
    Ok(())
}

/// More ports than are looked for one by one: the list is gone through.
#[test]
fn a_large_range_is_counted_from_the_list() -> Result<()> {
    const FIRST: u16 = 40_000;
    const PORTS: u16 = 1500;
    let lab = topology::router()?;
    let last = FIRST + PORTS - 1;
    nft(
        &lab.router,
        &format!(
            "table inet t {{ chain n {{ type nat hook postrouting priority 100;
                oifname r2 meta l4proto udp masquerade to :{FIRST}-{last}; }}; }}"
        ),
    )?;
    let mut tracer = Tracer::watch(&lab.router)?;
    for family in Family::BOTH {
        // A large range is given up before it is used up: at most all are taken, then one more.
        lab.client.run(|| (0..=PORTS).try_for_each(|_| udp::send(SERVER.port(family, PORT), 1, 20).map(drop)))?;
        let wanted = Expect::drop("NETFILTER_DROP").hook("postrouting").netns(&lab.router)?.cause("nat_exhausted");
        let wanted = wanted.with(key::DESTINATION, SERVER.ip(family).to_string());
        let event = tracer.wait_for(&wanted)?;
        let ports = ports(family).replace("40001", &last.to_string());
        let place = format!("of {PORTS} ports of {ports} towards udp {}", SERVER.port(family, PORT));
        event.says(key::EVIDENCE, &place)?;
        let all = format!("{} has ", CLIENT.ip(family));
        event.says(key::EVIDENCE, &all)?;
    }
    tracer.stop()?.ensure_clean()
}

#[test]
fn entries_that_are_deleted_give_their_ports_back() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table inet t { chain n { type nat hook postrouting priority 100;
            oifname r2 meta l4proto udp masquerade to :40000-40001; }; }",
    )?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let event = third(&lab, &mut story, family)?;
        event.says(key::EVIDENCE, "nftables inet t/n rule 1 (handle 2) translates it")?;
        event.says(key::EVIDENCE, "masquerade to :40000-40001")?;
        remedy::apply(&event, "conntrack -L", &lab.router)?;
        remedy::apply(&event, "conntrack -D", &lab.router)?;
        story.control(passes(&lab, family)?);
    }
    story.end().map(drop)
}
