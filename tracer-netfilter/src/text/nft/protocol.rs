//! What a rule has said of the packet's protocols so far, and which field a load of bytes then is.
//!
//! Rule: bytes are given a name only when an earlier match of the same rule (or the table's family) makes sure which header
//! they are in.

use super::header::{Field, Protocol};
use crate::model::{Family, PayloadBase};

/// Some bits of a packet. Offset and length are in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    pub(super) base: PayloadBase,
    pub(super) offset: u32,
    pub(super) length: u32,
}

/// Bits and what they are, if known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) at: Bits,
    pub(super) field: Option<(Protocol, &'static Field)>,
}

#[derive(Clone, Debug)]
pub(super) struct Protocols {
    pub(super) family: Family,
    pub(super) link: Option<Protocol>,
    pub(super) network: Option<Protocol>,
    pub(super) transport: Option<Protocol>,
    /// Link headers in front of the last one.
    stacked: Vec<Protocol>,
    /// ICMP type that was asked for; a reply counts as its request.
    pub(super) icmp_type: Option<u8>,
}

impl Protocols {
    pub(super) const fn new(family: Family) -> Self {
        let (link, network) = match family {
            Family::Ip => (None, Some(Protocol::Ip)),
            Family::Ip6 => (None, Some(Protocol::Ip6)),
            Family::Arp => (None, Some(Protocol::Arp)),
            Family::Inet => (Some(Protocol::Inet), None),
            Family::Bridge => (Some(Protocol::Ether), None),
            Family::Netdev => (Some(Protocol::Device), None),
        };
        Self { family, link, network, transport: None, stacked: Vec::new(), icmp_type: None }
    }

    /// What stands below the network header in a family's tables.
    pub(super) const fn lowest(family: Family) -> Protocol {
        match family {
            Family::Bridge => Protocol::Ether,
            Family::Netdev => Protocol::Device,
            _ => Protocol::Inet,
        }
    }

    pub(super) const fn at(&self, base: PayloadBase) -> Option<Protocol> {
        match base {
            PayloadBase::Link => self.link,
            PayloadBase::Network => self.network,
            PayloadBase::Transport => self.transport,
            PayloadBase::Inner | PayloadBase::Tunnel => None,
        }
    }

    const fn set(&mut self, protocol: Protocol) {
        match protocol.base() {
            PayloadBase::Link => self.link = Some(protocol),
            PayloadBase::Network => self.network = Some(protocol),
            _ => self.transport = Some(protocol),
        }
    }

    /// A key field was found to be `value`. Gives whether that is another header of the same layer.
    pub(super) fn learn(&mut self, base: PayloadBase, value: u32) -> bool {
        let Some(lower) = self.at(base) else { return false };
        let Some(upper) = lower.upper(value) else {
            self.learn_icmp(lower, value);
            return false;
        };
        let is_stacked = upper.base() == lower.base();
        if is_stacked && base == PayloadBase::Link {
            self.stacked.push(lower);
        }
        self.set(upper);
        is_stacked
    }

    fn learn_icmp(&mut self, protocol: Protocol, value: u32) {
        self.icmp_type = match (protocol, u8::try_from(value)) {
            (Protocol::Icmp, Ok(0)) => Some(8),
            (Protocol::Icmp6, Ok(129)) => Some(128),
            (Protocol::Icmp | Protocol::Icmp6, Ok(kind)) => Some(kind),
            _ => return,
        };
    }

    pub(super) fn learn_network(&mut self, lower: Protocol, value: u32) {
        self.network = Some(match lower.upper(value) {
            Some(protocol) if protocol.base() == PayloadBase::Network => protocol,
            _ => match (self.family, value) {
                (Family::Ip, 2) => Protocol::Ip,
                (Family::Ip6, 10) => Protocol::Ip6,
                _ => Protocol::Other,
            },
        });
    }

    pub(super) fn learn_transport(&mut self, value: u32) {
        self.transport = Some(Protocol::transport(value).unwrap_or(Protocol::Other));
    }

    pub(super) const fn learn_hardware(&mut self, value: u32) {
        if matches!(self.family, Family::Inet | Family::Netdev | Family::Ip | Family::Ip6 | Family::Arp) {
            self.link = Some(if value == 1 { Protocol::Ether } else { Protocol::Other });
        }
    }

    /// The header that bits are in, and how many bits of other headers of its layer come before it.
    fn header(&self, at: Bits) -> Option<(Protocol, u32)> {
        let last = self.at(at.base)?;
        if at.base != PayloadBase::Link || at.offset < last.stacked_bits() {
            return Some((last, 0));
        }
        let mut before = 0_u32;
        for protocol in &self.stacked {
            if at.offset.saturating_sub(before) < protocol.stacked_bits() {
                return Some((*protocol, before));
            }
            before = before.saturating_add(protocol.stacked_bits());
        }
        Some((last, before))
    }

    fn may_be(&self, field: &Field) -> bool {
        field.only_in.is_none_or(|only| self.icmp_type.is_none_or(|kind| kind == only))
    }

    /// The field that has exactly these bits.
    pub(super) fn field(&self, at: Bits) -> Option<(Protocol, &'static Field)> {
        if let Some((protocol, before)) = self.header(at) {
            let offset = at.offset.checked_sub(before)?;
            let mut fields = protocol.fields().iter();
            if let Some(field) =
                fields.find(|field| field.offset == offset && field.bits == at.length && self.may_be(field))
            {
                return Some((protocol, field));
            }
        }
        Self::port(at)
    }

    /// Ports stand at the same place whatever the protocol.
    fn port(at: Bits) -> Option<(Protocol, &'static Field)> {
        let is_port = at.base == PayloadBase::Transport && at.length == 16;
        let mut fields = Protocol::Th.fields().iter().filter(|_| is_port);
        fields.find(|field| field.offset == at.offset).map(|field| (Protocol::Th, field))
    }

    /// Takes bits apart into fields: nft loads neighbours at once.
    pub(super) fn pieces(&self, mut at: Bits) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let Some((protocol, before)) = self.header(at) else {
            return vec![Piece { at, field: Self::port(at) }];
        };
        for field in protocol.fields() {
            if at.offset.checked_sub(before) != Some(field.offset) || !self.may_be(field) {
                continue;
            }
            let length = field.bits.min(at.length);
            pieces.push(Piece { at: Bits { length, ..at }, field: Some((protocol, field)) });
            at.offset = at.offset.saturating_add(length);
            at.length = at.length.saturating_sub(length);
            if at.length == 0 {
                return pieces;
            }
        }
        pieces.push(Piece { at, field: Self::port(at) });
        pieces
    }

    /// The part of `at` that `mask` leaves, if that is one or several whole fields; with how far it is shifted.
    pub(super) fn unmasked(&self, at: Bits, mask: u128) -> Option<(Bits, u32)> {
        let (protocol, before) = self.header(at)?;
        let shift = mask.trailing_zeros();
        let top = shift.checked_add((mask.checked_shr(shift)?).trailing_ones())?;
        let skipped = at.length.checked_sub(top)?;
        let mut offset = at.offset.checked_sub(before)?.checked_add(skipped)?;
        let (mut rest, mut length) = (at.length, 0_u32);
        for field in protocol.fields().iter().filter(|field| field.bits > 0) {
            if field.offset != offset {
                continue;
            }
            rest = rest.checked_sub(field.bits).filter(|rest| *rest > 0)?;
            offset = offset.checked_add(field.bits)?;
            length = length.checked_add(field.bits)?;
            if shift.checked_add(length) == Some(top) {
                return Some((Bits { base: at.base, offset: at.offset.checked_add(skipped)?, length }, shift));
            }
        }
        None
    }
}
