//! `sctp`: ports and kinds of chunks (`net/netfilter/xt_sctp.c`).

use crate::packet::Packet;

use super::line::{list, range};
use super::seen::Seen;

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, ports, seen};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sctp {
    source: (u16, u16),
    destination: (u16, u16),
    /// One bit a chunk type. The kernel's field has room for 2048 types; what lies behind the 256 only says "all".
    chunks: Vec<u32>,
    how: How,
    /// Chunk type, flags wanted, flags looked at.
    flags: Vec<[u8; 3]>,
    asked: u32,
    inverted: u32,
}

/// `SCTP_CHUNK_MATCH_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Any,
    All,
    Only,
    Unknown,
}

const SOURCE: u32 = 0x01;
const DESTINATION: u32 = 0x02;
const CHUNKS: u32 = 0x04;
const HEADER: usize = 12;
/// `XT_NUM_SCTP_FLAGS`.
const MOST_FLAGS: u32 = 4;
/// Number, name and letters of the flags from the highest bit on.
const NAMES: &[(u8, &str, &[u8; 8])] = &[
    (0, "DATA", b"----IUBE"),
    (1, "INIT", b"--------"),
    (2, "INIT_ACK", b"--------"),
    (3, "SACK", b"--------"),
    (4, "HEARTBEAT", b"--------"),
    (5, "HEARTBEAT_ACK", b"--------"),
    (6, "ABORT", b"-------T"),
    (7, "SHUTDOWN", b"--------"),
    (8, "SHUTDOWN_ACK", b"--------"),
    (9, "ERROR", b"--------"),
    (10, "COOKIE_ECHO", b"--------"),
    (11, "COOKIE_ACK", b"--------"),
    (12, "ECN_ECNE", b"--------"),
    (13, "ECN_CWR", b"--------"),
    (14, "SHUTDOWN_COMPLETE", b"-------T"),
    (64, "I_DATA", b"----IUBE"),
    (128, "ASCONF_ACK", b"--------"),
    (130, "RE_CONFIG", b"--------"),
    (132, "PAD", b"--------"),
    (192, "FORWARD_TSN", b"--------"),
    (193, "ASCONF", b"--------"),
    (194, "I_FORWARD_TSN", b"--------"),
];

impl Extension for Sctp {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let words = (0..64).map(|word| blob.u32(8 + 4 * word)).collect::<Result<_, _>>()?;
        let flags = (0..blob.u32(280)?.min(MOST_FLAGS) as usize).map(|index| blob.bytes(268 + 3 * index));
        Ok(Self {
            destination: blob.u16_pair(0)?,
            source: blob.u16_pair(4)?,
            chunks: words,
            how: match blob.u32(264)? {
                1 => How::Any,
                2 => How::All,
                4 => How::Only,
                _ => How::Unknown,
            },
            flags: flags.collect::<Result<_, _>>()?,
            asked: blob.u32(284)?,
            inverted: blob.u32(288)?,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        if seen::is_later_fragment(packet) || seen::transport_slice(packet, 0, HEADER) == Seen::Short {
            return Truth::No;
        }
        let mut truth = Truth::Yes;
        if self.asks(SOURCE) {
            truth = truth.and(ports::source(packet, HEADER, self.source, self.is_inverted(SOURCE)));
        }
        if self.asks(DESTINATION) {
            truth = truth.and(ports::destination(packet, HEADER, self.destination, self.is_inverted(DESTINATION)));
        }
        if self.asks(CHUNKS) {
            let found = self.find(packet);
            truth = truth.and(found.test("the SCTP chunks", |holds| holds != self.is_inverted(CHUNKS)));
        }
        truth
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("sctp");
        for (bit, option, (lowest, highest)) in
            [(SOURCE, "--sport", self.source), (DESTINATION, "--dport", self.destination)]
        {
            if self.asks(bit) {
                line.option(self.is_inverted(bit), option, range(lowest, highest));
            }
        }
        if self.asks(CHUNKS) {
            let how = match self.how {
                How::Any => "any",
                How::All => "all",
                How::Only => "only",
                How::Unknown => "unknown",
            };
            line.option(self.is_inverted(CHUNKS), "--chunk-types", format!("{how} {}", self.names()));
        }
        line
    }
}

impl Sctp {
    const fn asks(&self, bit: u32) -> bool {
        self.asked & bit != 0
    }

    const fn is_inverted(&self, bit: u32) -> bool {
        self.inverted & bit != 0
    }

    fn wants(&self, kind: u8) -> bool {
        self.chunks.get(usize::from(kind / 32)).is_some_and(|word| word & 1 << (kind % 32) != 0)
    }

    fn has_flags(&self, kind: u8, flags: u8) -> bool {
        let asked = self.flags.iter().find(|[wanted, ..]| *wanted == kind);
        asked.is_none_or(|[_, value, mask]| flags & mask == *value)
    }

    /// Goes through the chunks up to the packet's end, as `match_packet` of the kernel does.
    fn find(&self, packet: &Packet) -> Seen<bool> {
        let (Some(start), Some(length)) = (seen::transport_offset(packet), packet.length) else { return Seen::Unknown };
        let mut offset = start.saturating_add(HEADER);
        let mut missing = if self.how == How::All { self.chunks.clone() } else { Vec::new() };
        loop {
            let [kind, flags, size @ ..] = match seen::network::<4>(packet, offset) {
                Seen::Is(chunk) => chunk,
                Seen::Short => return Seen::Short,
                Seen::Unknown => return Seen::Unknown,
            };
            let size = u16::from_be_bytes(size);
            if size == 0 {
                return Seen::Short;
            }
            offset = offset.saturating_add(usize::from(size).next_multiple_of(4));
            let is_wanted = self.wants(kind) && self.has_flags(kind, flags);
            match self.how {
                How::Any if is_wanted => return Seen::Is(true),
                How::Only if !is_wanted => return Seen::Is(false),
                How::All if is_wanted => {
                    if let Some(word) = missing.get_mut(usize::from(kind / 32)) {
                        *word &= !(1 << (kind % 32));
                    }
                }
                _ => {}
            }
            if offset >= length as usize {
                break;
            }
        }
        Seen::Is(match self.how {
            How::All => missing.iter().all(|word| *word == 0),
            How::Only => true,
            How::Any | How::Unknown => false,
        })
    }

    fn names(&self) -> String {
        if self.chunks.iter().all(|word| *word == 0) {
            return "NONE".to_owned();
        }
        if self.chunks.iter().all(|word| *word == u32::MAX) {
            return "ALL".to_owned();
        }
        list((0..=u8::MAX).filter(|kind| self.wants(*kind)).map(|kind| self.name(kind)))
    }

    /// A chunk type with its flags: in capitals those that must be set, small those that must not.
    fn name(&self, kind: u8) -> String {
        let (_, name, letters) = NAMES.iter().find(|(number, ..)| *number == kind).unwrap_or(&(0, "", b"--------"));
        let asked = self.flags.iter().find(|[wanted, ..]| *wanted == kind);
        let flags = asked.map_or_else(String::new, |[_, value, mask]| {
            let bits = letters.iter().enumerate().map(|(index, letter)| (0x80 >> index, *letter));
            let shown = bits.filter(|(bit, _)| mask & bit != 0);
            shown
                .map(|(bit, letter)| char::from(if value & bit == 0 { letter.to_ascii_lowercase() } else { letter }))
                .collect()
        });
        let colon = if flags.is_empty() { "" } else { ":" };
        format!("{name}{colon}{flags}")
    }
}
