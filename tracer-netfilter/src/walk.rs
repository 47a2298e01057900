//! What asking a ruleset about a packet gives.

use crate::model::{Backend, Hook, Place};
use crate::packet::Packet;

/// Which rules can stand at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// Tables `ip`, `ip6` and `inet` by the packet's family, and legacy ones.
    Ip,
    Bridge,
    Arp,
    /// Ingress and egress of a device: tables `netdev`, and `inet` for ingress.
    Device,
}

/// A question to the ruleset.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub packet: &'a Packet,
    pub hook: Hook,
    pub layer: Layer,
    /// Where the packet is known to have been dropped: only rules of this backend can have done it. `None`: not known.
    pub backend: Option<Backend>,
    /// Keep every rule that was looked at in [`Walk::steps`].
    pub verbose: bool,
}

/// How a rule or policy ends a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Drop,
    /// Dropped, and the sender is told: what with, as the rule's text has it (`icmp-port-unreachable`, `tcp-reset`).
    Reject(String),
    /// The policy of a base chain.
    Policy,
    /// To a program by this queue; it is dropped when none takes it.
    Queue {
        number: u16,
        bypass: bool,
    },
    /// TPROXY drops what it finds no listener for.
    TransparentProxy,
    /// SYNPROXY answers in the listener's place, and drops the SYN.
    SynProxy,
}

/// A rule (or policy, [`Place::number`] 0) that drops the packet, for sure or perhaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub place: Place,
    pub end: End,
    /// The rules by which the walk left each chain, from the base chain on; the candidate itself is last.
    pub path: Vec<Place>,
    /// What it hangs on, a noun phrase each: empty when it is sure that a packet like this ends here.
    pub unknown: Vec<String>,
    /// Rules on the way that set a mark which then decided.
    pub marks: Vec<Place>,
    /// Elements of sets that decided, a sentence each: `10.0.0.1 is in set bl (10.0.0.0/24)`.
    pub sets: Vec<String>,
}

/// What became of the packet, as far as the ruleset tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every base chain lets it pass.
    Accepted,
    /// The last candidate drops it for sure, unless an earlier one does.
    Dropped,
    /// It passes if no candidate drops it.
    Open,
}

/// What address translation made of the destination of a packet that was not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    #[default]
    Stays,
    /// The packet with the destination that a rule gives it.
    Becomes(Box<Packet>),
    /// A rule gives it, or may give it, one that can't be known beforehand.
    Unknown,
}

/// One rule that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub place: Place,
    /// Depth of jumps, 0 in a base chain.
    pub depth: u8,
    /// What it came to: `matches: accept`, `does not match (tcp dport)`, `hangs on the rate so far`.
    pub says: String,
}

/// The answer to a [`Question`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    pub outcome: Outcome,
    /// In the order of the walk.
    pub candidates: Vec<Candidate>,
    /// The packet's mark at the end, where it is known.
    pub mark: Option<u32>,
    pub destination: Destination,
    /// Rules that give the packet another address, or may: the first that surely matches is the last here.
    pub translators: Vec<Place>,
    /// What was not known and changed nothing, or kept rules from being read: a noun phrase each.
    pub unknown: Vec<String>,
    pub steps: Vec<Step>,
}
