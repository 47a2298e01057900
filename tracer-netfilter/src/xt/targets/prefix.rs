//! SNPT, DNPT: another prefix for an IPv6 address, without connection tracking (RFC 6296).

use std::net::IpAddr;

use super::nat::address;
use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};
use crate::xt::address::Numeric;

/// `struct ip6t_npt_tginfo`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    is_source: bool,
    from: (IpAddr, u8),
    to: (IpAddr, u8),
}

impl Extension for Prefix {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let blob = &Blob { family: Family::Ip6, ..*blob };
        let (from, to) = ((address(blob, 0)?, blob.u8(32)?), (address(blob, 16)?, blob.u8(33)?));
        Ok(Self { is_source: blob.name == "SNPT", from, to })
    }

    fn line(&self, _family: Family) -> Line {
        let ((from, from_length), (to, to_length)) = (self.from, self.to);
        Line::new(if self.is_source { "SNPT" } else { "DNPT" })
            .option("--src-pfx", format_args!("{}/{from_length}", Numeric(from)))
            .option("--dst-pfx", format_args!("{}/{to_length}", Numeric(to)))
    }
}
