//! The node in a cloud with traffic that nothing is wrong with, beside whatever a scenario breaks: name queries, a busy
//! Service, uploads and downloads.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::cloud::{self, Cloud, OUTSIDE, PODS, SERVERS, VIP};
use tracer_tests::event::{Event, key};
use tracer_tests::traffic::server::{Tcp, Udp};
use tracer_tests::traffic::talk::{self, Fate, Talk};
use tracer_tests::{Diagnosis, Family, Findings, NetNs, patience};

/// Ports of what is healthy; no scenario breaks them.
pub(crate) const WEB: u16 = 8443;
pub(crate) const SERVICE: u16 = 81;
pub(crate) const SERVICE_TARGET: u16 = 8081;
pub(crate) const DNS: u16 = 53;
pub(crate) const NTP: u16 = 123;

/// How long a client tries: two SYNs or more.
pub(crate) const SHORT: Duration = Duration::from_millis(1500);

const BULK: u64 = 300_000;

/// The lab and the servers of its healthy traffic.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) lab: Cloud,
    _tcp: Vec<Tcp>,
    _udp: Vec<Udp>,
}

impl Scene {
    pub(crate) fn new() -> Result<Self> {
        let lab = cloud::cloud()?;
        lab.service(SERVICE, 1, SERVICE_TARGET)?;
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        for family in Family::BOTH {
            tcp.push(Tcp::listen(&lab.internet, SERVERS[1].port(family, WEB))?);
            tcp.push(Tcp::listen(&lab.internet, OUTSIDE.port(family, WEB))?);
            tcp.push(Tcp::listen(&lab.pods[1], PODS[1].port(family, SERVICE_TARGET))?);
            udp.push(Udp::names(&lab.internet, SERVERS[0].port(family, DNS))?);
            udp.push(Udp::echo(&lab.internet, SERVERS[0].port(family, NTP))?);
        }
        Ok(Self { lab, _tcp: tcp, _udp: udp })
    }

    /// Everyone talks, in both families, and everyone is answered.
    pub(crate) fn others_talk(&self) -> Result<()> {
        let lab = &self.lab;
        for family in Family::BOTH {
            for (id, pod) in (1..).zip(&lab.pods) {
                let fate = talk::ask(pod, SERVERS[0].port(family, DNS), &talk::query("example.org", id), patience())?;
                ensure!(fate == Fate::Answered, "the others' name server: {fate:?}");
                for server in [SERVERS[1], OUTSIDE] {
                    Talk::open(pod, server.port(family, WEB))?.exchange(2_000, BULK)?;
                }
            }
            let fate = talk::ask(&lab.node, SERVERS[0].port(family, NTP), &[0x23; 48], patience())?;
            ensure!(fate == Fate::Answered, "the others' time server: {fate:?}");
            for _ in 0..3 {
                Talk::open(&lab.internet, VIP.port(family, SERVICE))?.exchange(BULK, 2_000)?;
            }
            Talk::open(&lab.internet, PODS[1].port(family, SERVICE_TARGET))?.exchange(10, 10)?;
            Talk::open(&lab.pods[0], PODS[1].port(family, SERVICE_TARGET))?.exchange(10, 10)?;
        }
        Ok(())
    }

    /// Starts a run on the node, and lets the others talk.
    pub(crate) fn diagnose(&self, arguments: &[&str]) -> Result<Diagnosis> {
        let diagnosis = Diagnosis::with(&self.lab.node, arguments)?;
        self.others_talk()?;
        Ok(diagnosis)
    }

    /// Lets the others talk once more, and ends the run.
    pub(crate) fn end(&self, diagnosis: Diagnosis) -> Result<Findings> {
        self.others_talk()?;
        diagnosis.end()
    }
}

/// Tells a story once for each family, at once.
pub(crate) fn in_both(story: impl Fn(Family) -> Result<()> + Sync) -> Result<()> {
    let story = &story;
    thread::scope(|scope| {
        let told = Family::BOTH.map(|family| (family, scope.spawn(move || story(family))));
        told.into_iter().try_for_each(|(family, told)| {
            let result = told.join().unwrap_or_else(|panic| resume_unwind(panic));
            result.map_err(|error| error.context(family.name()))
        })
    })
}

/// What becomes of several attempts at once.
pub(crate) fn attempts(from: &NetNs, to: &[SocketAddr], each: usize) -> Result<Vec<Fate>> {
    thread::scope(|scope| {
        let all = to.iter().flat_map(|to| std::iter::repeat_n(*to, each));
        let tried: Vec<_> = all.map(|to| scope.spawn(move || talk::connect(from, to, SHORT))).collect();
        tried.into_iter().map(|tried| tried.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Several attempts at once to each of these, and none is answered.
pub(crate) fn unanswered(from: &NetNs, to: &[SocketAddr], each: usize) -> Result<()> {
    let fates = attempts(from, to, each)?;
    ensure!(fates.iter().all(|fate| *fate == Fate::Silence), "not all is silent at {to:?}: {fates:?}");
    Ok(())
}

/// Fails unless this is the likeliest of a finding's suspects.
pub(crate) fn first_suspect(finding: &Event, what: &str) -> Result<()> {
    ensure!(finding.text(key::SUSPECT) == what, "the first suspect is not {what}: {finding}");
    Ok(())
}
