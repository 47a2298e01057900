//! SYNPROXY: answers a SYN in the listener's place.

use super::{Blob, Effect, End, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};

/// `struct xt_synproxy_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynProxy {
    options: u8,
    window_scale: u8,
    segment: u16,
}

const SEGMENT: u8 = 0x01;
const WINDOW_SCALE: u8 = 0x02;
const SACK: u8 = 0x04;
const TIMESTAMP: u8 = 0x08;
const CONGESTION: u8 = 0x10;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

impl Extension for SynProxy {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { options: blob.u8(0)?, window_scale: blob.u8(1)?, segment: blob.u16(2)? })
    }

    /// Takes a SYN and the ACK that answers its cookie, and lets all else go on (`synproxy_tg4`, `ipt_SYNPROXY.c`).
    fn apply(&self, view: &mut View<'_>, _sure: bool) -> Effect {
        let flags = view.packet.at(view.packet.transport, 13, 1).and_then(<[u8]>::first);
        match flags.map(|flags| flags & (FIN | SYN | RST | ACK)) {
            Some(SYN | ACK) => Effect::Ends(End::SynProxy),
            Some(_) => Effect::Continue,
            None => Effect::Unknown("the TCP flags".to_owned()),
        }
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("SYNPROXY")
            .flag_if(self.options & SACK != 0, "--sack-perm")
            .flag_if(self.options & TIMESTAMP != 0, "--timestamp")
            .option_if(self.options & WINDOW_SCALE != 0, "--wscale", self.window_scale)
            .option_if(self.options & SEGMENT != 0, "--mss", self.segment)
            .flag_if(self.options & CONGESTION != 0, "--ecn")
    }
}
