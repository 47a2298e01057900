//! `recent`: addresses seen lately (`net/netfilter/xt_recent.c`).

use std::net::IpAddr;

use super::super::address::Numeric;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    seconds: u32,
    hits: u32,
    actions: u8,
    is_inverted: bool,
    name: String,
    is_destination: bool,
    /// Since revision 1.
    mask: Option<IpAddr>,
}

const SET: u8 = 1 << 1;
/// `XT_RECENT_` bits that are printed in front of the seconds.
const ACTIONS: [(u8, &str); 4] = [(SET, "--set"), (1 << 0, "--rcheck"), (1 << 2, "--update"), (1 << 3, "--remove")];
const TTL: u8 = 1 << 4;
const REAP: u8 = 1 << 5;

impl Extension for Recent {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let mask = match blob.revision {
            0 => None,
            _ if blob.is_ipv6() => Some(IpAddr::from(blob.bytes::<16>(212)?)),
            _ => Some(IpAddr::from(blob.bytes::<4>(212)?)),
        };
        Ok(Self {
            seconds: blob.u32(0)?,
            hits: blob.u32(4)?,
            actions: blob.u8(8)?,
            is_inverted: blob.u8(9)? != 0,
            name: blob.string(10, 200)?,
            is_destination: blob.u8(210)? == 1,
            mask,
        })
    }

    /// To note an address always holds.
    fn matches(&self, _: &mut View<'_>) -> Truth {
        if self.has(SET) {
            return Truth::from(!self.is_inverted);
        }
        Truth::unknown(format!("the addresses seen lately (recent {})", self.name))
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("recent");
        let mut is_inverted = self.is_inverted;
        for (_, option) in ACTIONS.iter().filter(|(bit, _)| self.has(*bit)) {
            line.flag(std::mem::take(&mut is_inverted), option);
        }
        line.option_if(self.seconds != 0, "--seconds", self.seconds.cast_signed());
        line.flag_if(self.has(REAP), "--reap");
        line.option_if(self.hits != 0, "--hitcount", self.hits.cast_signed());
        line.flag_if(self.has(TTL), "--rttl");
        line.option(false, "--name", &self.name);
        if let Some(mask) = self.mask {
            line.option(false, "--mask", Numeric(mask));
        }
        line.flag(false, if self.is_destination { "--rdest" } else { "--rsource" });
        line
    }
}

impl Recent {
    const fn has(&self, bit: u8) -> bool {
        self.actions & bit != 0
    }
}
