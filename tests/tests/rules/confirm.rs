//! `--confirm`: the kernel's own trace names the rule, and nothing of it stays behind.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::event::{Event, key};
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, NEIGHBOUR, SERVER};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Tracer, patience};

const PORT: u16 = 10250;
const TRACED: &str = "the kernel's trace of the flow named it";

fn watch(namespace: &NetNs, more: &[&str]) -> Result<Tracer> {
    let inode = namespace.inode()?.to_string();
    Tracer::start(&[&["--all", "--interval", "100ms", "--netns", &inode], more].concat())
}

/// The tables that `nft` shows, and whether one of ours is among them.
fn is_traced(namespace: &NetNs) -> Result<bool> {
    Ok(namespace.exec("nft list tables")?.contains("whydrop"))
}

fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + patience();
    while !holds()? {
        ensure!(Instant::now() < deadline, "never: {what}");
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The first packet starts the trace, the second is seen by it; the line that says so.
fn confirmed(namespace: &NetNs, wanted: &Expect, send: &dyn Fn() -> Result<Flow>) -> Result<Event> {
    confirmed_by(watch(namespace, &["--confirm"])?, namespace, wanted, send)
}

fn confirmed_by(
    mut tracer: Tracer,
    namespace: &NetNs,
    wanted: &Expect,
    send: &dyn Fn() -> Result<Flow>,
) -> Result<Event> {
    let first = send()?;
    let port = first.destination.port();
    let flow = Expect::drop("NETFILTER_DROP").addresses(&first).with(key::DESTINATION_PORT, port);
    let before = tracer.wait_for(&flow)?;
    ensure!(before.text(key::CONFIDENCE) != "certain", "certain without a trace: {before}");
    wait_until("a table for the trace", || is_traced(namespace))?;
    send()?;
    wait_until("the end of the trace", || Ok(!is_traced(namespace)?))?;
    // The line after the trace has what it said; what comes at the same moment may still be part of the one before.
    sleep(Duration::from_millis(300));
    send()?;
    let event = tracer.wait_for(&wanted.clone().and(&flow).sure("certain"))?;
    ensure!(event.texts(key::EVIDENCE).contains(&TRACED), "the trace is not told: {event}");
    ensure!(event.at(key::ALTERNATIVES).is_none(), "another rule is suspected: {event}");
    let report = tracer.stop()?;
    report.ensure_clean()?;
    ensure!(!is_traced(namespace)?, "a table stayed behind");
    Ok(event)
}

fn chain(family: &str, hook: &str, rules: &str) -> String {
    format!("table {family} t {{ chain c {{ type filter hook {hook} priority 0; {rules}; }}; }}")
}

fn rule(place: &str, number: u64, text: &str) -> Expect {
    Expect::any().rule(place, number, text)
}

#[test]
fn a_rule_without_counter_becomes_certain_at_each_hook() -> Result<()> {
    let text = "tcp dport 10250 drop";
    for (family, hook) in [(Family::V4, "prerouting"), (Family::V6, "forward"), (Family::V4, "postrouting")] {
        let lab = topology::router()?;
        nft(&lab.router, &chain("inet", hook, text))?;
        let send = || lab.client.run(|| tcp::attempt(SERVER.port(family, PORT)));
        confirmed(&lab.router, &rule("nftables inet t/c", 1, text).hook(hook), &send)?;
    }
    let lab = topology::router()?;
    nft(&lab.client, &chain("netdev", "egress device c0", text))?;
    let send = || lab.client.run(|| tcp::attempt(SERVER.port(Family::V6, PORT)));
    confirmed(&lab.client, &rule("nftables netdev t/c", 1, text).hook("egress"), &send)?;
    let lab = topology::router()?;
    nft(&lab.server, &chain("netdev", "ingress device s0", text))?;
    let send = || lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)));
    confirmed(&lab.server, &rule("nftables netdev t/c", 1, text).hook("ingress"), &send)?;
    let lab = topology::bridge()?;
    nft(&lab.bridge, &chain("bridge", "forward", text))?;
    let send = || lab.client.run(|| tcp::attempt(NEIGHBOUR.port(Family::V4, PORT)));
    confirmed(&lab.bridge, &rule("nftables bridge t/c", 1, text), &send).map(drop)
}

#[test]
fn rules_that_hang_on_a_rate_are_told_apart() -> Result<()> {
    let lab = topology::router()?;
    let rules = "jump deep; tcp dport 10250 limit rate over 1/hour burst 1000 packets drop; tcp dport 10250 drop;";
    nft(
        &lab.server,
        &format!(
            "table inet t {{ chain deep {{ tcp dport 10250 numgen inc mod 1000 999 drop; }}; \
             chain c {{ type filter hook input priority 0; {rules} }}; }}"
        ),
    )?;
    let send = || lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)));
    confirmed(&lab.server, &rule("nftables inet t/c", 3, "tcp dport 10250 drop"), &send).map(drop)
}

#[test]
fn behind_a_translated_address() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::router()?;
        let nat = Chain { namespace: &lab.router, backend: Backend::Nft, family, table: "nat", chain: "PREROUTING" };
        let target = SERVER.port(family, PORT);
        let _dnat = nat.append(&format!("-p tcp --dport 80 -j DNAT --to-destination {target}"))?;
        nft(&lab.router, &chain("inet", "forward", "tcp dport 10250 drop"))?;
        let service = topology::ROUTER_1.port(family, 80);
        let send = || {
            let flow = lab.client.run(|| tcp::attempt(service))?;
            Ok(Flow { destination: target, ..flow })
        };
        confirmed(&lab.router, &rule("nftables inet t/c", 1, "tcp dport 10250 drop").hook("forward"), &send)?;
    }
    Ok(())
}

#[test]
fn rules_of_iptables_nft_whose_counters_are_too_young() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::router()?;
        let tool = Backend::Nft.program(family);
        let send = || lab.client.run(|| tcp::attempt(SERVER.port(family, PORT)));
        lab.router.exec(&format!("{tool} -w -A FORWARD -p udp --dport 9 -j DROP"))?;
        let mut tracer = watch(&lab.router, &["--confirm"])?;
        let known = lab.client.run(|| udp::send(SERVER.port(family, 9), 1, 10))?;
        tracer.wait_for(&Expect::drop("NETFILTER_DROP").flow(&known.flow).sure("certain"))?;
        // These are read for the first time after they have dropped something.
        lab.router
            .exec(&format!("{tool} -w -N deep; {tool} -w -A FORWARD -j deep; {tool} -w -A deep -p tcp -j DROP"))?;
        let place = format!("iptables-nft {} filter/deep", family.pick("ip", "ip6"));
        let event = confirmed_by(tracer, &lab.router, &rule(&place, 1, "-A deep -p tcp -j DROP"), &send)?;
        let way = serde_json::json!([{"chain": "FORWARD", "number": 2}, {"chain": "deep", "number": 1}]);
        assert_eq!(event.at(key::RULE_PATH), Some(&way));
    }
    Ok(())
}

#[test]
fn legacy_is_not_traced_and_says_so() -> Result<()> {
    let lab = topology::router()?;
    let mut tracer = watch(&lab.server, &["--confirm"])?;
    let chain = Chain::filter(&lab.server, Backend::Legacy, Family::V4, "INPUT");
    // Read after the start: its counter can't be compared.
    let _rule = chain.append(&format!("-p tcp --dport {PORT} -j DROP"))?;
    let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
    let event = tracer.wait_for(&Expect::drop("NETFILTER_DROP").flow(&flow).sure("derived"))?;
    ensure!(event.text(key::UNDECIDED).contains("iptables-legacy can't be traced"), "not said: {event}");
    sleep(Duration::from_millis(300));
    ensure!(!is_traced(&lab.server)?, "a table was added for a legacy rule");
    tracer.stop()?.ensure_clean()
}

/// Ends the tracer in the middle of a trace.
fn ended_by(signal: libc::c_int) -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.server, &chain("inet", "input", "tcp dport 10250 drop"))?;
    let mut tracer = watch(&lab.server, &["--confirm"])?;
    let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
    tracer.wait_for(&Expect::drop("NETFILTER_DROP").flow(&flow))?;
    wait_until("a table for the trace", || is_traced(&lab.server))?;
    tracer.signal(signal)?;
    if signal == libc::SIGKILL {
        drop(tracer);
    } else {
        tracer.finish()?.ensure_clean()?;
        ensure!(!is_traced(&lab.server)?, "it ended by itself and left a table");
    }
    wait_until("a namespace without our table", || Ok(!is_traced(&lab.server)?))?;
    let left = lab.server.exec("nft list tables")?;
    ensure!(left.trim() == "table inet t", "something is left: {left}");
    Ok(())
}

#[test]
fn nothing_stays_after_an_interrupt() -> Result<()> {
    ended_by(libc::SIGINT)
}

#[test]
fn nothing_stays_after_a_kill() -> Result<()> {
    ended_by(libc::SIGKILL)
}

/// The generation of the ruleset, as the kernel counts its changes.
fn generation(namespace: &NetNs) -> Result<String> {
    // The monitor of nft shows each change with its generation; a change of our own shows what the number is.
    let shown = namespace.exec(
        "sh -c 'timeout 5 nft monitor > /tmp/wd-gen-$$ & p=$!; sleep 0.2; nft add table inet gen; nft delete table inet gen; \
         sleep 0.2; kill $p; cat /tmp/wd-gen-$$; rm /tmp/wd-gen-$$'",
    )?;
    let line = shown.lines().find(|line| line.contains("new generation")).with_context(|| shown.clone())?;
    line.split_whitespace().nth(3).map(str::to_owned).context("no generation")
}

#[test]
fn without_it_the_ruleset_is_never_touched() -> Result<()> {
    let lab = topology::router()?;
    nft(&lab.server, &chain("inet", "input", "tcp dport 10250 drop"))?;
    let before: u64 = generation(&lab.server)?.parse()?;
    let between: u64 = generation(&lab.server)?.parse()?;
    let mut tracer = watch(&lab.server, &[])?;
    for packets in 1..=3 {
        let flow = lab.client.run(|| tcp::attempt(SERVER.port(Family::V4, PORT)))?;
        tracer.wait_for_count(&Expect::drop("NETFILTER_DROP").addresses(&flow).sure("derived"), packets)?;
        ensure!(!is_traced(&lab.server)?, "a table was added");
    }
    tracer.stop()?.ensure_clean()?;
    let after: u64 = generation(&lab.server)?.parse()?;
    assert_eq!(after - between, between - before, "the ruleset was changed");
    Ok(())
}
