//! What a rule does with a packet that it matches.

use std::net::IpAddr;

use super::registers::Reason;
use crate::model::NatKind;
use crate::walk::End;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// On to the next rule.
    Continue,
    Accept,
    Return,
    /// Index of the chain in its table.
    Jump(usize),
    Goto(usize),
    Drop(End),
    /// Ends the packet or not, by what no rule says; if not, it is accepted or goes on to the next rule.
    MayDrop {
        end: End,
        reason: Reason,
        accepts: bool,
    },
    /// Out of the stack, neither dropped nor passed on.
    Stolen,
    /// Can't be told.
    Unclear(Reason),
    /// Address translation, which accepts.
    Translate(Translation),
}

/// The address and port that a packet gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translation {
    pub kind: NatKind,
    pub address: Target<IpAddr>,
    pub port: Target<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<T> {
    Stays,
    Becomes(T),
    Unknown,
}

/// What looking at a rule came to.
#[derive(Debug)]
pub(super) enum Ran {
    /// What did not match, in a word or two.
    No(Reason),
    Matches {
        /// Why it can't be told whether it matches; `None` if it surely does.
        doubt: Option<Reason>,
        /// What it does: more than one thing if it can't be told which.
        actions: Vec<Action>,
        /// Elements of sets that decided.
        sets: Vec<String>,
    },
}
