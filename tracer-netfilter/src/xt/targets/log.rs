//! LOG, NFLOG, ULOG, AUDIT, TRACE: tell of the packet and let it go on.

use super::line::quoted;
use super::{Blob, Extension, Line};
use crate::model::{DecodeError, Family};

/// `struct xt_log_info`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// As syslog counts them: 4 is a warning.
    pub level: u8,
    /// `NF_LOG_` bits: 1 TCP sequence, 2 TCP options, 4 IP options, 8 user, 0x20 link-layer header.
    pub flags: u8,
    pub prefix: String,
}

impl Log {
    /// Where iptables does not print the level.
    const DEFAULT_LEVEL: u8 = 4;
}

impl Extension for Log {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { level: blob.u8(0)?, flags: blob.u8(1)?, prefix: blob.string(2, 30)? })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("LOG")
            .option_if(!self.prefix.is_empty(), "--log-prefix", quoted(&self.prefix))
            .option_if(self.level != Self::DEFAULT_LEVEL, "--log-level", self.level)
            .flag_if(self.flags & 0x01 != 0, "--log-tcp-sequence")
            .flag_if(self.flags & 0x02 != 0, "--log-tcp-options")
            .flag_if(self.flags & 0x04 != 0, "--log-ip-options")
            .flag_if(self.flags & 0x08 != 0, "--log-uid")
            .flag_if(self.flags & 0x20 != 0, "--log-macdecode")
    }
}

/// `struct xt_nflog_info`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetlinkLog {
    /// Bytes of the packet that are copied.
    pub length: u32,
    pub group: u16,
    pub threshold: u16,
    /// `XT_NFLOG_F_COPY_LEN` (1): the length holds.
    pub flags: u16,
    pub prefix: String,
}

impl Extension for NetlinkLog {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self {
            length: blob.u32(0)?,
            group: blob.u16(4)?,
            threshold: blob.u16(6)?,
            flags: blob.u16(8)?,
            prefix: blob.string(12, 64)?,
        })
    }

    fn line(&self, _family: Family) -> Line {
        let has_size = self.flags & 0x01 != 0;
        Line::new("NFLOG")
            .option_if(!self.prefix.is_empty(), "--nflog-prefix", quoted(&self.prefix))
            .option_if(self.group != 0, "--nflog-group", self.group)
            .option_if(has_size, "--nflog-size", self.length)
            .option_if(!has_size && self.length != 0, "--nflog-range", self.length)
            .option_if(self.threshold != 0, "--nflog-threshold", self.threshold)
    }
}

/// `struct ipt_ulog_info`, which kernels had until 3.16.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLog {
    /// A bit for the group.
    group: u32,
    range: u64,
    threshold: u64,
    prefix: String,
}

impl Extension for UserLog {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { group: blob.u32(0)?, range: blob.u64(8)?, threshold: blob.u64(16)?, prefix: blob.string(24, 32)? })
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("ULOG")
            .option_if(!self.prefix.is_empty(), "--ulog-prefix", quoted(&self.prefix))
            .option_if(self.group > 1, "--ulog-nlgroup", self.group.trailing_zeros().saturating_add(1))
            .option_if(self.range != 0, "--ulog-cprange", self.range)
            .option_if(self.threshold != 1, "--ulog-qthreshold", self.threshold)
    }
}

/// `struct xt_audit_info`: what the audit log says was done, which says nothing of what is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit(&'static str);

impl Extension for Audit {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0, 1])?;
        Ok(Self(match blob.u8(0)? {
            0 => "accept",
            1 => "drop",
            2 => "reject",
            _ => return Err(DecodeError::Malformed("the target AUDIT")),
        }))
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("AUDIT").option("--type", self.0)
    }
}

/// TRACE has no options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace;

impl Extension for Trace {
    fn decode(_blob: &Blob<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("TRACE")
    }
}
