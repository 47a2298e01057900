//! TCPMSS, TCPOPTSTRIP: other TCP options.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_tcpmss_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaximumSegment(u16);

/// `XT_TCPMSS_CLAMP_PMTU`: as the path allows.
const CLAMP: u16 = 0xffff;

impl Extension for MaximumSegment {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self(blob.u16(0)?))
    }

    fn line(&self, _family: Family) -> Line {
        let line = Line::new("TCPMSS");
        if self.0 == CLAMP { line.flag("--clamp-mss-to-pmtu") } else { line.option("--set-mss", self.0) }
    }
}

/// `struct xt_tcpoptstrip_target_info`: a bit for each option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionStrip([u32; 8]);

impl Extension for OptionStrip {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let mut bits = [0; 8];
        for (number, word) in bits.iter_mut().enumerate() {
            *word = blob.u32(number * 4)?;
        }
        Ok(Self(bits))
    }

    fn line(&self, _family: Family) -> Line {
        let words = (0_u32..).step_by(32).zip(self.0);
        let options =
            words.flat_map(|(first, word)| (0..32).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit));
        let options: Vec<String> = options.map(|option| option.to_string()).collect();
        Line::new("TCPOPTSTRIP").option_if(!options.is_empty(), "--strip-options", options.join(","))
    }
}
