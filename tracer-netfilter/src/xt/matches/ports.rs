//! Ranges of ports, as all matches of transport protocols have them.

use crate::packet::Packet;
use crate::truth::Truth;

use super::line::{Line, range};
use super::seen::{self, Seen};

const ALL: (u16, u16) = (0, u16::MAX);

/// Source port of a protocol that has its ports in the first four bytes of a header of `header` bytes.
pub(super) fn source_port(packet: &Packet, header: usize) -> Seen<u16> {
    port(packet, packet.source_port, 0, header)
}

pub(super) fn destination_port(packet: &Packet, header: usize) -> Seen<u16> {
    port(packet, packet.destination_port, 2, header)
}

fn port(packet: &Packet, known: Option<u16>, offset: usize, header: usize) -> Seen<u16> {
    if seen::transport_slice(packet, 0, header) == Seen::Short {
        return Seen::Short;
    }
    known.map_or_else(|| seen::transport(packet, offset).map(u16::from_be_bytes), Seen::Is)
}

/// Whether the source port lies in the range.
pub(super) fn source(packet: &Packet, header: usize, ports: (u16, u16), is_inverted: bool) -> Truth {
    in_range(source_port(packet, header), ports, is_inverted, "the source port")
}

pub(super) fn destination(packet: &Packet, header: usize, ports: (u16, u16), is_inverted: bool) -> Truth {
    in_range(destination_port(packet, header), ports, is_inverted, "the destination port")
}

fn in_range(port: Seen<u16>, ports: (u16, u16), is_inverted: bool, what: &'static str) -> Truth {
    let port = if ports == ALL && port == Seen::Unknown { Seen::Is(0) } else { port };
    port.test(what, |port| (ports.0..=ports.1).contains(&port) != is_inverted)
}

/// A range is printed unless it is that of all ports.
pub(super) fn option(line: &mut Line, is_inverted: bool, option: &str, ports: (u16, u16)) {
    if ports != ALL {
        line.option(is_inverted, option, range(ports.0, ports.1));
    }
}
