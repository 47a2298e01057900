//! Queries that fail, each in its own way.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::{Event, Family};

use crate::client::{answer, ask};
use crate::server::{Dnsmasq, answer_once};
use crate::{asked, line, watch};

const SHORT: Duration = Duration::from_millis(200);

fn says(event: &Event, text: &str) -> Result<()> {
    ensure!(event.text(key::SUMMARY).contains(text), "it does not say {text:?}: {event}");
    Ok(())
}

#[test]
fn a_silent_resolver_beyond_the_namespace() -> Result<()> {
    let lab = topology::router()?;
    let _dnsmasq = Dnsmasq::start(&lab.server, &["www-ipv4.lab.example", "www-ipv6.lab.example"])?;
    lab.server.exec("nft 'table inet t { chain i { type filter hook input priority 0; udp dport 53 drop; }; }'")?;
    let mut tracer = watch(&lab.client, &[])?;
    for family in Family::BOTH {
        let (name, server) = asked(family, SERVER, "www");
        for _ in 0..2 {
            assert_eq!(ask(&lab.client, server, &name, SHORT)?, None);
        }
        let event = tracer.wait_for(&line(&name, "no_answer").cause("dns").sure("inferred").with(key::ATTEMPTS, 2))?;
        says(&event, &format!("left c0 in {} twice and {} did not answer", lab.client.name(), server.ip()))?;
        ensure!(event.texts(key::REMEDY)[0].contains(&format!("dig +tries=1 @{} {name} A", server.ip())), "{event}");
    }
    // And the control: it answers again.
    lab.server.exec("nft flush ruleset")?;
    let (name, server) = asked(Family::V4, SERVER, "www");
    assert_eq!(answer(&lab.client, server, &name)?, 0);
    let report = tracer.stop()?;
    report.ensure_clean()?;
    ensure!(report.stats()?.number(key::FAILED_QUERIES)? == 2, "{}", report.stats()?);
    Ok(())
}

#[test]
fn a_resolver_in_a_namespace_of_this_machine_that_is_silent() -> Result<()> {
    let lab = topology::router()?;
    let mut tracer = watch(&lab.router, &[])?;
    let (name, server) = asked(Family::V4, SERVER, "www");
    // Somebody has the port, and reads nothing.
    let silent = lab.server.run(|| UdpSocket::bind(server).context("cannot bind"))?;
    assert_eq!(ask(&lab.client, server, &name, SHORT)?, None);
    let event = tracer.wait_for(&line(&name, "no_answer").cause("dns").sure("derived"))?;
    says(&event, &format!("was handed to {} and {} did not answer", lab.server.name(), server.ip()))?;
    drop(silent);
    // The drops of that namespace are seen too.
    lab.server.exec("nft 'table inet t { chain i { type filter hook input priority 0; udp dport 53 drop; }; }'")?;
    let (name, server) = asked(Family::V4, SERVER, "dropped");
    assert_eq!(ask(&lab.client, server, &name, SHORT)?, None);
    tracer.wait_for(&line(&name, "dropped").cause("netfilter_rule"))?;
    tracer.stop()?.ensure_clean()
}

#[test]
fn errors_of_the_resolver() -> Result<()> {
    let lab = topology::router()?;
    let _dnsmasq = Dnsmasq::start(&lab.server, &[])?;
    let mut tracer = watch(&lab.client, &[])?;
    for family in Family::BOTH {
        let server = SocketAddr::new(SERVER.ip(family), 53);
        let name = format!("www-{}.other.example", family.name());
        assert_eq!(answer(&lab.client, server, &name)?, 5);
        let refused =
            tracer.wait_for(&line(&name, "error").cause("dns").sure("certain").with(key::RCODE, "REFUSED"))?;
        says(&refused, &format!("{} refuses to answer {name} (A)", server.ip()))?;
    }
    tracer.stop()?.ensure_clean()
}

#[test]
fn an_error_and_a_late_answer() -> Result<()> {
    let lab = topology::router()?;
    let mut tracer = watch(&lab.client, &["--slow", "100ms"])?;
    for family in Family::BOTH {
        let (name, server) = asked(family, SERVER, "broken");
        answer_once(&lab.server, server, Duration::ZERO, 2)?;
        assert_eq!(answer(&lab.client, server, &name)?, 2);
        let event = tracer.wait_for(&line(&name, "error").with(key::RCODE, "SERVFAIL").sure("certain"))?;
        says(&event, &format!("{} answered SERVFAIL for {name} (A)", server.ip()))?;
        let (name, server) = asked(family, SERVER, "late");
        answer_once(&lab.server, server, Duration::from_millis(300), 0)?;
        assert_eq!(answer(&lab.client, server, &name)?, 0);
        let event = tracer.wait_for(&line(&name, "slow").cause("dns").sure("certain"))?;
        ensure!(event.number(key::LATENCY)? >= 300_000, "{event}");
        says(&event, &format!("{} took 3", server.ip()))?;
    }
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_closed_port() -> Result<()> {
    let lab = topology::router()?;
    let mut tracer = watch(&lab.client, &[])?;
    for family in Family::BOTH {
        let (name, server) = asked(family, SERVER, "www");
        assert_eq!(ask(&lab.client, server, &name, SHORT)?, None);
        let event = tracer.wait_for(&line(&name, "rejected").cause("dns").sure("certain"))?;
        says(&event, &format!("nobody listens on udp port 53 of {}", server.ip()))?;
    }
    tracer.stop()?.ensure_clean()
}

#[test]
fn a_rule_of_this_node() -> Result<()> {
    let lab = topology::router()?;
    lab.router.exec("nft 'table inet t { chain f { type filter hook forward priority 0; udp dport 53 drop; }; }'")?;
    let mut tracer = watch(&lab.router, &[])?;
    for family in Family::BOTH {
        let (name, server) = asked(family, SERVER, "www");
        assert_eq!(ask(&lab.client, server, &name, SHORT)?, None);
        let event = tracer.wait_for(&line(&name, "dropped").cause("netfilter_rule"))?;
        says(&event, &format!("the query for {name} (A) was dropped here"))?;
        assert_eq!(event.text(key::RULE_TEXT), "udp dport 53 drop");
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    report.ensure_silent(&tracer_tests::Expect::any().with(key::KIND, "drop"))
}

#[test]
fn a_search_path() -> Result<()> {
    let lab = topology::router()?;
    let _dnsmasq = Dnsmasq::start(&lab.server, &["db.prod.lab.example"])?;
    let mut tracer = watch(&lab.client, &["--all"])?;
    let server = SocketAddr::new(SERVER.ip(Family::V4), 53);
    let suffixes = [".ns.svc.lab.example", ".svc.lab.example", ".x.lab.example", ""];
    for suffix in suffixes {
        let name = format!("db.prod.lab.example{suffix}");
        assert_eq!(answer(&lab.client, server, &name)?, if suffix.is_empty() { 0 } else { 3 });
    }
    let found = line("db.prod.lab.example", "answered").with(key::WASTED, 3).with(key::SEARCHED, "db.prod.lab.example");
    let event = tracer.wait_for(&found)?;
    says(&event, "takes 4 queries of each type for one answer")?;
    tracer.wait_for(&line("db.prod.lab.example.svc.lab.example", "search"))?;
    assert_eq!(answer(&lab.client, server, "nothing.lab.example")?, 3);
    let none = tracer.wait_for(&line("nothing.lab.example", "no_such_name"))?;
    says(&none, &format!("there is no name nothing.lab.example, says {}", server.ip()))?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    assert_eq!(report.stats()?.number(key::FAILED_QUERIES)?, 0);
    Ok(())
}
