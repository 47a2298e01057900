//! A rule: what it asks of a packet and what it does, and how it is kept until someone wants to know.

use thiserror::Error;

use super::{Expression, Table};

/// Packets and bytes that a rule or policy has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    pub packets: u64,
    pub bytes: u64,
}

/// A rule as the kernel gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawRule {
    Nft {
        handle: u64,
        /// The netlink attributes of the rule (`NFTA_RULE_`), whole.
        attributes: Box<[u8]>,
    },
    Legacy {
        /// `struct ipt_entry` or `struct ip6t_entry` with its matches and target.
        entry: Box<[u8]>,
        /// Index in [`Table::chains`] of where it jumps to.
        jump: Option<usize>,
    },
}

/// A decoded rule. Matches and actions run in order; the first match that fails ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Position in its chain, from 1.
    pub number: u32,
    /// nf_tables handle; legacy has none.
    pub handle: Option<u64>,
    /// nft's comment or the first of `-m comment`.
    pub comment: Option<String>,
    /// Its own counter, as it stood when it was read; absent where it has none.
    pub counter: Option<Counter>,
    /// A legacy rule is: the header match, its matches, the counter, the target or verdict.
    pub expressions: Vec<Expression>,
}

/// Why a rule can't be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("the kernel's answer is cut short in {0}")]
    Short(&'static str),
    #[error("the kernel's answer makes no sense in {0}")]
    Malformed(&'static str),
    #[error("{name} revision {revision} is not known to this version of whydrop")]
    Revision { name: String, revision: u8 },
}

impl RawRule {
    pub(super) fn decode(&self, table: &Table, number: u32) -> Result<Rule, DecodeError> {
        match self {
            Self::Nft { handle, attributes } => crate::nft::rule(table.family, *handle, attributes, number),
            Self::Legacy { entry, jump } => crate::legacy::rule(table, entry, *jump, number),
        }
    }
}
