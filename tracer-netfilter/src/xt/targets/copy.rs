//! TEE: a copy to another address; the packet goes on.

use std::net::IpAddr;

use super::nat::address;
use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};
use crate::xt::address::Numeric;

/// `struct xt_tee_tginfo`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    gateway: IpAddr,
    output: String,
}

impl Extension for Copy {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1])?;
        Ok(Self { gateway: address(blob, 0)?, output: blob.string(16, 16)? })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("TEE").option("--gateway", Numeric(self.gateway)).option_if(
            !self.output.is_empty(),
            "--oif",
            &self.output,
        )
    }
}
