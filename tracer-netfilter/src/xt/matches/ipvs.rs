//! `ipvs`: the load balancer's connection (`net/netfilter/xt_ipvs.c`).

use super::super::address::{Masked, Numeric};
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipvs {
    address: Masked,
    port: u16,
    protocol: u8,
    method: u8,
    control_port: u16,
    inverted: u8,
    asked: u8,
}

const AT_ALL: u8 = 1 << 0;
const PROTOCOL: u8 = 1 << 1;
const ADDRESS: u8 = 1 << 2;
const PORT: u8 = 1 << 3;
const DIRECTION: u8 = 1 << 4;
const METHOD: u8 = 1 << 5;
const CONTROL_PORT: u8 = 1 << 6;

impl Extension for Ipvs {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            address: Masked::new(blob.is_ipv6(), blob.bytes(0)?, blob.bytes(16)?),
            port: blob.be16(32)?,
            protocol: blob.u8(34)?,
            method: blob.u8(35)?,
            control_port: blob.be16(36)?,
            inverted: blob.u8(38)?,
            asked: blob.u8(39)?,
        })
    }

    fn matches(&self, _: &mut View<'_>) -> Truth {
        Truth::unknown("the packet's connection in IPVS (ipvs)")
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("ipvs");
        if self.asked == AT_ALL {
            line.flag(self.is_inverted(AT_ALL), "--ipvs");
        }
        // `IP_VS_CONN_F_`
        let method = match self.method {
            0 => "MASQ",
            2 => "IPIP",
            3 => "GATE",
            _ => "UNKNOWN",
        };
        let options = [
            (PROTOCOL, "--vproto", self.protocol.to_string()),
            (ADDRESS, "--vaddr", format!("{}{}", Numeric(self.address.address()), self.address.short_mask())),
            (PORT, "--vport", self.port.to_string()),
            (DIRECTION, "--vdir", if self.is_inverted(DIRECTION) { "REPLY" } else { "ORIGINAL" }.to_owned()),
            (METHOD, "--vmethod", method.to_owned()),
            (CONTROL_PORT, "--vportctl", self.control_port.to_string()),
        ];
        for (bit, option, value) in options.into_iter().filter(|(bit, ..)| self.asked & bit != 0) {
            line.option(bit != DIRECTION && self.is_inverted(bit), option, value);
        }
        line
    }
}

impl Ipvs {
    const fn is_inverted(&self, bit: u8) -> bool {
        self.inverted & bit != 0
    }
}
