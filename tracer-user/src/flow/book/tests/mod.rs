//! The book with literal sightings: what joins, what is decided when, and where it is said to be lost.

mod bounds;
mod decide;
mod join;
mod place;

use std::sync::Arc;

use super::*;
use crate::event::{Cause, Confidence, Explanation};
use crate::flow::{Icmp, Pair};
use crate::host::{Netns, NetnsName};

const MS: u64 = 1_000_000;
/// When the attempts of the tests begin.
const BEGIN: u64 = 100_000 * MS;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// A device: namespace, index, role. The host is 1; a pod's veth leads to the namespace of its index.
type Device = (u32, u32, Role);

const ETH0: Device = (1, 2, Role::Uplink);
const ETH1: Device = (1, 3, Role::Uplink);
const POD_A: Device = (1, 11, Role::Pod);
const POD_B: Device = (1, 12, Role::Pod);
const VXLAN: Device = (1, 20, Role::Tunnel);
/// Inside the pods.
const IN_A: Device = (11, 2, Role::Uplink);
const IN_B: Device = (12, 2, Role::Uplink);

const DEVICES: [Device; 7] = [ETH0, ETH1, POD_A, POD_B, VXLAN, IN_A, IN_B];

const CLIENT: &str = "10.0.0.7:40000 10.96.0.1:80";
const TRANSLATED: &str = "10.0.0.7:40000 10.0.1.9:8080";
const MASQUERADED: &str = "192.0.2.1:50000 10.0.1.9:8080";

fn tuple(text: &str) -> Tuple {
    let (client, server) = text.split_once(' ').unwrap();
    Tuple { protocol: TCP, client: client.parse().unwrap(), server: server.parse().unwrap() }
}

fn udp(text: &str) -> Tuple {
    Tuple { protocol: UDP, ..tuple(text) }
}

fn points() -> Arc<Points> {
    let netns = |inode| Arc::new(Netns { inode, name: NetnsName::Named(format!("ns{inode}")), doors: Vec::new() });
    let mut points = Points::default();
    for (inode, index, role) in DEVICES {
        let leads_to = (role == Role::Pod).then(|| netns(index));
        let name = format!("dev{inode}-{index}");
        points.insert(Point { netns: netns(inode), index, name, role, leads_to, kind: None });
    }
    Arc::new(points)
}

/// A sighting of `device` whose first packet was `first` ms after the begin.
fn see(device: Device, tuple: Tuple, first: u64) -> Sighting {
    let (netns, ifindex, _) = device;
    Sighting::bare(netns, ifindex, tuple, BEGIN + first * MS)
}

const fn came(ingress: u32) -> Pair {
    Pair { ingress, egress: 0 }
}

const fn left(egress: u32) -> Pair {
    Pair { ingress: 0, egress }
}

impl Sighting {
    /// Openers that came in by the device.
    fn came(self, count: u32) -> Self {
        Self { opened: came(count), ..self }
    }

    fn left(self, count: u32) -> Self {
        Self { opened: left(count), ..self }
    }

    fn until(self, last: u64) -> Self {
        Self { last: BEGIN + last * MS, ..self }
    }

    fn of(self, original: Tuple) -> Self {
        Self { original: Some(original), ..self }
    }

    /// An answer, `at` ms after the begin, on the way back.
    fn answered(self, at: u64) -> Self {
        self.answered_by(1, at)
    }

    fn answered_by(self, count: u32, at: u64) -> Self {
        let answers = Pair { ingress: self.opened.egress.min(1) * count, egress: self.opened.ingress.min(1) * count };
        let at = BEGIN + at * MS;
        Self { answers, answered: Some(at), last: self.last.max(at), ..self }
    }

    /// An answer without the openers, `is_ingress` or not.
    fn only_answers(self, answers: Pair) -> Self {
        Self { answers, answered: Some(self.id.first), ..self }
    }

    fn refused(self, kind: u8, code: u8) -> Self {
        let from = "192.0.2.254".parse().unwrap();
        let icmp = Icmp { from, count: 1, kind, code, mtu: 0, is_ingress: true, quotes_server: false, ttl: 60 };
        Self { icmp: Some(icmp), ..self }
    }
}

/// A book that has read these until `read` ms after the begin.
fn book(read: u64, sightings: &[Sighting]) -> Book {
    let mut book = Book::default();
    book.read_on(read, sightings);
    book
}

impl Book {
    fn read_on(&mut self, read: u64, sightings: &[Sighting]) {
        let read = BEGIN + read * MS;
        self.add(&Batch { read, points: points(), sightings: sightings.to_vec(), ..Batch::default() });
    }

    fn lose_on(&mut self, read: u64, gone: &[Sighting]) {
        let gone = gone.iter().map(|sighting| sighting.id).collect();
        self.add(&Batch { read: BEGIN + read * MS, points: points(), gone, ..Batch::default() });
    }

    fn told(&mut self) -> Vec<Story> {
        self.take(u64::MAX, false)
    }

    /// The one story that is decided.
    fn one(&mut self) -> Story {
        let stories = self.told();
        assert_eq!(stories.len(), 1, "{stories:#?}");
        stories.into_iter().next().unwrap()
    }

    /// Nothing failed so far: established, and not decided.
    fn so_far(&mut self) -> (u64, u64) {
        assert_eq!(self.told(), []);
        (self.totals().established, self.totals().pending)
    }
}

fn drop_seen(at: u64, is_answer: bool, summary: &str) -> DropSeen {
    DropSeen {
        netns: crate::event::Netns { inode: 1, name: None, pod: None },
        time: BEGIN + at * MS,
        count: 1,
        is_answer,
        tuple: Tuple { protocol: 6, client: ([0; 4], 0).into(), server: ([0; 4], 0).into() },
        explanation: Explanation::new(Cause::NetfilterRule, Confidence::Certain, summary),
    }
}

/// The device's name.
fn name(point: &Arc<Point>) -> &str {
    &point.name
}
