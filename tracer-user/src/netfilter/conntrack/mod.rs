//! Connection tracking and address translation where they, and no rule, ended a packet; and why a packet is INVALID.
//!
//! Rules: nothing is read before a drop makes it likely; a list is read for [`PATIENCE`] and [`MOST_ENTRIES`] at most and
//! used again for a while, so that a million entries and a flood of drops cost no more than a few; what was cut is said.

mod checksum;
mod invalid;
mod statistics;
mod table;
mod translation;

use std::sync::Arc;
use std::time::Duration;

use tracer_netfilter::Hook;
use tracer_netfilter::conntrack::Answers;
use tracer_netfilter::packet::{Connection, ConnectionState, Known, Packet, Tuple};

pub use invalid::{Direction, Invalid, Segment, Settings, Why};
pub use statistics::Pressure;
pub use table::{Creator, Table, Target, Timeouts};
pub use translation::{Becomes, Ports, Translation, Translator, Used};

use super::Question;
use crate::node::recent::{self, Recent};

/// How long one look into the table may take.
const PATIENCE: Duration = Duration::from_millis(100);
/// Entries looked at in one look.
const MOST_ENTRIES: u32 = 50_000;

/// What the connection table has to do with a drop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Connections {
    /// Nothing that is known.
    #[default]
    None,
    /// The table is full: what is in it, or why that is not known.
    Full(Result<Arc<Table>, String>),
    /// A new connection could not be put in.
    Clash(Translation),
    /// The packet has no place in it.
    Invalid(Box<Invalid>),
}

/// What is kept of one namespace between questions.
#[derive(Debug, Default)]
pub(super) struct Memory {
    watch: statistics::Watch,
    tables: Recent<(), Result<Arc<Table>, String>>,
    ports: Recent<(Answers, Ports), Result<Arc<Used>, String>>,
}

impl Memory {
    /// Reads what is compared with later.
    pub(super) fn prime(&mut self) {
        self.watch.look(0);
    }

    /// How connection tracking does, because of a drop at `time` (`CLOCK_MONOTONIC`, ns).
    pub(super) fn look(&mut self, time: u64) -> Option<Pressure> {
        self.watch.look(time)
    }

    /// What can be said of a drop that no rule need have made.
    pub(super) fn of_core(
        &mut self,
        question: &Question,
        pressure: &Pressure,
        unknown: &mut Vec<String>,
        rules: impl FnOnce() -> Vec<Translator>,
    ) -> Connections {
        let [spot] = &*question.spots else { return Connections::None };
        match spot.hook {
            Hook::Prerouting | Hook::Output if pressure.is_full() => {
                let read = self.tables.get((), question.time, || table::read().map(Arc::new));
                Connections::Full(recent::note(TABLE, read, unknown).unwrap_or_else(unread))
            }
            Hook::Postrouting | Hook::Input if pressure.insert_failed > 0 => {
                let ports = &mut self.ports;
                let used = |answers: Answers, range: Ports| {
                    let read = || translation::used(&answers, range).map(Arc::new);
                    let read = ports.get((answers, range), question.time, read);
                    recent::note(TABLE, read, unknown).unwrap_or_else(unread)
                };
                Translation::of(&spot.packet, rules, used).map_or(Connections::None, Connections::Clash)
            }
            _ => Connections::None,
        }
    }
}

/// What is noted of a reading that could not be made again.
const TABLE: &str = "what is in the connection table";

fn unread<T>() -> Result<T, String> {
    Err("it was not read again yet, to spare the CPU".to_owned())
}

/// Why connection tracking calls the packet invalid.
pub(super) fn invalid(packet: &Packet) -> Connections {
    Connections::Invalid(Box::new(Invalid::read(packet)))
}

/// Whether connection tracking found no place for the packet.
pub(super) const fn is_invalid(packet: &Packet) -> bool {
    matches!(&packet.connection, Known::Is(Connection { state: ConnectionState::Invalid, .. }))
}

/// The packet as if connection tracking had a place for it; `None` if it has no addresses.
pub(super) fn tracked(packet: &Packet, state: ConnectionState) -> Option<Packet> {
    let ports = (packet.source_port.unwrap_or(0), packet.destination_port.unwrap_or(0));
    let (source, destination, protocol) = (packet.source?, packet.destination?, packet.protocol?);
    let original = Tuple { source, destination, source_port: ports.0, destination_port: ports.1, protocol };
    let reply =
        Tuple { source: destination, destination: source, source_port: ports.1, destination_port: ports.0, protocol };
    let mark = match &packet.connection {
        Known::Is(connection) => connection.mark,
        Known::Absent | Known::Unknown => None,
    };
    // Confirmed, with an answer seen, and assured; a new one is none of it.
    let status = if state == ConnectionState::New { 0 } else { 0x0e };
    let (original, reply, status) = (Some(original), Some(reply), Some(status));
    let connection = Connection { state, is_reply: false, mark, status, original, reply };
    Some(Packet { connection: Known::Is(connection), ..packet.clone() })
}
