//! TCP, at the second look: handshakes and resets, and DNS over it.

use tracer_common::{AttemptCounter, PORT_DNS};

use super::Context;
use super::copied::load;
use super::entry::{self, Part};
use super::packet::{ACK, FIN, Packet, RST, SYN, class};

/// Shortest header, bytes.
const HEADER: u32 = 20;
const DNS_HEADER: u32 = 12;

#[inline(never)]
pub fn segment(context: Context, packet: &mut Packet) {
    let Some([words, flags]) = load::<[u8; 2]>(context, packet.transport.wrapping_add(12)) else {
        return entry::count(AttemptCounter::Unreadable);
    };
    let header = u32::from(words >> 4) * 4;
    let data = packet.transport + header;
    if header < HEADER || data > packet.end {
        return entry::count(AttemptCounter::Unreadable);
    }
    // Some receivers drop a SYN with what makes no sense beside it: it begins nothing.
    let part = match flags & (SYN | RST | ACK | FIN) {
        SYN => Part::Opener,
        flags if flags == SYN | ACK => Part::Answer,
        flags if flags & (SYN | RST) == RST => reset(context, packet),
        flags if flags & SYN != 0 => return,
        _ if class(packet.destination_port) == PORT_DNS || class(packet.source_port) == PORT_DNS => {
            return message(context, packet, data);
        }
        _ => return,
    };
    entry::note(context, packet, part);
}

/// Either side may send it. Of an attempt that nothing is known of, the lower port is the server's.
#[inline(always)]
fn reset(context: Context, packet: &Packet) -> Part {
    let is_from_client = match entry::find(context, packet) {
        entry::FROM_CLIENT => true,
        entry::FROM_SERVER => false,
        _ => packet.destination_port <= packet.source_port,
    };
    if is_from_client { Part::ClientReset } else { Part::ServerReset }
}

/// The begin of a message, behind its length (RFC 1035, section 4.2.2). A segment from the middle of one has another number
/// there nearly always, and the header's fields are looked at too.
#[inline(always)]
fn message(context: Context, packet: &mut Packet, data: u32) {
    if packet.end < data + 2 + DNS_HEADER {
        return;
    }
    let Some(length) = load::<u16>(context, data) else { return };
    let length = u32::from(u16::from_be(length));
    if length < DNS_HEADER {
        return;
    }
    packet.message = data + 2;
    packet.end = packet.end.min(data + 2 + length);
}
