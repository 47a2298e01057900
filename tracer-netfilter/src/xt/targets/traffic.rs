//! CLASSIFY: the class that the queueing discipline puts the packet in.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_classify_target_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classify(u32);

impl Extension for Classify {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self(blob.u32(0)?))
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("CLASSIFY").option("--set-class", format_args!("{:04x}:{:04x}", self.0 >> 16, self.0 & 0xffff))
    }
}
