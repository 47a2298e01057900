//! Targets: what a rule does with a packet.

use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::walk::End;

/// A target of a rule that is no plain verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One that this version does not know.
    Unknown { name: String, revision: u8, data: Vec<u8> },
}

/// What a target comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// On to the next rule (`XT_CONTINUE`); what it changed stands in the [`View`].
    Continue,
    Accept,
    Ends(End),
    /// Taken out of the stack without being dropped.
    Stolen,
    /// Can't be told; a noun phrase.
    Unknown(String),
}

impl Target {
    /// Reads the kernel's structure of a target; `family` is that of the rule (`Ip` or `Ip6`, also in inet tables).
    pub fn decode(name: &str, revision: u8, _family: Family, data: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self::Unknown { name: name.to_owned(), revision, data: data.to_vec() })
    }

    /// What it does; `sure` if the rule surely matched (changes of marks are only possible ones otherwise).
    pub fn apply(&self, _view: &mut View<'_>, _sure: bool) -> Effect {
        match self {
            Self::Unknown { name, .. } => Effect::Unknown(format!("the target {name}")),
        }
    }

    /// As `iptables -S` prints it: `-j MARK --set-xmark 0x1/0xffffffff`.
    pub fn text(&self, _family: Family) -> String {
        match self {
            Self::Unknown { name, .. } => format!("-j {name}"),
        }
    }
}
