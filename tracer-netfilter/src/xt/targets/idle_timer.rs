//! IDLETIMER: tells user space when nothing has passed for a while.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct idletimer_tg_info_v1`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdleTimer {
    /// Seconds.
    timeout: u32,
    label: String,
    is_alarm: bool,
}

impl Extension for IdleTimer {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let is_alarm = blob.revision == 1 && blob.u8(33)? & 0x01 != 0;
        Ok(Self { timeout: blob.u32(0)?, label: blob.string(4, 28)?, is_alarm })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("IDLETIMER")
            .option("--timeout", self.timeout)
            .option("--label", &self.label)
            .flag_if(self.is_alarm, "--alarm")
    }
}
