//! LED: blinks.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_led_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Led {
    id: String,
    is_always_blinking: bool,
    /// Milliseconds; -1 for ever.
    delay: i32,
}

impl Extension for Led {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let id = blob.string(0, 27)?;
        Ok(Self {
            id: id.strip_prefix("netfilter-").unwrap_or(&id).to_owned(),
            is_always_blinking: blob.u8(27)? != 0,
            delay: blob.u32(28)?.cast_signed(),
        })
    }

    fn line(&self, _family: Family) -> Line {
        let id = self.id.replace('\\', "\\\\").replace('"', "\\\"");
        Line::new("LED")
            .option("--led-trigger-id", format_args!("\"{id}\""))
            .option_if(self.delay > 0, "--led-delay", self.delay)
            .option_if(self.delay == -1, "--led-delay", "inf")
            .flag_if(self.is_always_blinking, "--led-always-blink")
    }
}
