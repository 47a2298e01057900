//! `-m tcp` and `-m udp`, put together from the comparisons that iptables-nft makes of them.

use crate::model::{DecodeError, Family, Operator};
use crate::xt::Match;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ANY: (u16, u16) = (0, u16::MAX);

/// `XT_TCP_INV_SRCPT` and the like; the first two are the same for UDP.
const INVERTED_SOURCE: u8 = 0x01;
const INVERTED_DESTINATION: u8 = 0x02;
const INVERTED_FLAGS: u8 = 0x04;

/// `struct xt_tcp`, `struct xt_udp`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    protocol: u8,
    source: (u16, u16),
    destination: (u16, u16),
    /// Mask and value.
    flags: (u8, u8),
    inverted: u8,
}

/// From which port to which, and whether it is the others that are meant.
pub(super) type PortRange = (u16, u16, bool);

impl Ports {
    /// `None` for a protocol whose ports iptables-nft leaves to x_tables.
    pub(super) fn new(protocol: u8) -> Option<Self> {
        matches!(protocol, TCP | UDP).then_some(Self {
            protocol,
            source: ANY,
            destination: ANY,
            flags: (0, 0),
            inverted: 0,
        })
    }

    /// What a comparison with a port means.
    pub(super) fn range(operator: Operator, port: u16) -> Option<PortRange> {
        Some(match operator {
            Operator::Equal => (port, port, false),
            Operator::NotEqual => (port, port, true),
            Operator::Less => (0, port.checked_sub(1)?, false),
            Operator::LessOrEqual => (0, port, false),
            Operator::Greater => (port.checked_add(1)?, u16::MAX, false),
            Operator::GreaterOrEqual => (port, u16::MAX, false),
        })
    }

    /// Asks for ports at this offset of the header; `None` if none are there, or they are asked for already.
    pub(super) fn ask(&mut self, offset: u32, (from, to, is_inverted): PortRange) -> Option<()> {
        let (ports, bit) = match offset {
            0 => (&mut self.source, INVERTED_SOURCE),
            2 => (&mut self.destination, INVERTED_DESTINATION),
            _ => return None,
        };
        if *ports != ANY {
            return None;
        }
        *ports = (from, to);
        self.inverted |= if is_inverted { bit } else { 0 };
        Some(())
    }

    /// Asks for TCP flags.
    pub(super) fn ask_flags(&mut self, mask: u8, value: u8, is_inverted: bool) -> Option<()> {
        if self.protocol != TCP || self.flags.0 != 0 {
            return None;
        }
        self.flags = (mask, value);
        self.inverted |= if is_inverted { INVERTED_FLAGS } else { 0 };
        Some(())
    }

    /// The match of x_tables that it is.
    pub(super) fn decode(&self, family: Family) -> Result<Match, DecodeError> {
        let ports = [self.source.0, self.source.1, self.destination.0, self.destination.1];
        let mut data: Vec<u8> = ports.into_iter().flat_map(u16::to_ne_bytes).collect();
        let name = if self.protocol == TCP {
            data.extend([0, self.flags.0, self.flags.1]);
            "tcp"
        } else {
            "udp"
        };
        data.push(self.inverted);
        data.resize(16, 0);
        Match::decode(name, 0, family, &data)
    }
}
