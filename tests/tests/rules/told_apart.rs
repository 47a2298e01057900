//! What looks like a rule's work and is none, and which of two rulesets it was.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::{tcp, udp};
use tracer_tests::{Expect, Family, Story};

const PORT: u16 = 10250;

#[test]
fn a_rule_of_the_other_ruleset_is_not_blamed() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::router()?;
        // Legacy would drop it too, but comes later: the kernel says that nf_tables did it.
        let legacy = Chain::filter(&lab.server, Backend::Legacy, family, "INPUT");
        let _legacy = legacy.append(&format!("-p tcp --dport {PORT} -j DROP"))?;
        nft(
            &lab.server,
            "table inet t { chain c { type filter hook input priority -10; tcp dport 10250 counter drop; }; }",
        )?;
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, PORT)))?;
        let wanted = Expect::drop("NETFILTER_DROP").flow(&flow).with(key::RULE_BACKEND, "nftables").sure("certain");
        let event = story.names(wanted, 1)?;
        ensure!(event.at(key::ALTERNATIVES).is_none(), "another rule is suspected: {event}");
        story.end()?;
    }
    Ok(())
}

#[test]
fn translation_without_a_free_port_is_no_rule() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let nat = Chain { namespace: &lab.router, backend, family: Family::V4, table: "nat", chain: "POSTROUTING" };
        let _one_port = nat.append("-o r2 -p udp -j SNAT --to-source 10.99.2.1:40000")?;
        // A rule that could be blamed, and is not.
        let other = Chain { table: "mangle", ..nat };
        let _other = other.append("-p udp --dport 9 -j DROP")?;
        let mut story = Story::of(&lab.router)?;
        let target = SERVER.port(Family::V4, 9999);
        let first = lab.client.run(|| udp::send(target, 1, 10))?;
        let second = lab.client.run(|| udp::send(target, 1, 10))?;
        let wanted = Expect::drop("NETFILTER_DROP").problem().hook("postrouting").cause("nat_exhausted");
        // The packet is dropped with the address that it could not have.
        let wanted = wanted.with(key::SOURCE, "10.99.2.1").with(key::DESTINATION_PORT, second.flow.destination.port());
        let event = story.names(wanted, 1)?;
        ensure!(event.at("/explanation/rule").is_none(), "a rule is blamed: {event}");
        story.control(first.flow);
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_queue_without_a_program_names_the_rule_that_queues() -> Result<()> {
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let chain = Chain::filter(&lab.server, backend, Family::V4, "INPUT");
        let _rule = chain.append(&format!("-p tcp --dport {PORT} -j NFQUEUE --queue-num 5"))?;
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
        let wanted = Expect::drop("NOT_SPECIFIED").cause("netfilter_rule").flow(&flow);
        let text = format!("-A INPUT -p tcp -m tcp --dport {PORT} -j NFQUEUE --queue-num 5");
        let event = story.names(wanted.with(key::RULE_TEXT, text), 1)?;
        ensure!(event.text(key::SUMMARY).contains("program"), "the program is not told of: {event}");
        story.end()?;
    }
    Ok(())
}
