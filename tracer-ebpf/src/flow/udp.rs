//! UDP: packets of the protocols that the map of ports names, as far as they are no data.

use tracer_common::{
    AttemptCounter, PORT_DNS, PORT_GENEVE, PORT_IKE_NAT, PORT_NONE, PORT_OPENVPN, PORT_QUIC, PORT_REQUEST, PORT_VXLAN,
    PORT_WIREGUARD,
};

use super::copied::load;
use super::entry::{self, Part};
use super::packet::{Packet, class};
use super::{Context, tunnel};

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
fn is_from_client(context: Context, packet: &Packet) -> bool {
    if class(packet.destination_port) == PORT_NONE {
        false
    } else if class(packet.source_port) == PORT_NONE {
        true
    } else {
        entry::find(context, packet) != entry::FROM_SERVER
    }
}

#[inline(never)]
pub fn datagram(context: Context, packet: &mut Packet) {
    let payload = packet.transport + HEADER;
    let Some(length) = load::<u16>(context, packet.transport + 4) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    // A length of 0 is one of a packet that the device will cut into several.
    let end = if length == 0 { packet.end } else { packet.transport + u32::from(u16::from_be(length)) };
    if end < payload || end > packet.end {
        return entry::count(AttemptCounter::Unreadable);
    }
    packet.end = end;
    let class = match class(packet.destination_port) {
        PORT_NONE => class(packet.source_port),
        class => class,
    };
    let is_opener = match class {
        PORT_NONE => return,
        PORT_DNS => {
            packet.message = payload;
            return;
        }
        PORT_VXLAN => return tunnel::vxlan(context, packet, payload),
        PORT_GENEVE => return tunnel::geneve(context, packet, payload),
        PORT_REQUEST => is_from_client(context, packet),
        _ if end < payload + 4 => return,
        _ => {
            let Some(word) = load::<u32>(context, payload) else { return entry::count(AttemptCounter::Unreadable) };
            if is_data(class, word) {
                return;
            }
            match class {
                PORT_WIREGUARD => word == WIREGUARD_INITIATION,
                PORT_OPENVPN if OPENVPN_CLIENT >> opcode(word) & 1 != 0 => true,
                PORT_OPENVPN if OPENVPN_SERVER >> opcode(word) & 1 != 0 => false,
                _ => is_from_client(context, packet),
            }
        }
    };
    entry::note(context, packet, if is_opener { Part::Opener } else { Part::Answer });
}
