//! SECMARK, CONNSECMARK: labels for a security module, which rules do not see.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_secmark_target_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityMark {
    context: String,
}

impl Extension for SecurityMark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        Ok(Self { context: blob.string(if blob.revision == 0 { 8 } else { 1 }, 256)? })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("SECMARK").option("--selctx", &self.context)
    }
}

/// `struct xt_connsecmark_target_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionSecurityMark {
    is_saved: bool,
}

impl Extension for ConnectionSecurityMark {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        match blob.u8(0)? {
            1 => Ok(Self { is_saved: true }),
            2 => Ok(Self { is_saved: false }),
            _ => Err(DecodeError::Malformed("the target CONNSECMARK")),
        }
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("CONNSECMARK").flag(if self.is_saved { "--save" } else { "--restore" })
    }
}
