//! Literal events in, findings and text out.

mod expected;
mod grouping;
mod harm;
mod names;
mod rendering;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracer_common::{FlowKey, Tally as Packets};

use super::*;
use crate::event::{
    AttemptTotals, Cause, Confidence, Dns, Drop, Endpoint, Explanation, Finding, Flow, Header, Interface, Netns,
    Outcome, QueryOutcome, Seen, SeenPacket, Severity, Stats,
};
use crate::flow::{Census, Service, Tally, Way};
use crate::sink::{Line, Sink};

/// Where text goes, to be read afterwards.
#[derive(Clone, Debug, Default)]
pub(super) struct Screen(Arc<Mutex<Vec<u8>>>);

impl Screen {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A renderer that keeps what it was told.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Told>>);

#[derive(Clone, Debug, Default)]
struct Told {
    met: Vec<String>,
    findings: Vec<Finding>,
    left_out: u64,
}

impl Sink for Kept {
    fn header(&mut self, _: &Header) -> io::Result<()> {
        Ok(())
    }

    fn line(&mut self, _: &Line<'_>) -> io::Result<()> {
        Ok(())
    }

    fn counter(&mut self, _: &crate::event::Counter) -> io::Result<()> {
        Ok(())
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        self.0.lock().unwrap().findings.push(finding.clone());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn stats(&mut self, _: &Stats) -> io::Result<()> {
        Ok(())
    }
}

impl Render for Kept {
    fn notes(&mut self, notes: Notes) -> io::Result<()> {
        let mut kept = self.0.lock().unwrap();
        (kept.met, kept.left_out) = (notes.met, notes.left_out);
        Ok(())
    }
}

/// A run with literal events.
struct Run {
    diagnosis: Diagnosis,
    kept: Kept,
    census: Census,
}

/// What a run said.
struct Said {
    met: Vec<String>,
    findings: Vec<Finding>,
    left_out: u64,
    health: Health,
}

impl Said {
    fn titles(&self) -> Vec<&str> {
        self.findings.iter().map(|finding| finding.title.as_str()).collect()
    }
}

impl Run {
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn expecting(texts: &[&str]) -> Self {
        Self::with(Settings {
            expectations: texts.iter().map(|text| text.parse().unwrap()).collect(),
            ..Settings::default()
        })
    }

    fn with(settings: Settings) -> Self {
        let kept = Kept::default();
        Self { diagnosis: Diagnosis::new(Box::new(kept.clone()), settings), kept, census: Census::default() }
    }

    fn dropped(mut self, drop: &Drop) -> Self {
        self.diagnosis.line(&Line { key: &key(), drop, total: Packets::default() }).unwrap();
        self
    }

    fn flow(mut self, flow: &Flow) -> Self {
        self.diagnosis.flow(flow).unwrap();
        self
    }

    fn dns(mut self, dns: &Dns) -> Self {
        self.diagnosis.dns(dns).unwrap();
        self
    }

    /// Attempts of the census.
    fn seen(mut self, way: Way, protocol: u8, server: &str, tally: Tally) -> Self {
        self.census.services.insert(Service { protocol, server: server.parse().unwrap(), way }, tally);
        self
    }

    fn end(self) -> Said {
        self.end_with(None)
    }

    fn end_with(mut self, attempts: Option<AttemptTotals>) -> Said {
        self.diagnosis.census(&self.census).unwrap();
        self.diagnosis.stats(&Stats { last: true, attempts, ..stats() }).unwrap();
        let kept = self.kept.0.lock().unwrap().clone();
        let health = *self.diagnosis.health().lock().unwrap();
        Said { met: kept.met, findings: kept.findings, left_out: kept.left_out, health }
    }
}

fn key() -> FlowKey {
    // SAFETY: all fields are numbers.
    unsafe { std::mem::zeroed() }
}

pub(super) fn stats() -> Stats {
    Stats {
        time: time(59),
        last: false,
        packets: 0,
        bytes: 0,
        by_reason: Vec::new(),
        totals: Vec::new(),
        hidden: 0,
        not_shown: 0,
        other_flows: 0,
        seen: 0,
        filtered: 0,
        missed: 0,
        suppressed: 0,
        lost: 0,
        evicted: 0,
        unreadable: 0,
        undecodable: 0,
        attempts: None,
        coverage: Vec::new(),
        verdicts: None,
        cpu_seconds: 0.0,
    }
}

fn time(second: u32) -> String {
    format!("2026-11-21T14:13:{second:02}.000000000Z")
}

fn end(text: &str) -> Endpoint {
    Endpoint::of(text)
}

fn netns(inode: u32, name: &str) -> Netns {
    Netns { inode, name: Some(name.to_owned()), pod: None }
}

fn said(cause: Cause, summary: &str) -> Explanation {
    Explanation::new(cause, Confidence::Derived, summary)
}

/// Packets of a client that were dropped in the namespace `node`.
fn drop_of(protocol: &str, source: &str, destination: &str, count: u64, explanation: Explanation) -> Drop {
    let mut drop = Drop { time: time(10), count, bytes: 60 * count, ..Drop::between(source, destination, explanation) };
    drop.packet.protocol = protocol.into();
    drop.packet.tcp_flags = drop.packet.tcp_flags.filter(|_| protocol == "tcp");
    drop
}

/// An attempt that was last seen when it left by eth0 of `node`, after so many tries.
fn flow_of(outcome: Outcome, source: &str, destination: &str, tries: u64, explanation: Explanation) -> Flow {
    Flow {
        time: time(20),
        outcome,
        protocol: "tcp".into(),
        source: end(source),
        destination: end(destination),
        translated: None,
        attempts: tries,
        first: time(10),
        last: time(20),
        rtt_us: None,
        seen: vec![Seen {
            netns: netns(7, "node"),
            interface: Interface { index: 2, name: Some("eth0".into()) },
            direction: crate::event::Direction::Egress,
            packet: SeenPacket::Open,
            count: tries,
            time: time(10),
            tunnel: None,
        }],
        explanation: Some(explanation),
    }
}

/// A query of 10.244.0.5 to 10.96.0.10.
fn query(rcode: Option<&str>, tries: u64) -> Dns {
    Dns {
        time: time(12),
        query: "example.com".into(),
        kind: "A".into(),
        outcome: if rcode.is_none() { QueryOutcome::NoAnswer } else { QueryOutcome::Error },
        rcode: rcode.map(str::to_owned),
        no_answer: rcode.is_none(),
        latency_us: rcode.map(|_| 1200),
        attempts: tries,
        protocol: "udp".into(),
        client: end("10.244.0.5:40000"),
        server: end("10.96.0.10:53"),
        translated: None,
        netns: netns(7, "node"),
        client_netns: None,
        search: None,
        wasted: None,
        explanation: None,
    }
}

pub(super) fn silent(source: &str, destination: &str, tries: u64) -> Flow {
    let said = Explanation::new(Cause::Upstream, Confidence::Inferred, "it left by eth0, and nothing came back");
    flow_of(Outcome::NoAnswer, source, destination, tries, said)
}

fn rule(summary: &str) -> Explanation {
    let mut said = Explanation::new(Cause::NetfilterRule, Confidence::Certain, summary);
    said.rule = Some(crate::event::Rule {
        backend: crate::event::Backend::Nftables,
        family: crate::event::RulesetFamily::Inet,
        table: "filter".into(),
        chain: "in".into(),
        number: Some(1),
        handle: Some(4),
        text: "tcp dport 10250 drop".into(),
        comment: None,
        path: Vec::new(),
        packets: None,
    });
    said
}

fn answered(established: u64) -> Tally {
    Tally { established, ..Tally::default() }
}
