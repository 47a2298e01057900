//! What is asked, and one message of what is answered.
//!
//! Rule: every netfilter message starts with `struct nfgenmsg` (family, version, resource), then its attributes.

use super::{Attributes, Subsystem};

/// `struct nlmsghdr`.
const NETLINK_HEADER_LEN: usize = 16;
/// `struct nfgenmsg`.
pub(super) const GENERIC: usize = 4;

/// A question to a netfilter subsystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    subsystem: Subsystem,
    message: u8,
    family: u8,
    attributes: Vec<u8>,
}

impl Request {
    /// `message` is a number of the subsystem's own (`NFT_MSG_`, `IPSET_CMD_`); `family` is `NFPROTO_`, 0 for all.
    pub const fn new(subsystem: Subsystem, message: u8, family: u8) -> Self {
        Self { subsystem, message, family, attributes: Vec::new() }
    }

    /// Adds an attribute; one that is longer than an attribute can be is left out.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        if let Ok(length) = u16::try_from(value.len().saturating_add(4)) {
            self.attributes.extend(length.to_ne_bytes());
            self.attributes.extend(kind.to_ne_bytes());
            self.attributes.extend(value);
            self.attributes.resize(self.attributes.len().next_multiple_of(4), 0);
        }
        self
    }

    /// Adds a NUL-terminated string.
    #[must_use]
    pub fn with_text(self, kind: u16, value: &str) -> Self {
        self.with(kind, &[value.as_bytes(), b"\0"].concat())
    }

    /// The message as it goes to the kernel.
    pub(super) fn bytes(&self, flags: u16, sequence: u32) -> Vec<u8> {
        let length = NETLINK_HEADER_LEN.saturating_add(GENERIC).saturating_add(self.attributes.len());
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
        bytes.extend(u16::from_be_bytes([self.subsystem.number(), self.message]).to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]); // port: the kernel knows the sender
        bytes.extend([self.family, 0, 0, 0]);
        bytes.extend(&self.attributes);
        bytes
    }
}

/// A message of an answer, where it lies in the receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Number of the subsystem's own.
    pub kind: u8,
    /// `NFPROTO_` of what it tells of.
    pub family: u8,
    pub attributes: Attributes<'a>,
    /// The attributes as bytes.
    pub bytes: &'a [u8],
}

impl<'a> Message<'a> {
    /// From a message's type and all behind its netlink header.
    pub(super) fn parse(kind: u16, payload: &'a [u8]) -> Option<Self> {
        let [_, kind] = kind.to_be_bytes();
        let (generic, bytes) = payload.split_first_chunk::<GENERIC>()?;
        let [family, ..] = *generic;
        Some(Self { kind, family, attributes: Attributes::new(bytes), bytes })
    }
}
