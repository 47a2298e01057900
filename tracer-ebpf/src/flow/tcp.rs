//! TCP: handshakes and resets, and DNS over it.

use tracer_common::{AttemptCounter, PORT_DNS};

use super::copied::load;
use super::entry::{self, Part};
use super::packet::{ACK, FIN, Packet, RST, SYN, class};
use super::{Context, dns};

/// Shortest header, bytes.
const HEADER: u32 = 20;
const DNS_HEADER: u32 = 12;

/// A segment with SYN or RST, and not with what makes no sense beside it: some receivers drop that, so it begins nothing.
#[inline(always)]
pub fn handshake(context: Context, packet: &Packet) {
    match packet.flags & (SYN | RST | ACK | FIN) {
        SYN => entry::see(context, packet, true, Part::Opener),
        flags if flags == SYN | ACK => entry::see(context, packet, false, Part::Answer),
        flags if flags & (SYN | RST) == RST => reset(context, packet),
        _ => {}
    }
}

/// Either side may send it. Of an attempt that nothing is known of, the lower port is the server's.
#[inline(never)]
fn reset(context: Context, packet: &Packet) {
    let is_from_client = match entry::find(context, packet) {
        entry::FROM_CLIENT => true,
        entry::FROM_SERVER => false,
        _ => packet.destination_port <= packet.source_port,
    };
    let part = if is_from_client { Part::ClientReset } else { Part::ServerReset };
    entry::see(context, packet, is_from_client, part);
}

/// Any segment of the second look.
#[inline(never)]
pub fn segment(context: Context, packet: &Packet) {
    let Some([words, flags]) = load::<[u8; 2]>(context, packet.transport.wrapping_add(12)) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    let header = u32::from(words >> 4) * 4;
    let data = packet.transport + header;
    if header < HEADER || data > packet.end {
        return entry::count(AttemptCounter::Unreadable);
    }
    if flags & (SYN | RST) != 0 {
        let packet = Packet { flags, ..*packet };
        handshake(context, &packet);
    } else if class(packet.destination_port) == PORT_DNS || class(packet.source_port) == PORT_DNS {
        message(context, packet, data);
    }
}

/// The begin of a message, behind its length (RFC 1035, section 4.2.2). A segment from the middle of one has another number
/// there nearly always, and [`dns::see`] looks at the header's fields.
#[inline(always)]
fn message(context: Context, packet: &Packet, data: u32) {
    if packet.end < data + 2 + DNS_HEADER {
        return;
    }
    let Some(length) = load::<u16>(context, data) else { return };
    let end = data + 2 + u32::from(u16::from_be(length));
    if end < data + 2 + DNS_HEADER {
        return;
    }
    dns::see(context, packet, data + 2, end.min(packet.end));
}
