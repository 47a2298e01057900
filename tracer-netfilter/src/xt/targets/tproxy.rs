//! TPROXY: hands the packet to a local socket that is not its destination.

use std::net::IpAddr;

use super::mark::{Bits, change};
use super::nat::address;
use super::{Blob, Effect, End, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};
use crate::xt::address::Numeric;

/// `struct xt_tproxy_target_info_v1`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransparentProxy {
    mask: u32,
    value: u32,
    address: IpAddr,
    port: u16,
}

impl Extension for TransparentProxy {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let port = blob.be16(if blob.revision == 0 { 12 } else { 24 })?;
        Ok(Self { mask: blob.u32(0)?, value: blob.u32(4)?, address: address(blob, 8)?, port })
    }

    /// Sets the mark and accepts if there is a socket, drops if not (`tproxy_tg4`, `xt_TPROXY.c`): so the mark is only
    /// perhaps set.
    fn apply(&self, view: &mut View<'_>, _sure: bool) -> Effect {
        change(&mut view.mark, Bits { value: self.value, known: u32::MAX }, self.mask, false);
        Effect::Ends(End::TransparentProxy)
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("TPROXY")
            .option("--on-port", self.port)
            .option("--on-ip", Numeric(self.address))
            .option("--tproxy-mark", format_args!("{:#x}/{:#x}", self.value, self.mask))
    }
}
