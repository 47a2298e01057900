//! `osf`: the sender's operating system by its SYN (`net/netfilter/xt_osf.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View, tcp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OsFingerprint {
    genre: String,
    flags: u32,
    log_level: u32,
    ttl: u32,
}

const TTL: u32 = 1 << 1;
const LOG: u32 = 1 << 2;
const INVERTED: u32 = 1 << 3;
const SYN: u8 = 0x02;

impl Extension for OsFingerprint {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { genre: blob.string(0, 32)?, flags: blob.u32(36)?, log_level: blob.u32(40)?, ttl: blob.u32(44)? })
    }

    /// What is no SYN is never meant, inverted or not.
    fn matches(&self, view: &mut View<'_>) -> Truth {
        let is_syn = tcp::header(view.packet).test("the TCP flags", |header| header[13] & SYN != 0);
        is_syn.and(Truth::unknown("the sender's operating system (osf)"))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("osf");
        line.option(self.flags & INVERTED != 0, "--genre", &self.genre);
        line.option_if(self.flags & TTL != 0, "--ttl", self.ttl);
        line.option_if(self.flags & LOG != 0, "--log", self.log_level);
        line
    }
}
