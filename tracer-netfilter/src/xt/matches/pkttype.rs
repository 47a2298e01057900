//! `pkttype`: for whom the packet was on the wire (`net/netfilter/xt_pkttype.c`).

use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketType {
    kind: u32,
    is_inverted: bool,
}

const BROADCAST: u8 = 1;
const MULTICAST: u8 = 2;
/// `PACKET_LOOPBACK`: a copy to ourselves of what went to many.
const LOOPBACK: u8 = 5;

impl Extension for PacketType {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        Ok(Self { kind: blob.u32(0)?, is_inverted: blob.u32(4)? != 0 })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let packet = view.packet;
        let kind = match (packet.packet_type, packet.destination) {
            (Some(LOOPBACK), Some(destination)) if destination.is_multicast() => MULTICAST,
            (Some(LOOPBACK), Some(_)) => BROADCAST,
            (Some(kind), _) if kind != LOOPBACK => kind,
            _ => return Truth::unknown("the packet's type"),
        };
        Truth::from((u32::from(kind) == self.kind) != self.is_inverted)
    }

    fn line(&self, _: Family) -> Line {
        let mut line = Line::new("pkttype");
        match ["unicast", "broadcast", "multicast", "otherhost"].get(self.kind as usize) {
            Some(name) => line.option(self.is_inverted, "--pkt-type", name),
            None => line.option(self.is_inverted, "--pkt-type", self.kind),
        }
        line
    }
}
