//! NFQUEUE: hands the packet to a program.

use super::{Blob, Effect, End, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};

/// `struct xt_NFQ_info_v3`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The first queue.
    pub number: u16,
    /// Queues to share the packets among.
    pub total: u16,
    flags: u16,
}

/// Without a program the packet goes on as if it were accepted.
const BYPASS: u16 = 0x01;
const CPU_FANOUT: u16 = 0x02;

impl Extension for Queue {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1, 2, 3])?;
        let total = if blob.revision == 0 { 1 } else { blob.u16(2)? };
        let flags = match blob.revision {
            0 | 1 => 0,
            // `bypass` was a number of its own.
            2 => u16::from(blob.u16(4)? != 0),
            _ => blob.u16(4)?,
        };
        Ok(Self { number: blob.u16(0)?, total, flags })
    }

    /// The first queue stands for all: which one it is hangs on the flow's hash or the CPU.
    fn apply(&self, _view: &mut View<'_>, _sure: bool) -> Effect {
        Effect::Ends(End::Queue { number: self.number, bypass: self.flags & BYPASS != 0 })
    }

    fn line(&self, _family: Family) -> Line {
        let last = self.number.saturating_add(self.total.saturating_sub(1));
        let line = Line::new("NFQUEUE");
        let line = if self.total > 1 {
            line.option("--queue-balance", format_args!("{}:{last}", self.number))
        } else {
            line.option("--queue-num", self.number)
        };
        line.flag_if(self.flags & BYPASS != 0, "--queue-bypass")
            .flag_if(self.flags & CPU_FANOUT != 0, "--queue-cpu-fanout")
    }
}
