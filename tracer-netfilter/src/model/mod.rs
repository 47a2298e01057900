//! One model for all rulesets: tables with chains with rules, whoever made them and however they were read.
//!
//! Rule: a ruleset is kept as the kernel gave it and a rule is decoded when it is looked at, because a node may have
//! 100,000 rules and a packet passes a few hundred.

mod expression;
mod key;
mod rule;
mod set;

use std::collections::HashMap;

pub use expression::{
    BitwiseOperation, DynamicOperation, Expression, HashKind, LimitUnit, MapTarget, NatKind, Operator, PayloadBase,
    Register, RejectKind, Verdict,
};
pub use key::{CtKey, Direction, ExtensionHeader, FibResult, MetaKey, RouteKey, SocketKey, TunnelKey};
pub use rule::{Counter, DecodeError, RawRule, Rule};
pub use set::{Element, ElementData, Elements, Set, SetFlags};

/// What runs the rules in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// nf_tables: made by nft, iptables-nft, ebtables-nft, arptables-nft or by a program's own netlink.
    Nft,
    /// x_tables: made by iptables-legacy, ip6tables-legacy.
    Legacy,
}

/// Address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    Ip,
    Ip6,
    Inet,
    Arp,
    Bridge,
    Netdev,
}

impl Family {
    /// As nft writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Inet => "inet",
            Self::Arp => "arp",
            Self::Bridge => "bridge",
            Self::Netdev => "netdev",
        }
    }

    /// `NFPROTO_` value (`include/uapi/linux/netfilter.h`).
    pub const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Ip => 2,
            Self::Arp => 3,
            Self::Netdev => 5,
            Self::Bridge => 7,
            Self::Ip6 => 10,
        }
    }

    pub const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Inet,
            2 => Self::Ip,
            3 => Self::Arp,
            5 => Self::Netdev,
            7 => Self::Bridge,
            10 => Self::Ip6,
            _ => return None,
        })
    }
}

/// Where on a packet's way a base chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Ingress,
    Egress,
}

impl Hook {
    /// As nft writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prerouting => "prerouting",
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }

    /// `NF_INET_` number of IP, inet and bridge tables; ARP counts input 0, output 1, forward 2; netdev counts ingress 0,
    /// egress 1 (inet ingress is 5).
    pub const fn from_number(family: Family, number: u32) -> Option<Self> {
        Some(match (family, number) {
            (Family::Netdev, 0) | (Family::Inet, 5) => Self::Ingress,
            (Family::Netdev, 1) => Self::Egress,
            (Family::Arp, 0) => Self::Input,
            (Family::Arp, 1) => Self::Output,
            (Family::Arp, 2) => Self::Forward,
            (Family::Arp | Family::Netdev, _) => return None,
            (_, 0) => Self::Prerouting,
            (_, 1) => Self::Input,
            (_, 2) => Self::Forward,
            (_, 3) => Self::Output,
            (_, 4) => Self::Postrouting,
            _ => return None,
        })
    }
}

/// Type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChainKind {
    Filter,
    /// Only the first packet of a connection passes it.
    Nat,
    Route,
}

/// What a base chain does with a packet that no rule decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    Accept,
    Drop,
}

/// What makes a chain a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    pub hook: Hook,
    /// Lower runs first.
    pub priority: i32,
    pub kind: ChainKind,
    pub policy: Policy,
    /// The devices of an ingress or egress chain; may end in `*`.
    pub devices: Vec<String>,
    /// Packets that reached the policy, where they are counted.
    pub counter: Option<Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub name: String,
    /// nf_tables handle; legacy has none.
    pub handle: Option<u64>,
    pub base: Option<Base>,
    pub rules: Vec<RawRule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub backend: Backend,
    pub family: Family,
    pub name: String,
    pub handle: Option<u64>,
    /// Switched off (`flags dormant`): none of its base chains runs.
    pub dormant: bool,
    /// Netlink port of the program that owns it alone (`flags owner`).
    pub owner: Option<u32>,
    pub comment: Option<String>,
    pub chains: Vec<Chain>,
    pub sets: Vec<Set>,
    pub flowtables: Vec<String>,
    /// Index in `chains` by name.
    index: HashMap<String, usize>,
}

impl Table {
    pub fn new(backend: Backend, family: Family, name: impl Into<String>) -> Self {
        Self {
            backend,
            family,
            name: name.into(),
            handle: None,
            dormant: false,
            owner: None,
            comment: None,
            chains: Vec::new(),
            sets: Vec::new(),
            flowtables: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Adds a chain and gives its index.
    pub fn push(&mut self, chain: Chain) -> usize {
        let index = self.chains.len();
        self.index.insert(chain.name.clone(), index);
        self.chains.push(chain);
        index
    }

    /// The index of a chain.
    pub fn find(&self, chain: &str) -> Option<usize> {
        self.index.get(chain).copied()
    }

    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.get(self.find(name)?)
    }

    pub fn set(&self, name: &str) -> Option<&Set> {
        self.sets.iter().find(|set| set.name == name)
    }
}

/// Everything that stands in the way of packets in one network namespace, as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// nf_tables' count of changes; `None` where nf_tables is not there.
    pub generation: Option<u32>,
    pub tables: Vec<Table>,
    /// What could not be read and why, a sentence each.
    pub gaps: Vec<String>,
}

/// A chain, or one of its rules, in a [`Ruleset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Index in [`Ruleset::tables`].
    pub table: usize,
    /// Index in [`Table::chains`].
    pub chain: usize,
    /// Position in its chain, from 1; 0 is the chain itself, as the place of its policy.
    pub number: u32,
}

impl Ruleset {
    pub fn table(&self, place: Place) -> Option<&Table> {
        self.tables.get(place.table)
    }

    pub fn chain(&self, place: Place) -> Option<&Chain> {
        self.table(place)?.chains.get(place.chain)
    }

    /// Decodes the rule at a place; `None` if there is none.
    pub fn rule(&self, place: Place) -> Option<Result<Rule, DecodeError>> {
        let table = self.table(place)?;
        let raw = table.chains.get(place.chain)?.rules.get(place.number.checked_sub(1)? as usize)?;
        Some(raw.decode(table, place.number))
    }
}
