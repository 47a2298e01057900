//! ICMP and ICMPv6 errors: they belong to the attempt whose packet they quote.

use tracer_common::{AttemptCounter, FAMILY_IPV4, PORT_NONE};

use super::Context;
use super::copied::{self, load};
use super::entry::{self, Part};
use super::packet::{ETH_P_IP, ETH_P_IPV6, Packet, Scratch, TCP, UDP, class};

/// Header, bytes; the quoted packet follows.
const HEADER: u32 = 8;

/// Destination unreachable, time exceeded, parameter problem (RFC 792).
#[inline(always)]
pub fn is_error4(kind: u8) -> bool {
    kind == 3 || kind == 11 || kind == 12
}

/// Destination unreachable, packet too big, time exceeded, parameter problem (RFC 4443).
#[inline(always)]
pub fn is_error6(kind: u8) -> bool {
    (1..=4).contains(&kind)
}

/// An ICMP or ICMPv6 packet.
#[inline(never)]
pub fn error(context: Context, scratch: &mut Scratch) {
    let (packet, quoted) = (&scratch.packet, &mut scratch.quoted);
    let Some([first, second]) = load::<[u32; 2]>(context, packet.transport) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    let (kind, code) = (first as u8, (first >> 8) as u8);
    let is_ipv4 = packet.family == FAMILY_IPV4;
    if !(if is_ipv4 { is_error4(kind) } else { is_error6(kind) }) {
        return;
    }
    let mtu = match (is_ipv4, kind, code) {
        (true, 3, 4) => u32::from_be(second) & 0xffff,
        (false, 2, _) => u32::from_be(second),
        _ => 0,
    };
    quoted.direction = packet.direction;
    quoted.tunnel = packet.tunnel;
    let protocol = if is_ipv4 { ETH_P_IP } else { ETH_P_IPV6 };
    let found = copied::network(context, packet.transport + HEADER, protocol, quoted);
    if found == copied::UNREADABLE || (found == copied::FOUND && quoted.transport + 4 > packet.end) {
        return entry::count(AttemptCounter::Unreadable);
    }
    if found == copied::OTHER || (quoted.protocol != TCP && quoted.protocol != UDP) {
        return;
    }
    let is_of_client = match entry::find(context, quoted) {
        entry::FROM_CLIENT => true,
        entry::FROM_SERVER => false,
        _ => is_of_client(quoted),
    };
    let part = if is_of_client { Part::QuotedClient } else { Part::QuotedServer };
    let Some(attempt) = entry::note(context, quoted, part) else { return };
    let icmp = &mut attempt.icmp;
    icmp.from = packet.source;
    icmp.count = icmp.count.wrapping_add(1);
    icmp.mtu = mtu;
    icmp.kind = kind;
    icmp.code = code;
    icmp.direction = packet.direction as u8;
    icmp.quotes_server = u8::from(!is_of_client);
    icmp.ttl = packet.ttl;
}

/// Of an attempt that nothing is known of: the known port is the server's, or the lower one.
#[inline(always)]
fn is_of_client(quoted: &Packet) -> bool {
    if quoted.protocol == UDP {
        let is_known = |port| class(port) != PORT_NONE;
        match (is_known(quoted.source_port), is_known(quoted.destination_port)) {
            (false, true) => return true,
            (true, false) => return false,
            _ => {}
        }
    }
    quoted.destination_port <= quoted.source_port
}
