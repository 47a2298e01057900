//! States of a connection as rules ask for them, and `state` of kernels that have no `conntrack` match to make it of
//! (`net/netfilter/xt_state.c`).

use std::fmt::{self, Display, Formatter};

use crate::packet::{Connection, ConnectionState};

use super::line::list;
use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

/// `XT_CONNTRACK_STATE_` bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct States(pub u16);

const INVALID: u16 = 1 << 0;
const ESTABLISHED: u16 = 1 << 1;
const RELATED: u16 = 1 << 2;
const NEW: u16 = 1 << 3;
const SNAT: u16 = 1 << 6;
const DNAT: u16 = 1 << 7;
const UNTRACKED: u16 = 1 << 8;

/// `IPS_SRC_NAT`, `IPS_DST_NAT`.
const STATUS_SNAT: u32 = 0x10;
const STATUS_DNAT: u32 = 0x20;

impl Display for States {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const NAMES: [(u16, &str); 7] = [
            (INVALID, "INVALID"),
            (NEW, "NEW"),
            (RELATED, "RELATED"),
            (ESTABLISHED, "ESTABLISHED"),
            (UNTRACKED, "UNTRACKED"),
            (SNAT, "SNAT"),
            (DNAT, "DNAT"),
        ];
        f.write_str(&list(NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| name)))
    }
}

impl States {
    const fn has(self, bits: u16) -> bool {
        self.0 & bits != 0
    }

    /// Whether the packet's is one of them.
    pub(super) fn matches(self, tracked: Tracked<'_>) -> Truth {
        let connection = match tracked {
            Tracked::By(connection) => connection,
            Tracked::Invalid => return self.has(INVALID).into(),
            Tracked::Untracked => return self.has(UNTRACKED).into(),
            Tracked::Unknown => return Truth::unknown("the state of its connection"),
        };
        let is_state = self.has(match connection.state {
            ConnectionState::Invalid => INVALID,
            ConnectionState::New => NEW,
            ConnectionState::Established => ESTABLISHED,
            ConnectionState::Related => RELATED,
            ConnectionState::Untracked => UNTRACKED,
        });
        let translated = |bit, status| match is_translated(connection, status) {
            _ if !self.has(bit) => Truth::No,
            Some(is_translated) => is_translated.into(),
            None => Truth::unknown("whether its connection is translated"),
        };
        Truth::from(is_state).or(translated(SNAT, STATUS_SNAT)).or(translated(DNAT, STATUS_DNAT))
    }
}

/// By the connection's status, or by its ends: answers to it don't come from where it went to, or don't go to where it
/// came from.
fn is_translated(connection: &Connection, bit: u32) -> Option<bool> {
    if let Some(status) = connection.status {
        return Some(status & bit != 0);
    }
    let (original, reply) = (connection.original?, connection.reply?);
    Some(if bit == STATUS_SNAT {
        (original.source, original.source_port) != (reply.destination, reply.destination_port)
    } else {
        (original.destination, original.destination_port) != (reply.source, reply.source_port)
    })
}

/// `struct xt_state_info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State(States);

impl Extension for State {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let bits = blob.u32(0)?;
        let untracked = if bits & 1 << 6 == 0 { 0 } else { UNTRACKED };
        Ok(Self(States(bits as u16 & (INVALID | ESTABLISHED | RELATED | NEW) | untracked)))
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        self.0.matches(Tracked::of(view))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("state");
        line.option(false, "--state", self.0);
        line
    }
}
