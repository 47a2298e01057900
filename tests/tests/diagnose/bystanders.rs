//! Traffic that nothing is wrong with, beside whatever is: name queries, a busy Service, uploads and downloads.

use anyhow::{Result, ensure};
use tracer_tests::cloud::{Cloud, OUTSIDE, PODS, SERVERS, VIP};
use tracer_tests::traffic::server::{Tcp, Udp};
use tracer_tests::traffic::talk::{self, Fate, Talk};
use tracer_tests::{Family, patience};

/// Ports of what is healthy; no scenario breaks them.
pub(crate) const WEB: u16 = 8443;
pub(crate) const SERVICE: u16 = 81;
pub(crate) const SERVICE_TARGET: u16 = 8081;
pub(crate) const DNS: u16 = 53;
pub(crate) const NTP: u16 = 123;

const BULK: u64 = 300_000;

/// The servers; their clients come and go in [`Bystanders::pass`].
#[derive(Debug)]
pub(crate) struct Bystanders {
    _tcp: Vec<Tcp>,
    _udp: Vec<Udp>,
}

impl Bystanders {
    pub(crate) fn of(lab: &Cloud) -> Result<Self> {
        lab.service(SERVICE, 1, SERVICE_TARGET)?;
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        for family in Family::BOTH {
            tcp.push(Tcp::listen(&lab.internet, SERVERS[1].port(family, WEB))?);
            tcp.push(Tcp::listen(&lab.internet, OUTSIDE.port(family, WEB))?);
            tcp.push(Tcp::listen(&lab.pods[1], PODS[1].port(family, SERVICE_TARGET))?);
            udp.push(Udp::names(&lab.internet, SERVERS[0].port(family, DNS))?);
            udp.push(Udp::echo(&lab.internet, SERVERS[0].port(family, NTP))?);
        }
        Ok(Self { _tcp: tcp, _udp: udp })
    }

    /// Everyone talks, in both families, and everyone is answered.
    pub(crate) fn pass(&self, lab: &Cloud) -> Result<()> {
        for family in Family::BOTH {
            for (number, pod) in lab.pods.iter().enumerate() {
                let query = talk::query("example.org", number as u16 + 1);
                let fate = talk::ask(pod, SERVERS[0].port(family, DNS), &query, patience())?;
                ensure!(fate == Fate::Answered, "the bystanders' name server: {fate:?}");
                for server in [SERVERS[1], OUTSIDE] {
                    Talk::open(pod, server.port(family, WEB))?.exchange(2_000, BULK)?;
                }
            }
            let fate = talk::ask(&lab.node, SERVERS[0].port(family, NTP), &[0x23; 48], patience())?;
            ensure!(fate == Fate::Answered, "the bystanders' time server: {fate:?}");
            for _ in 0..3 {
                Talk::open(&lab.internet, VIP.port(family, SERVICE))?.exchange(BULK, 2_000)?;
            }
            Talk::open(&lab.internet, PODS[1].port(family, SERVICE_TARGET))?.exchange(10, 10)?;
            Talk::open(&lab.pods[0], PODS[1].port(family, SERVICE_TARGET))?.exchange(10, 10)?;
        }
        Ok(())
    }
}
