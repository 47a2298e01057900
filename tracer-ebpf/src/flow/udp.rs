//! UDP: packets of the protocols that the map of ports names, as far as they are no data.

use tracer_common::{
    AttemptCounter, PORT_DNS, PORT_GENEVE, PORT_IKE_NAT, PORT_NONE, PORT_OPENVPN, PORT_QUIC, PORT_REQUEST, PORT_VXLAN,
    PORT_WIREGUARD,
};

use super::copied::{Inner, load};
use super::entry::{self, Part};
use super::packet::{Packet, class};
use super::{Context, dns, tunnel};

/// Header, bytes.
const HEADER: u32 = 8;

/// Opcodes of OpenVPN (ssl_pkt.h of 2.6) from 0 on, as bits: hard and soft resets, control and its acknowledgements; not the data
/// packets (6 and 9).
const OPENVPN_CONTROL: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// Of these, those that only the client or only the server begins with.
const OPENVPN_CLIENT: u32 = 1 << 1 | 1 << 7 | 1 << 10;
const OPENVPN_SERVER: u32 = 1 << 2 | 1 << 8;

/// `handshake initiation`; `handshake response` and `cookie reply` (WireGuard protocol, section 5.4).
const WIREGUARD_INITIATION: u32 = 1;
const WIREGUARD_COOKIE: u32 = 3;

/// Whether a packet of this class is data, by its first four bytes of payload as they are in memory.
#[inline(always)]
pub fn is_data(class: u64, word: u32) -> bool {
    match class {
        PORT_QUIC => word & 0x80 == 0,
        PORT_OPENVPN => OPENVPN_CONTROL >> opcode(word) & 1 == 0,
        PORT_WIREGUARD => word == 0 || word > WIREGUARD_COOKIE,
        PORT_IKE_NAT => word != 0,
        _ => false,
    }
}

#[inline(always)]
fn opcode(word: u32) -> u32 {
    word >> 3 & 0x1f
}

/// Who sent a packet, if its bytes do not tell: whoever has no known port, or else the one that sent the first.
#[inline(always)]
pub fn request(context: Context, packet: &Packet) {
    let is_from_client = if class(packet.destination_port) == PORT_NONE {
        false
    } else if class(packet.source_port) == PORT_NONE {
        true
    } else {
        entry::find(context, packet) != entry::FROM_SERVER
    };
    sent(context, packet, is_from_client);
}

#[inline(always)]
fn sent(context: Context, packet: &Packet, is_from_client: bool) {
    let part = if is_from_client { Part::Opener } else { Part::Answer };
    entry::see(context, packet, is_from_client, part);
}

/// Any datagram of the second look; tells what a tunnel carries.
#[inline(always)]
pub fn datagram(context: Context, packet: &Packet) -> Inner {
    let payload = packet.transport + HEADER;
    let Some(length) = load::<u16>(context, packet.transport + 4) else {
        entry::count(AttemptCounter::Unreadable);
        return Inner::NONE;
    };
    let end = packet.transport + u32::from(u16::from_be(length));
    // A length of 0 is one of a packet that the device will cut into several.
    let end = if length == 0 { packet.end } else { end };
    if end < payload || end > packet.end {
        entry::count(AttemptCounter::Unreadable);
        return Inner::NONE;
    }
    let class = match class(packet.destination_port) {
        PORT_NONE => class(packet.source_port),
        class => class,
    };
    match class {
        PORT_NONE => {}
        PORT_REQUEST => again(context, packet),
        PORT_DNS => dns::see(context, packet, payload, end),
        PORT_VXLAN | PORT_GENEVE if packet.tunnel != 0 => {}
        PORT_VXLAN => return tunnel::vxlan(context, payload),
        PORT_GENEVE => return tunnel::geneve(context, payload),
        _ if end >= payload + 4 => session(context, packet, class),
        _ => {}
    }
    Inner::NONE
}

#[inline(never)]
fn again(context: Context, packet: &Packet) {
    request(context, packet);
}

/// A protocol with handshakes.
#[inline(never)]
fn session(context: Context, packet: &Packet, class: u64) {
    let Some(word) = load::<u32>(context, packet.transport + HEADER) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    if is_data(class, word) {
        return;
    }
    match class {
        PORT_WIREGUARD => sent(context, packet, word == WIREGUARD_INITIATION),
        PORT_OPENVPN if OPENVPN_CLIENT >> opcode(word) & 1 != 0 => sent(context, packet, true),
        PORT_OPENVPN if OPENVPN_SERVER >> opcode(word) & 1 != 0 => sent(context, packet, false),
        _ => request(context, packet),
    }
}
