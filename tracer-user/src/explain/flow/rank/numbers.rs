//! The numbers that speak for and against suspects: how the attempts of the run fared, beside those that are judged.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::super::refused::PROHIBITED;
use crate::event::{Confidence, Direction, Flow, Outcome, SeenPacket};
use crate::flow::{Census, Service, Tally, Way};
use crate::node::socket::diag::{TCP, UDP};

/// How attempts of one kind fared, and at how many hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fared {
    /// Answered, by a refusal too: somebody is there.
    pub(super) alive: u64,
    pub(super) established: u64,
    pub(super) refused: u64,
    /// Not answered.
    pub(super) failed: u64,
    pub(super) alive_hosts: BTreeSet<IpAddr>,
    pub(super) failed_hosts: BTreeSet<IpAddr>,
    pub(super) failed_ports: BTreeSet<(u8, u16)>,
}

impl Fared {
    fn add(&mut self, service: &Service, tally: &Tally) {
        let (alive, failed) = (tally.established + tally.rejected, tally.no_answer);
        self.alive += alive;
        self.established += tally.established;
        self.refused += tally.rejected;
        self.failed += failed;
        if alive > 0 {
            self.alive_hosts.insert(service.server.ip());
        }
        if failed > 0 {
            self.failed_hosts.insert(service.server.ip());
            self.failed_ports.insert((service.protocol, service.server.port()));
        }
    }
}

/// What became of the attempts that are judged: it is the same for all of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing came back.
    Silent,
    /// Somebody out there refused.
    Refused,
    /// The handshake went through, large segments did not, and nobody says why.
    Large,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    pub(super) fate: Fate,
    /// Whom the attempts were for; never empty.
    pub(super) services: BTreeSet<(u8, SocketAddr)>,
    pub(super) hosts: BTreeSet<IpAddr>,
    pub(super) ports: BTreeSet<(u8, u16)>,
    /// One of them, after translation: for commands.
    pub(super) example: (u8, SocketAddr),
    /// The interfaces that they left by.
    pub(super) uplinks: BTreeSet<String>,
    /// The very same services.
    pub(super) same: Fared,
    /// Other ports of the same hosts.
    pub(super) other_ports: Fared,
    /// The same ports of other hosts.
    pub(super) other_hosts: Fared,
    /// Whatever was for other hosts.
    pub(super) elsewhere: Fared,
    /// Of the same services, `CLOCK_MONOTONIC` ns: when the last that was answered and the first that was not were begun.
    pub(super) last_ok: u64,
    pub(super) first_failed: u64,
    /// Hosts at which one of the ports was answered until some time, and not once after it.
    pub(super) stopped: BTreeSet<IpAddr>,
    /// When an attempt for one of the ports at any host was the last that was answered.
    pub(super) last_ok_of_port: u64,
    /// Ports that answered attempts left from, as far as they were told apart, and whether there were more.
    pub(super) ok_ports: (usize, bool),
    pub(super) failed_clients: usize,
    /// Handshakes after which large segments were lost.
    pub(super) large_lost: u64,
    /// Somebody on the way said so.
    pub(super) is_prohibited: bool,
}

impl Numbers {
    /// `None` if no attempt names whom it was for.
    pub(super) fn of(flows: &[&Flow], census: &Census) -> Option<Self> {
        let mut numbers = Self::of_flows(flows)?;
        // What stays on this node says nothing of what is beyond it.
        for (service, tally) in census.services.iter().filter(|(service, _)| service.way != Way::Local) {
            numbers.add(service, tally);
        }
        // A group may have more attempts than the census saw decided.
        let count = match numbers.fate {
            Fate::Silent => &mut numbers.same.failed,
            Fate::Refused => &mut numbers.same.refused,
            Fate::Large => &mut numbers.large_lost,
        };
        *count = (*count).max(flows.len() as u64);
        Some(numbers)
    }

    fn of_flows(flows: &[&Flow]) -> Option<Self> {
        let end = |flow: &&Flow| {
            let end = &flow.destination;
            Some((number(&flow.protocol)?, SocketAddr::new(end.address?, end.port?)))
        };
        let services: BTreeSet<_> = flows.iter().filter_map(end).collect();
        let first = flows.iter().find(|flow| end(flow).is_some())?;
        let translated = first.translated.as_ref().map(|translated| &translated.destination);
        let real = translated.and_then(|end| Some(SocketAddr::new(end.address?, end.port?)));
        let (protocol, named) = end(first)?;
        let seen = flows.iter().flat_map(|flow| &flow.seen).filter(|seen| seen.direction == Direction::Egress);
        let says = |flow: &&Flow, part: &str| {
            flow.explanation.as_ref().is_some_and(|explanation| explanation.summary.contains(part))
        };
        Some(Self {
            fate: fate(flows)?,
            hosts: services.iter().map(|(_, server)| server.ip()).collect(),
            ports: services.iter().map(|(protocol, server)| (*protocol, server.port())).collect(),
            example: (protocol, real.unwrap_or(named)),
            uplinks: seen.filter_map(|seen| seen.interface.name.clone()).take(64).collect(),
            services,
            same: Fared::default(),
            other_ports: Fared::default(),
            other_hosts: Fared::default(),
            elsewhere: Fared::default(),
            last_ok: 0,
            first_failed: u64::MAX,
            stopped: BTreeSet::new(),
            last_ok_of_port: 0,
            ok_ports: (0, false),
            failed_clients: 0,
            large_lost: 0,
            is_prohibited: flows.iter().any(|flow| says(flow, PROHIBITED)),
        })
    }

    fn add(&mut self, service: &Service, tally: &Tally) {
        let (protocol, server) = (service.protocol, service.server);
        if self.ports.contains(&(protocol, server.port())) {
            self.last_ok_of_port = self.last_ok_of_port.max(tally.ok.last);
            if tally.ok.count > 0 && tally.no_answer > 0 && tally.failed.first > tally.ok.last {
                self.stopped.insert(server.ip());
            }
        }
        if self.services.contains(&(protocol, server)) {
            self.same.add(service, tally);
            self.large_lost += tally.large_lost;
            self.last_ok = self.last_ok.max(tally.ok.last);
            if tally.failed.count > 0 {
                self.first_failed = self.first_failed.min(tally.failed.first);
            }
            self.ok_ports.0 += tally.ok.ports.values.len();
            self.ok_ports.1 |= tally.ok.ports.is_more;
            self.failed_clients = self.failed_clients.max(tally.failed.clients.values.len());
        } else if self.hosts.contains(&server.ip()) {
            self.other_ports.add(service, tally);
        } else {
            self.elsewhere.add(service, tally);
            if self.ports.contains(&(protocol, server.port())) {
                self.other_hosts.add(service, tally);
            }
        }
    }

    /// Whether all that were answered were begun before the first that was not.
    pub(super) fn began_to_fail(&self) -> bool {
        self.same.failed > 0 && self.first_failed != u64::MAX && self.first_failed > self.last_ok
    }

    /// How many hosts do not answer at the ports any more, if no other does either, and it is more than one: ports for
    /// translation run out for one host at a time.
    pub(super) fn all_stopped(&self) -> Option<usize> {
        let is_all = self.began_to_fail() && self.stopped.len() > 1 && self.first_failed > self.last_ok_of_port;
        is_all.then_some(self.stopped.len())
    }

    /// `tcp 443`, `tcp 443 and 2 more ports`.
    pub(super) fn ports_told(&self) -> String {
        let mut ports = self.ports.iter();
        let Some((protocol, port)) = ports.next() else { return "it".to_owned() };
        let first = format!("{} {port}", name(*protocol));
        match ports.len() {
            0 => first,
            1 => format!("{first} and 1 more port"),
            more => format!("{first} and {more} more ports"),
        }
    }

    /// `203.0.113.9`, `203.0.113.9 and 2 more hosts`.
    pub(super) fn hosts_told(&self) -> String {
        let mut hosts = self.hosts.iter();
        let Some(host) = hosts.next() else { return "it".to_owned() };
        match hosts.len() {
            0 => host.to_string(),
            1 => format!("{host} and 1 more host"),
            more => format!("{host} and {more} more hosts"),
        }
    }

    /// Addresses that no cloud translates on the way to them.
    pub(super) fn is_private(&self) -> bool {
        match self.example.1.ip() {
            IpAddr::V4(address) => address.is_private() || address.is_link_local(),
            IpAddr::V6(address) => address.is_unique_local() || address.is_unicast_link_local(),
        }
    }

    /// The shortest of these networks that all hosts are in, of several hosts: /24 and /16, or /64 and /48.
    pub(super) fn network(&self) -> Option<(String, bool)> {
        let lengths = if self.example.1.is_ipv4() { [24u8, 16] } else { [64, 48] };
        let first = self.hosts.first().filter(|_| self.hosts.len() > 1)?;
        let length = lengths.into_iter().find(|length| self.hosts.iter().all(|host| is_in(*host, *first, *length)))?;
        let is_alive = self.elsewhere.alive_hosts.iter().any(|host| is_in(*host, *first, length));
        Some((format!("{}/{length}", masked(*first, length)), is_alive))
    }

    /// Whether another host next to it answers.
    pub(super) fn neighbour(&self) -> Option<IpAddr> {
        let host = self.hosts.first()?;
        let length = if host.is_ipv4() { 24 } else { 64 };
        self.elsewhere.alive_hosts.iter().find(|other| is_in(**other, *host, length)).copied()
    }
}

/// `None` if there is nothing to suspect: somebody has said what it was.
fn fate(flows: &[&Flow]) -> Option<Fate> {
    let is = |outcome| flows.iter().all(|flow| flow.outcome == outcome);
    let is_told = |flow: &&Flow| flow.explanation.as_ref().is_some_and(|said| said.confidence != Confidence::Inferred);
    if is(Outcome::Rejected) {
        return Some(Fate::Refused);
    }
    if is(Outcome::Established) {
        return (!flows.iter().any(is_told)).then_some(Fate::Large);
    }
    // Where an answer was seen, it was lost on its way to the client: nothing is known of who is suspected here.
    let is_answered = |flow: &&Flow| flow.seen.iter().any(|seen| seen.packet == SeenPacket::Answer);
    (!flows.iter().any(is_answered)).then_some(Fate::Silent)
}

fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length.min(32))).unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

fn is_in(one: IpAddr, other: IpAddr, length: u8) -> bool {
    one.is_ipv4() == other.is_ipv4() && masked(one, length) == masked(other, length)
}

/// What events call `tcp` and `udp`.
fn number(protocol: &str) -> Option<u8> {
    match protocol {
        "tcp" => Some(TCP),
        "udp" => Some(UDP),
        _ => None,
    }
}

pub(super) use super::super::words::protocol as name;
