//! Whether the policies allow a connection, and why.
//!
//! Rule: both directions are judged, each by the policies that select its pod; the connection is allowed if both allow it. What
//! can't be decided makes the verdict [`Verdict::Unknown`] unless the rest decides it alone.

mod course;
mod fit;
mod mismatch;
mod nearest;
mod side;
mod stage;
mod tier;
pub mod vendor;
mod view;

use std::net::IpAddr;

use crate::World;
use crate::model::{Pod, PolicyId, Protocol, Text};

pub use mismatch::Mismatch;
pub use nearest::Nearest;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub enum End<'a> {
    /// A pod of the pod network, at one of its addresses; one with `hostNetwork` is its node to most policies.
    Pod(&'a Pod, IpAddr),
    /// A node (by name, where it is known), or a process on one.
    Node(Option<&'a str>, IpAddr),
    /// Anything else.
    Outside(IpAddr),
}

impl<'a> End<'a> {
    pub const fn address(&self) -> IpAddr {
        match self {
            Self::Pod(_, address) | Self::Node(_, address) | Self::Outside(address) => *address,
        }
    }

    pub const fn pod(&self) -> Option<&'a Pod> {
        match self {
            Self::Pod(pod, _) => Some(pod),
            Self::Node(..) | Self::Outside(_) => None,
        }
    }
}

/// A new connection, or a datagram: ends and port after the translation of a Service's address.
#[derive(Clone, Copy, Debug)]
pub struct Connection<'a> {
    pub source: End<'a>,
    pub destination: End<'a>,
    pub protocol: Protocol,
    /// Of the destination.
    pub port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Egress,
    Ingress,
}

impl Direction {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    Allowed,
    Denied,
    /// It hangs on what [`Side::unknown`] says.
    Unknown,
}

/// What the policies say about both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// By the policies of the source's pod.
    pub egress: Side,
    /// By the policies of the destination's pod.
    pub ingress: Side,
}

impl Answer {
    /// Denied if either direction is; allowed if both are.
    pub fn verdict(&self) -> Verdict {
        match (self.egress.verdict, self.ingress.verdict) {
            (Verdict::Denied, _) | (_, Verdict::Denied) => Verdict::Denied,
            (Verdict::Allowed, Verdict::Allowed) => Verdict::Allowed,
            _ => Verdict::Unknown,
        }
    }

    /// The side that the verdict comes from: the denied one (egress first, as packets meet it), or one that a policy allowed.
    pub fn deciding(&self) -> &Side {
        let sides = [&self.egress, &self.ingress];
        let by = |wanted: Verdict| sides.into_iter().find(|side| side.verdict == wanted);
        let selected = || sides.into_iter().find(|side| !side.selected_by.is_empty());
        by(Verdict::Denied).or_else(|| by(Verdict::Unknown)).or_else(selected).unwrap_or(&self.ingress)
    }
}

/// One direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    pub direction: Direction,
    pub verdict: Verdict,
    pub why: Why,
    /// Every policy that selects the pod in this direction, of all kinds.
    pub selected_by: Vec<PolicyId>,
    /// The rule that allowed or denied it; none where nothing selects the pod, or by default.
    pub decided_by: Option<RuleId>,
    /// For a denial by default: the rule that came nearest.
    pub nearest: Option<Nearest>,
    /// What could not be decided: a field that is not understood, a namespace whose labels are not known.
    pub unknown: Vec<String>,
}

impl Side {
    /// Allowed, because no policy is about it.
    pub const fn open(direction: Direction, why: Why) -> Self {
        Self {
            direction,
            verdict: Verdict::Allowed,
            why,
            selected_by: Vec::new(),
            decided_by: None,
            nearest: None,
            unknown: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// This end is no pod of the pod network: no policy can select it.
    NotAPod,
    /// No policy that denies by default selects the pod in this direction, and no rule of an administrator decides it.
    NoPolicy,
    /// The pod talks to itself, which no policy can forbid.
    Itself,
    /// The pod's own node talks to it, which is always allowed (the kubelet's probes).
    OwnNode,
    /// A rule says so.
    Rule,
    /// A policy selects the pod, and no rule allows this.
    Default,
    /// See [`Side::unknown`].
    Undecided,
}

/// A rule in a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RuleId {
    pub policy: PolicyId,
    /// Position in the list of its direction, from 1.
    pub number: u32,
    /// Where the kind gives rules names.
    pub name: Option<Text>,
}

/// Judges a connection by all policies that the world knows.
///
/// The work is linear in the policies of the two pods' namespaces and of the whole cluster; nothing else is looked at.
pub fn evaluate(world: &World, connection: &Connection<'_>) -> Answer {
    Answer {
        egress: side::judge(world, connection, Direction::Egress),
        ingress: side::judge(world, connection, Direction::Ingress),
    }
}

/// `a, b, c`: the first few of a list that may be long.
fn listed(mut items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = items.by_ref().take(SHOWN).collect();
    match items.count() {
        0 => {}
        more => shown.push(format!("and {more} more")),
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests;
