//! Rules of iptables, legacy and nft, in both families: named by table, chain, number and the line of `iptables -S`.

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Story};

/// One port a backend, so that each drop is a flow of its own.
const PORTS: [(Backend, u16); 2] = [(Backend::Legacy, 10250), (Backend::Nft, 10255)];

fn cases() -> impl Iterator<Item = (Backend, u16, Family)> {
    PORTS.into_iter().flat_map(|(backend, port)| Family::BOTH.map(|family| (backend, port, family)))
}

/// What the events call a chain.
fn place(backend: Backend, family: Family, chain: &str) -> String {
    let backend = match backend {
        Backend::Legacy => "iptables-legacy",
        Backend::Nft => "iptables-nft",
    };
    format!("{backend} {} {chain}", family.pick("ip", "ip6"))
}

fn dropped(namespace: &NetNs, flow: &Flow) -> Result<Expect> {
    Ok(Expect::drop("NETFILTER_DROP").problem().netns(namespace)?.flow(flow))
}

/// The removal that is suggested is run as it stands, and the port is open again.
fn mends(event: &Event, flow: &Flow, attempt: impl Fn() -> Result<Flow>) -> Result<()> {
    let remedy = event.texts(key::REMEDY);
    let removal = remedy.iter().find(|step| step.contains(" -D ")).context("no removal among the remedies")?;
    let done = std::process::Command::new("sh").args(["-c", removal]).output()?;
    ensure!(done.status.success(), "`{removal}` failed: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(attempt()?.destination, flow.destination);
    Ok(())
}

#[test]
fn a_rule_is_named_by_number_and_text_and_its_removal_works() -> Result<()> {
    for (backend, port, family) in cases() {
        let lab = topology::router()?;
        let chain = Chain::filter(&lab.server, backend, family, "INPUT");
        let _first = chain.append("-p udp -m udp --dport 9 -j ACCEPT")?;
        let rule = format!("-p tcp -m tcp --dport {port} -j DROP");
        // Left to the namespace: the test itself removes it.
        std::mem::forget(chain.append(&rule)?);
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let wanted =
            dropped(&lab.server, &flow)?.rule(&place(backend, family, "filter/INPUT"), 2, &format!("-A INPUT {rule}"));
        // The ruleset was read before the drop, so its counter proves it at the first line.
        let event = story.names(wanted.with(key::OWNER, "user").sure("certain"), 1)?;
        story.end()?;
        mends(&event, &flow, || lab.client.run(|| tcp::attempt(SERVER.port(family, port))))?;
        let mut after = Story::of(&lab.server)?;
        after.control(lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?);
        drop(after);
        assert!(!lab.server.exec(&format!("{} -S INPUT", backend.program(family)))?.contains("DROP"));
    }
    Ok(())
}

#[test]
fn a_rule_deep_in_chains_is_named_with_the_way_to_it() -> Result<()> {
    for (backend, port, family) in cases() {
        let lab = topology::router()?;
        let tool = backend.program(family);
        lab.router.exec(&format!(
            "{tool} -w -N one; {tool} -w -N two; {tool} -w -A FORWARD -i r1 -j one; {tool} -w -A one -p udp -j RETURN; \
             {tool} -w -A one -g two; {tool} -w -A one -j ACCEPT; {tool} -w -A two -p tcp --dport {port} -j DROP"
        ))?;
        let mut story = Story::of(&lab.router)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let text = format!("-A two -p tcp -m tcp --dport {port} -j DROP");
        let wanted = dropped(&lab.router, &flow)?.rule(&place(backend, family, "filter/two"), 1, &text);
        let event = story.names(wanted.hook("forward").sure("certain"), 1)?;
        let way = serde_json::json!([
            {"chain": "FORWARD", "number": 1}, {"chain": "one", "number": 2}, {"chain": "two", "number": 1}
        ]);
        assert_eq!(event.at(key::RULE_PATH), Some(&way));
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, port))?);
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_policy_is_named_where_no_rule_decides() -> Result<()> {
    for (backend, port, family) in cases() {
        let lab = topology::router()?;
        let chain = Chain::filter(&lab.server, backend, family, "INPUT");
        let _neighbours = chain.append(&format!("-p {} -j ACCEPT", family.icmp()))?;
        chain.set_policy("DROP")?;
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let wanted = dropped(&lab.server, &flow)?.policy(&place(backend, family, "filter/INPUT"));
        let event = story.names(wanted.with(key::RULE_TEXT, "-P INPUT DROP"), 1)?;
        assert!(event.at(key::RULE_NUMBER).is_none(), "{event}");
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_mark_set_on_the_way_is_told() -> Result<()> {
    for (backend, port, family) in cases() {
        let lab = topology::router()?;
        let tool = backend.program(family);
        lab.router.exec(&format!(
            "{tool} -w -A FORWARD -p tcp --dport {port} -j MARK --set-xmark 0x400/0x400; \
             {tool} -w -A FORWARD -m mark --mark 0x800/0x800 -j DROP; \
             {tool} -w -A FORWARD -m mark --mark 0x400/0x400 -j DROP"
        ))?;
        let mut story = Story::of(&lab.router)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let text = "-A FORWARD -m mark --mark 0x400/0x400 -j DROP";
        let wanted = dropped(&lab.router, &flow)?.rule(&place(backend, family, "filter/FORWARD"), 3, text);
        let event = story.names(wanted.sure("certain"), 1)?;
        let told = event.texts(key::EVIDENCE).iter().any(|fact| fact.contains("mark") && fact.contains("rule 1"));
        ensure!(told, "the rule that set the mark is not told: {event}");
        story.end()?;
    }
    Ok(())
}

#[test]
fn two_rules_that_may_have_done_it_are_told_apart_by_their_counters() -> Result<()> {
    for (backend, port, family) in cases() {
        let lab = topology::router()?;
        let tool = backend.program(family);
        // Whether the first matches can't be known; its counter stands still, that of the second rises.
        lab.server.exec(&format!(
            "{tool} -w -A INPUT -p tcp --dport {port} -m statistic --mode nth --every 1000 --packet 999 -j DROP; \
             {tool} -w -A INPUT -p tcp --dport {port} -j DROP"
        ))?;
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(family, port)))?;
        let text = format!("-A INPUT -p tcp -m tcp --dport {port} -j DROP");
        let wanted = dropped(&lab.server, &flow)?.rule(&place(backend, family, "filter/INPUT"), 2, &text);
        story.names(wanted.sure("certain"), 1)?;
        story.end()?;
    }
    Ok(())
}

#[test]
fn an_ipset_that_decided_is_told() -> Result<()> {
    for (backend, port) in PORTS {
        let lab = topology::router()?;
        let tool = backend.program(Family::V4);
        lab.server.exec(&format!(
            "ipset create bl hash:net; ipset add bl 10.99.1.0/24; ipset add bl 10.99.2.0/24 nomatch; \
             {tool} -w -A INPUT -p tcp --dport {port} -m set --match-set bl src -j DROP"
        ))?;
        let mut story = Story::of(&lab.server)?;
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, port)))?;
        let text = format!("-A INPUT -p tcp -m tcp --dport {port} -m set --match-set bl src -j DROP");
        let wanted = dropped(&lab.server, &flow)?.rule(&place(backend, Family::V4, "filter/INPUT"), 1, &text);
        let event = story.names(wanted.sure("certain"), 1)?;
        let told = event.texts(key::EVIDENCE).iter().any(|fact| fact.contains("10.99.1.0/24"));
        ensure!(told, "the member that decided is not told: {event}");
        story.end()?;
    }
    Ok(())
}
