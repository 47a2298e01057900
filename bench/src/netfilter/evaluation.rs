//! The library alone: how long it reads a ruleset, and how long it asks it about a packet.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tracer_netfilter::evaluate::walk;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::packet::ETH_P_IP;
use tracer_netfilter::walk::{Layer, Outcome, Question};
use tracer_netfilter::{Hook, Packet, Ruleset};
use tracer_tests::topology::{CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::frame::{self, Ipv4};

use super::ruleset::DROPPED;
use crate::spread::Spread;

/// IPPROTO_UDP
const UDP: u8 = 17;
/// Walks that are measured at most, and for how long.
const WALKS: usize = 1000;
const TIME: Duration = Duration::from_millis(300);

pub(super) struct Evaluation {
    /// Milliseconds of a reading.
    pub(super) reading: Spread,
    /// ns of a walk.
    pub(super) walk: Spread,
}

pub(super) fn measure(pair: &Pair, rounds: usize) -> Result<Option<Evaluation>> {
    pair.server.run(|| {
        let mut ruleset = Ruleset::default();
        let mut readings = Vec::new();
        for _ in 0..rounds {
            drop(std::mem::take(&mut ruleset));
            let begun = Instant::now();
            ruleset = live::ruleset();
            readings.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        ensure!(ruleset.gaps.is_empty(), "not all was read: {:?}", ruleset.gaps);
        let walk = Spread::of(walks(&ruleset)?);
        Ok(Spread::of(readings).zip(walk).map(|(reading, walk)| Evaluation { reading, walk }))
    })
}

/// Asks about one packet again and again, ns each.
fn walks(ruleset: &Ruleset) -> Result<Vec<f64>> {
    let ends: (IpAddr, IpAddr) = (CLIENT.v4.into(), NEIGHBOUR.v4.into());
    let datagram = frame::udp(ends.0, ends.1, (40_000, *DROPPED.start()), b"w");
    let packet = Packet::from_network(ETH_P_IP, &Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP).build(&datagram));
    let question = Question { packet: &packet, hook: Hook::Input, layer: Layer::Ip, backend: None, verbose: false };
    let world = Live::new();
    let mut times = Vec::new();
    let end = Instant::now() + TIME;
    while times.len() < WALKS && (times.is_empty() || Instant::now() < end) {
        let begun = Instant::now();
        let walk = walk(ruleset, &question, &world);
        times.push(begun.elapsed().as_secs_f64() * 1e9);
        ensure!(walk.outcome == Outcome::Dropped && walk.candidates.len() == 1, "not one rule: {walk:?}");
    }
    Ok(times)
}
