//! What connection tracking knows of a packet when a rule asks.
//!
//! Rule: in the table raw it has not looked at the packet yet, unless that came over loopback; a rule there may tell it to
//! leave the packet alone.

use crate::evaluate::View;
use crate::model::Hook;
use crate::packet::{Connection, ConnectionState, Known};
use crate::truth::Truth;

/// `nf_ct_get` of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tracked<'a> {
    /// It belongs to this connection.
    By(&'a Connection),
    /// It belongs to none: not looked at, or nothing could be made of it.
    Invalid,
    /// Connection tracking was told to leave it alone.
    Untracked,
    Unknown,
}

/// `ARPHRD_LOOPBACK`.
const LOOPBACK: u16 = 772;

impl<'a> Tracked<'a> {
    pub(super) fn of(view: &View<'a>) -> Self {
        if view.no_track {
            return Self::Untracked;
        }
        let is_before = view.table.name == "raw" && matches!(view.hook, Hook::Prerouting | Hook::Output);
        if is_before {
            match &view.packet.input {
                Known::Is(device) if device.hardware == Some(LOOPBACK) || device.name == "lo" => {}
                Known::Unknown if view.hook == Hook::Prerouting => return Self::Unknown,
                _ => return Self::Invalid,
            }
        }
        match &view.packet.connection {
            Known::Is(Connection { state: ConnectionState::Invalid, .. }) | Known::Absent => Self::Invalid,
            Known::Is(Connection { state: ConnectionState::Untracked, .. }) => Self::Untracked,
            Known::Is(connection) => Self::By(connection),
            Known::Unknown => Self::Unknown,
        }
    }

    /// Whether there is one: most matches on connections hold for no packet without.
    pub(super) fn has_connection(self) -> Truth {
        match self {
            Self::By(_) => Truth::Yes,
            Self::Invalid | Self::Untracked => Truth::No,
            Self::Unknown => Truth::unknown("the packet's connection"),
        }
    }
}
