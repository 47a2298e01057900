//! DSCP, TOS, TTL, HL, ECN, CHECKSUM: other values in the headers.
//!
//! Rule: what they change is not followed; a later rule that asks for it sees the packet as it came.

use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_DSCP_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCode(u8);

impl Extension for ServiceCode {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self(blob.u8(0)?))
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("DSCP").option("--set-dscp", format_args!("{:#04x}", self.0))
    }
}

/// `struct xt_tos_target_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceType {
    value: u8,
    mask: u8,
}

impl Extension for ServiceType {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        let mask = if blob.revision == 0 { 0xff } else { blob.u8(1)? };
        Ok(Self { value: blob.u8(0)?, mask })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("TOS").option("--set-tos", format_args!("{:#04x}/{:#04x}", self.value, self.mask))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Set,
    Increment,
    Decrement,
}

/// `struct ipt_TTL_info`, `struct ip6t_HL_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopLimit {
    is_ipv6: bool,
    change: Change,
    value: u8,
}

impl Extension for HopLimit {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let change = match blob.u8(0)? {
            0 => Change::Set,
            1 => Change::Increment,
            2 => Change::Decrement,
            _ => return Err(DecodeError::Malformed("the target TTL or HL")),
        };
        Ok(Self { is_ipv6: blob.name == "HL", change, value: blob.u8(1)? })
    }

    fn line(&self, _family: Family) -> Line {
        let (name, prefix) = if self.is_ipv6 { ("HL", "hl") } else { ("TTL", "ttl") };
        let change = match self.change {
            Change::Set => "set",
            Change::Increment => "inc",
            Change::Decrement => "dec",
        };
        Line::new(name).option(&format!("--{prefix}-{change}"), self.value)
    }
}

/// `struct ipt_ECN_info`: the bits that are set, each if it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Congestion {
    ip: Option<u8>,
    echo: Option<u8>,
    reduced: Option<u8>,
}

impl Extension for Congestion {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let (operation, tcp) = (blob.u8(0)?, blob.u8(2)?);
        let ip = blob.u8(1)?;
        Ok(Self {
            ip: (operation & 0x01 != 0).then_some(ip),
            echo: (operation & 0x10 != 0).then_some(tcp & 1),
            reduced: (operation & 0x20 != 0).then_some(tcp >> 1 & 1),
        })
    }

    fn line(&self, _family: Family) -> Line {
        let mut line = Line::new("ECN");
        if (self.echo, self.reduced) == (Some(0), Some(0)) {
            return line.flag("--ecn-tcp-remove");
        }
        let options = [("--ecn-tcp-ece", self.echo), ("--ecn-tcp-cwr", self.reduced), ("--ecn-ip-ect", self.ip)];
        for (option, value) in options {
            if let Some(value) = value {
                line = line.option(option, value);
            }
        }
        line
    }
}

/// `struct xt_CHECKSUM_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    is_filled: bool,
}

impl Extension for Checksum {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { is_filled: blob.u8(0)? & 0x01 != 0 })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("CHECKSUM").flag_if(self.is_filled, "--checksum-fill")
    }
}
