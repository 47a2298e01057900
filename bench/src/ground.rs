//! Where packets are dropped whose lines are looked at: a pair of namespaces of its own, because rulesets and sockets come
//! and go there.

use std::net::{SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::sysctl;
use tracer_tests::topology::{self, NEIGHBOUR, Pair};

use crate::load::{Load, Sent};
use crate::netfilter::DROPPED;
use crate::watcher::Watcher;

/// Of the first port to which nobody listens and no rule says anything.
pub(crate) const CLOSED: u16 = 30_000;
/// A name server's answers to a client's port: late ones are expected, and nothing is asked about them.
pub(crate) const SERVER_PORT: u16 = 53;
pub(crate) const CLIENT_PORT: u16 = 40_000;
/// Probes until a line names the rule: the first reading may still be under way.
const TRIES: usize = 20;

pub(crate) struct Ground {
    pub(crate) pair: Pair,
    /// Ports used so far: a flow is told by the port of its service, so each probe has one of its own.
    used: u16,
}

/// How long it took until a line came, and whether it names the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) time: Duration,
    pub(crate) is_named: bool,
}

impl Ground {
    pub(crate) fn new() -> Result<Self> {
        let pair = topology::pair()?;
        // Spoofed sources have to come as far as the rules.
        for name in ["all", "s0"] {
            std::mem::forget(sysctl::set(&pair.server, &format!("net/ipv4/conf/{name}/rp_filter"), "0")?);
        }
        Ok(Self { pair, used: 0 })
    }

    /// A packet that a rule drops.
    pub(crate) fn dropped(&mut self, watcher: &Watcher) -> Result<Line> {
        let (time, event) = self.probe(*DROPPED.start(), watcher)?;
        ensure!(event["reason"]["name"] == "NETFILTER_DROP", "not dropped by a rule: {event}");
        Ok(Line { time, is_named: event["explanation"]["rule"].is_object() })
    }

    /// A packet for which there is no socket.
    pub(crate) fn closed(&mut self, watcher: &Watcher) -> Result<Duration> {
        let (time, event) = self.probe(CLOSED, watcher)?;
        ensure!(event["reason"]["name"] == "NO_SOCKET", "not dropped for want of a socket: {event}");
        Ok(time)
    }

    /// Sends packets that are dropped until a line names the rule.
    pub(crate) fn settle(&mut self, watcher: &Watcher) -> Result<()> {
        for _ in 0..TRIES {
            if self.dropped(watcher)?.is_named {
                return Ok(());
            }
        }
        anyhow::bail!("no line names the rule")
    }

    fn probe(&mut self, first: u16, watcher: &Watcher) -> Result<(Duration, Value)> {
        let port = first + self.used;
        self.used += 1;
        self.pair.client.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").context("no socket")?;
            socket.send_to(b"w", SocketAddrV4::new(NEIGHBOUR.v4, port)).map(drop).context("nothing was sent")
        })?;
        watcher.drop_to(port)
    }

    /// Sends many packets that a rule drops, or that are late answers if they come from [`SERVER_PORT`].
    pub(crate) fn flood(&self, load: &Load, is_dropped: bool) -> Result<Sent> {
        let port = if is_dropped { *DROPPED.end() } else { CLIENT_PORT };
        load.send(&self.pair.client, SocketAddrV4::new(NEIGHBOUR.v4, port))
    }
}
