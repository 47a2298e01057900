//! CT and NOTRACK: how connection tracking will treat the packet.

use super::{Blob, Effect, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::packet::{ConnectionState, Known};

/// `struct xt_ct_target_info_v1`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    flags: u16,
    zone: u16,
    events: u32,
    expectation_events: u32,
    helper: String,
    timeout: String,
}

const NO_TRACK: u16 = 0x01;
/// It was written as `-j NOTRACK`.
const ALIAS: u16 = 0x02;
const ZONE_ORIGINAL: u16 = 0x04;
const ZONE_REPLY: u16 = 0x08;
/// The zone is the packet's mark.
const ZONE_MARK: u16 = 0x10;

/// `enum ip_conntrack_events`, as `--ctevents` takes them.
const EVENTS: [(u32, &str); 10] = [
    (0, "new"),
    (1, "related"),
    (2, "destroy"),
    (3, "reply"),
    (4, "assured"),
    (5, "protoinfo"),
    (6, "helper"),
    (7, "mark"),
    (8, "natseqinfo"),
    (9, "secmark"),
];

impl Extension for Connection {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        if blob.name == "NOTRACK" {
            let flags = NO_TRACK | ALIAS;
            return Ok(Self {
                flags,
                zone: 0,
                events: 0,
                expectation_events: 0,
                helper: String::new(),
                timeout: String::new(),
            });
        }
        blob.known_revisions(&[0, 1, 2])?;
        Ok(Self {
            flags: blob.u16(0)?,
            zone: blob.u16(2)?,
            events: blob.u32(4)?,
            expectation_events: blob.u32(8)?,
            helper: blob.string(12, 16)?,
            timeout: if blob.revision == 0 { String::new() } else { blob.string(28, 32)? },
        })
    }

    /// Leaves alone what is tracked already (`xt_ct_target`, `xt_CT.c`).
    fn apply(&self, view: &mut View<'_>, sure: bool) -> Effect {
        let is_tracked = matches!(&view.packet.connection, Known::Is(connection)
            if matches!(connection.state, ConnectionState::Established | ConnectionState::Related));
        if self.flags & NO_TRACK != 0 && sure && !is_tracked {
            view.no_track = true;
        }
        Effect::Continue
    }

    fn line(&self, _family: Family) -> Line {
        if self.flags & ALIAS != 0 {
            return Line::new("NOTRACK");
        }
        let zone = match self.flags & (ZONE_ORIGINAL | ZONE_REPLY) {
            ZONE_ORIGINAL => "--zone-orig",
            ZONE_REPLY => "--zone-reply",
            _ => "--zone",
        };
        Line::new("CT")
            .flag_if(self.flags & NO_TRACK != 0, "--notrack")
            .option_if(!self.helper.is_empty(), "--helper", &self.helper)
            .option_if(!self.timeout.is_empty(), "--timeout", &self.timeout)
            .option_if(self.events != 0, "--ctevents", events(self.events))
            .option_if(self.expectation_events != 0, "--expevents", "new")
            .option_if(self.flags & ZONE_MARK != 0, zone, "mark")
            .option_if(self.flags & ZONE_MARK == 0 && self.zone != 0, zone, self.zone)
    }
}

fn events(mask: u32) -> String {
    let names = EVENTS.iter().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, name)| *name);
    names.collect::<Vec<_>>().join(",")
}
