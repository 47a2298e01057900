//! Matches: what a rule asks of a packet.

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::truth::Truth;

/// A match of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// One that this version does not know.
    Unknown { name: String, revision: u8, data: Vec<u8> },
}

impl Match {
    /// Reads the kernel's structure of a match; `family` is that of the rule (`Ip` or `Ip6`, also in inet tables).
    pub fn decode(name: &str, revision: u8, _family: Family, data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::Unknown { name: name.to_owned(), revision, data: data.to_vec() })
    }

    /// Whether it holds for the packet.
    pub fn matches(&self, _view: &mut View<'_>) -> Truth {
        match self {
            Self::Unknown { name, .. } => Truth::unknown(format!("the match {name}")),
        }
    }

    /// As `iptables -S` prints it: `-m tcp --dport 22`.
    pub fn text(&self, _family: Family) -> String {
        match self {
            Self::Unknown { name, .. } => format!("-m {name}"),
        }
    }
}
