//! Why connection tracking found no place for a packet.
//!
//! Rule: the table is looked at after the packet. What is said of it is what a packet like this meets now; where that
//! explains nothing, nothing is claimed.

use std::net::IpAddr;

use tracer_netfilter::conntrack::{self, Entry, TcpState};
use tracer_netfilter::packet::{Packet, Tuple};

use super::checksum;
use crate::node::sysctl;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;
/// Bits that conntrack takes with all others: PSH, ECE, CWR (`tcp_error`, `nf_conntrack_proto_tcp.c`, 6.18).
const IGNORED: u8 = 0x08 | 0x40 | 0x80;
/// `enum tcp_conntrack`
const SYN_SENT: u8 = 1;
const SYN_RECV: u8 = 2;
const SYN_SENT_2: u8 = 9;

/// What is known of an invalid packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub why: Why,
    pub settings: Settings,
    /// What could not be read, a sentence each.
    pub unknown: Vec<String>,
}

/// The namespace's settings that decide; `None` where the kernel has it not or does not show it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// A connection may be taken up in its middle.
    pub tcp_loose: Option<bool>,
    /// Segments outside the window are let pass.
    pub tcp_be_liberal: Option<bool>,
    /// Resets outside the window are let pass.
    pub tcp_ignore_invalid_rst: Option<bool>,
    /// Checksums are checked.
    pub checksum: Option<bool>,
    /// The kernel's log tells of such packets: the protocol's number, 255 for all, 0 for none.
    pub log_invalid: Option<u8>,
}

/// What a TCP segment is to connection tracking (`get_conntrack_index`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segment {
    Syn,
    SynAck,
    Fin,
    Ack,
    Reset,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Original,
    Reply,
}

/// What keeps the packet from its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Flags that no segment may have together.
    Flags,
    /// A header that is shorter than it says, or than it can be.
    Header,
    Checksum {
        has: u16,
        right: u16,
    },
    /// TCP that begins nothing, and no entry is there.
    NoEntry(Segment),
    /// The entry's state has no place for such a segment.
    State {
        state: TcpState,
        segment: Segment,
        direction: Direction,
    },
    /// The entry has place for such a segment, so that its numbers are outside the window.
    Window {
        state: TcpState,
        segment: Segment,
        direction: Direction,
    },
    /// An ICMP error about a packet of a connection that is not there.
    ErrorWithoutEntry(Tuple),
    /// An ICMP error about a connection of someone else than the one that it goes to.
    ErrorToOther {
        source: IpAddr,
    },
    /// An ICMP answer to no request.
    AnswerWithoutRequest,
    Unknown,
}

impl Invalid {
    /// Reads what is known, in the calling thread's namespace.
    pub(super) fn read(packet: &Packet) -> Self {
        let settings = Settings::read();
        let mut unknown = Vec::new();
        let mut find = |tuple: &Tuple, icmp| match conntrack::find(tuple, icmp) {
            Ok(entry) => Some(entry),
            Err(error) => {
                unknown.push(error.to_string());
                None
            }
        };
        let why = why(packet, settings, &mut find);
        Self { why, settings, unknown }
    }
}

impl Settings {
    fn read() -> Self {
        let text = |name: &str| sysctl::read(&format!("net/netfilter/nf_conntrack_{name}")).ok();
        let flag = |name: &str| text(name).map(|text| text != "0");
        Self {
            tcp_loose: flag("tcp_loose"),
            tcp_be_liberal: flag("tcp_be_liberal"),
            tcp_ignore_invalid_rst: flag("tcp_ignore_invalid_rst"),
            checksum: flag("checksum"),
            log_invalid: text("log_invalid").and_then(|text| text.parse().ok()),
        }
    }
}

/// Looks for a packet's entry, by its tuple and ICMP type and code; `None` if the table can't be asked.
type Find<'a> = &'a mut dyn FnMut(&Tuple, Option<(u8, u8)>) -> Option<Option<Entry>>;

fn why(packet: &Packet, settings: Settings, find: Find<'_>) -> Why {
    let (Some(protocol), 0) = (packet.protocol, packet.fragment_offset) else { return Why::Unknown };
    if settings.checksum != Some(false)
        && let Some((has, right)) = checksum::wrong(packet)
    {
        return Why::Checksum { has, right };
    }
    match protocol {
        6 => tcp(packet, settings, find),
        17 if is_short_udp(packet) => Why::Header,
        1 | 58 => icmp(packet, protocol, find),
        _ => Why::Unknown,
    }
}

fn tcp(packet: &Packet, settings: Settings, find: Find<'_>) -> Why {
    let Some(flags) = packet.at(packet.transport, 13, 1).and_then(|bytes| bytes.first()) else { return Why::Unknown };
    if is_short_tcp(packet) {
        return Why::Header;
    }
    let Some(segment) = segment(*flags) else { return Why::Flags };
    let (Some(tuple), is_loose) = (tuple(packet), settings.tcp_loose) else { return Why::Unknown };
    match find(&tuple, None) {
        Some(Some(Entry { tcp: Some(state), original, .. })) => {
            let direction = if original == tuple { Direction::Original } else { Direction::Reply };
            if has_place(state.state, segment, direction) {
                Why::Window { state, segment, direction }
            } else {
                Why::State { state, segment, direction }
            }
        }
        // A SYN begins a connection, and so does what comes in its middle, if that is allowed.
        Some(None) if segment == Segment::Syn || (segment == Segment::Ack && is_loose != Some(false)) => Why::Unknown,
        Some(None) => Why::NoEntry(segment),
        _ => Why::Unknown,
    }
}

/// `None` for flags that `tcp_valid_flags` has not (6.18).
const fn segment(flags: u8) -> Option<Segment> {
    const SYN_URG: u8 = SYN | URG;
    const SYN_ACK: u8 = SYN | ACK;
    const RST_ACK: u8 = RST | ACK;
    const FIN_ACK: u8 = FIN | ACK;
    const FIN_ACK_URG: u8 = FIN | ACK | URG;
    const ACK_URG: u8 = ACK | URG;
    Some(match flags & !IGNORED {
        SYN | SYN_URG => Segment::Syn,
        SYN_ACK => Segment::SynAck,
        RST | RST_ACK => Segment::Reset,
        FIN_ACK | FIN_ACK_URG => Segment::Fin,
        ACK | ACK_URG => Segment::Ack,
        _ => return None,
    })
}

/// What stands as invalid (`sIV`) in the table `tcp_conntracks` (6.18), for states that an entry can have.
const fn has_place(state: u8, segment: Segment, direction: Direction) -> bool {
    let is_opening = matches!(state, SYN_SENT | SYN_SENT_2);
    match (segment, direction) {
        (Segment::Ack, Direction::Original) | (Segment::Fin, _) => !is_opening,
        (Segment::SynAck, Direction::Original) => matches!(state, SYN_RECV | SYN_SENT_2),
        (Segment::Syn, Direction::Reply) => is_opening || state == 7,
        _ => true,
    }
}

fn is_short_tcp(packet: &Packet) -> bool {
    let words = packet.at(packet.transport, 12, 1).and_then(|bytes| bytes.first()).map_or(5, |byte| byte >> 4);
    let header = usize::from(words) * 4;
    let room = packet
        .length
        .zip(packet.transport.zip(packet.network))
        .map(|(length, (transport, network))| (length as usize).saturating_sub(transport.saturating_sub(network)));
    header < 20 || room.is_some_and(|room| room < header)
}

fn is_short_udp(packet: &Packet) -> bool {
    let length = packet.at(packet.transport, 4, 2).and_then(|bytes| bytes.first_chunk());
    length.is_some_and(|bytes| u16::from_be_bytes(*bytes) < 8 && !(packet.is_ipv6() && *bytes == [0, 0]))
}

fn icmp(packet: &Packet, protocol: u8, find: Find<'_>) -> Why {
    let Some([kind, _]) = packet.at(packet.transport, 0, 2) else { return Why::Unknown };
    let (is_error, is_answer) = match protocol {
        1 => (matches!(kind, 3 | 4 | 5 | 11 | 12), matches!(kind, 0 | 14 | 16 | 18)),
        _ => (*kind < 128, matches!(kind, 129 | 140)),
    };
    match (is_error, is_answer) {
        (true, _) => error(packet, find),
        (_, true) => Why::AnswerWithoutRequest,
        _ => Why::Unknown,
    }
}

/// An ICMP error holds the beginning of the packet that it is about, 8 bytes on.
fn error(packet: &Packet, find: Find<'_>) -> Why {
    let inner = packet.transport.and_then(|at| packet.bytes.get(at.checked_add(8)?..));
    let Some(inner) = inner.map(|bytes| Packet::from_network(packet.ethertype, bytes)) else { return Why::Unknown };
    let Some(sent) = tuple(&inner) else { return Why::Unknown };
    // The answers to it are what the entry is looked for by (`nf_conntrack_inet_error`).
    let answers = Tuple {
        source: sent.destination,
        destination: sent.source,
        source_port: sent.destination_port,
        destination_port: sent.source_port,
        protocol: sent.protocol,
    };
    match find(&answers, None) {
        Some(None) => Why::ErrorWithoutEntry(sent),
        Some(Some(entry)) => {
            let other = if entry.original == answers { &entry.reply } else { &entry.original };
            match packet.destination {
                Some(to) if to != other.source && to != sent.source => Why::ErrorToOther { source: other.source },
                _ => Why::Unknown,
            }
        }
        None => Why::Unknown,
    }
}

fn tuple(packet: &Packet) -> Option<Tuple> {
    let protocol = packet.protocol?;
    let id = || packet.at(packet.transport, 4, 2)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
    let (source_port, destination_port) = match protocol {
        1 | 58 => (id()?, id()?),
        _ => (packet.source_port?, packet.destination_port?),
    };
    Some(Tuple { source: packet.source?, destination: packet.destination?, source_port, destination_port, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TCP 10.0.0.1:4000 > 10.0.0.2:80, its checksum left to the device.
    fn packet(flags: u8) -> Packet {
        let mut bytes = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        bytes.extend([15, 160, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 1, 0, 0x14, 0x1d, 0, 0]);
        let mut packet = Packet::from_network(0x0800, &bytes);
        packet.length = Some(40);
        packet
    }

    fn entry(state: u8, is_reply: bool) -> Entry {
        let this = tuple(&packet(ACK)).unwrap();
        let other = Tuple {
            source: this.destination,
            destination: this.source,
            source_port: this.destination_port,
            destination_port: this.source_port,
            protocol: 6,
        };
        let (original, reply) = if is_reply { (other, this) } else { (this, other) };
        let tcp = Some(TcpState { state, is_liberal: false });
        Entry { original, reply, status: 0, timeout: None, tcp }
    }

    const STRICT: Settings = Settings {
        tcp_loose: Some(false),
        tcp_be_liberal: Some(false),
        tcp_ignore_invalid_rst: Some(false),
        checksum: Some(true),
        log_invalid: Some(0),
    };

    fn told(flags: u8, settings: Settings, found: Option<Entry>) -> Why {
        why(&packet(flags), settings, &mut |_, _| Some(found))
    }

    #[test]
    fn without_an_entry_the_segment_and_the_setting_decide() {
        assert_eq!(told(ACK, STRICT, None), Why::NoEntry(Segment::Ack));
        let loose = Settings { tcp_loose: Some(true), ..STRICT };
        assert_eq!(told(ACK, loose, None), Why::Unknown, "it would have been taken up");
        assert_eq!(told(SYN | ACK, loose, None), Why::NoEntry(Segment::SynAck));
        assert_eq!(told(RST, loose, None), Why::NoEntry(Segment::Reset));
        assert_eq!(told(FIN | ACK, loose, None), Why::NoEntry(Segment::Fin));
        assert_eq!(told(SYN, STRICT, None), Why::Unknown, "a SYN is never out of place");
        assert_eq!(told(SYN | FIN, STRICT, None), Why::Flags);
        assert_eq!(told(0, STRICT, None), Why::Flags);
    }

    #[test]
    fn with_an_entry_its_state_or_its_window_decides() {
        let established = entry(3, false);
        let (state, segment) = (established.tcp.unwrap(), Segment::Ack);
        let window = Why::Window { state, segment, direction: Direction::Original };
        assert_eq!(told(ACK, STRICT, Some(established)), window);
        let window = Why::Window { state, segment: Segment::Reset, direction: Direction::Reply };
        assert_eq!(told(RST | ACK, STRICT, Some(entry(3, true))), window);
        let opening = entry(SYN_SENT, false);
        let state = Why::State { state: opening.tcp.unwrap(), segment, direction: Direction::Original };
        assert_eq!(told(ACK, STRICT, Some(opening)), state);
        assert_eq!(why(&packet(ACK), STRICT, &mut |_, _| None), Why::Unknown, "the table can't be asked");
    }

    #[test]
    fn headers_that_lie() {
        let mut short = packet(ACK);
        short.length = Some(30);
        assert_eq!(why(&short, STRICT, &mut |_, _| Some(None)), Why::Header);
        let mut wrong = packet(ACK);
        wrong.bytes[36] ^= 0x55;
        assert!(matches!(why(&wrong, STRICT, &mut |_, _| Some(None)), Why::Checksum { .. }));
        let unchecked = Settings { checksum: Some(false), ..STRICT };
        assert_eq!(why(&wrong, unchecked, &mut |_, _| Some(None)), Why::NoEntry(Segment::Ack));
    }

    #[test]
    fn an_error_is_about_the_packet_inside() {
        let inner = packet(ACK).bytes;
        let mut bytes =
            vec![0x45, 0, 0, 68, 0, 0, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1, 3, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend(inner);
        let mut error = Packet::from_network(0x0800, &bytes);
        let right = checksum::wrong(&error).unwrap().1.to_be_bytes();
        error.bytes[22..24].copy_from_slice(&right);
        let sent = tuple(&packet(ACK)).unwrap();
        assert_eq!(why(&error, STRICT, &mut |_, _| Some(None)), Why::ErrorWithoutEntry(sent));
        let found = Some(entry(3, false));
        assert_eq!(why(&error, STRICT, &mut |_, _| Some(found)), Why::Unknown, "it belongs there");
    }

    #[test]
    fn cut_packets_break_nothing() {
        let whole = packet(ACK).bytes;
        for length in 0..whole.len() {
            let cut = Packet::from_network(0x0800, &whole[..length]);
            let _ = why(&cut, STRICT, &mut |_, _| Some(None));
        }
    }
}
