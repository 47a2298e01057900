//! One attempt from end to end: all its sightings, what it was translated to, what dropped it, and what became of it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::event::{Explanation, Netns, Outcome};

use super::{Point, Resent, Sighting, Tuple};

/// A drop of one of its packets on this node, as its `drop` line said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropSeen {
    pub netns: Netns,
    /// `CLOCK_MONOTONIC` ns of the last.
    pub time: u64,
    pub count: u64,
    /// A packet of the server's.
    pub is_answer: bool,
    /// Both ends as the packet had them, the client's first: after translation, if it was translated by then.
    pub tuple: Tuple,
    pub explanation: Explanation,
}

/// Which way an attempt went through this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Way {
    /// It came in by an uplink, for somebody here.
    In,
    /// Somebody here began it, and it left by an uplink, or was to.
    Out,
    /// It came in by an uplink and left by an uplink.
    Through,
    /// Both ends are here.
    Local,
}

/// Who refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// A RST, first seen at this device.
    Reset { at: Arc<Point> },
    /// An ICMP or ICMPv6 error from this address.
    Icmp { from: IpAddr, kind: u8, code: u8 },
}

/// Where an attempt without an answer went missing, as far as the devices that saw it tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It left by this uplink, and nothing came back.
    AfterNode { at: Arc<Point> },
    /// It was handed to this device, which leads to a namespace here, and nothing came back from there.
    InPod { at: Arc<Point> },
    /// It came in by this device and was seen nowhere further on, and no drop was seen either.
    Between { from: Arc<Point> },
    /// It came in by this device and is for the device's own namespace, which did not answer.
    InNetns { at: Arc<Point> },
    /// An answer came in by this device and got no further.
    Answer { from: Arc<Point> },
    /// The answer came in by (or left by) another device than the one that the attempt used.
    AnswerElsewhere { asked: Arc<Point>, answered: Arc<Point> },
    /// The answer left by this device again and again: it does not arrive, or what the client confirms it with does not, or
    /// the server's queue of finished handshakes is full.
    Unconfirmed { at: Arc<Point> },
    /// The handshake went well, and then large segments are sent again and again ([`Story::resent`]). They were to leave by
    /// this device, if the handshake was seen.
    LargeSegments { at: Option<Arc<Point>> },
}

/// An attempt that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// Before any translation: as the client sees it.
    pub tuple: Tuple,
    /// As it was last seen, if that is another.
    pub translated: Option<Tuple>,
    pub way: Way,
    pub outcome: Outcome,
    pub rejection: Option<Rejection>,
    /// For [`Outcome::NoAnswer`], and where an answer did not arrive.
    pub lost: Option<Lost>,
    /// In the order of the first packet, each with its device; a sighting whose device is not known any more is left out.
    pub sightings: Vec<(Arc<Point>, Sighting)>,
    pub drops: Vec<DropSeen>,
    pub resent: Option<Resent>,
    /// SYNs or requests, at the device that saw most.
    pub attempts: u32,
    /// `CLOCK_MONOTONIC` ns.
    pub first: u64,
    pub last: u64,
    /// From the first packet to its answer at the device nearest to the client, ns.
    pub rtt: Option<u64>,
}

impl Story {
    /// Answers, at the device that saw most. More than [`Self::attempts`]: the client did not confirm them.
    pub fn answers(&self) -> u32 {
        self.sightings.iter().map(|(_, sighting)| sighting.answers.most()).max().unwrap_or(0)
    }

    /// The client broke it off with a RST.
    pub fn is_given_up(&self) -> bool {
        self.sightings.iter().any(|(_, sighting)| sighting.client_resets.any())
    }

    /// Whether it failed. A handshake may go well, and what comes after it not.
    pub fn is_failing(&self) -> bool {
        self.outcome != Outcome::Established || self.lost.is_some()
    }
}
