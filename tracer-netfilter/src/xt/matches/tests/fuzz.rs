//! Any bytes are read or refused, and what was read says something of any packet.

use super::*;
use crate::packet::{Socket, Tuple};
use crate::xt::Header;
use crate::xt::matches::NAMES;

/// Marsaglia's xorshift: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// Bytes that are mostly zero, small, or anything.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let kind = self.below(3);
        let byte = |random: u64| match kind {
            0 if !random.is_multiple_of(8) => 0,
            1 => (random >> 8 & 3) as u8,
            _ => (random >> 16) as u8,
        };
        (0..length).map(|_| byte(self.next())).collect()
    }

    fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.below(4) > 0).then_some(value)
    }

    fn known<T>(&mut self, value: T) -> Known<T> {
        match self.below(3) {
            0 => Known::Is(value),
            1 => Known::Absent,
            _ => Known::Unknown,
        }
    }

    fn address(&mut self, is_ipv6: bool) -> IpAddr {
        let bytes = self.bytes(16);
        if is_ipv6 {
            <[u8; 16]>::try_from(bytes).unwrap().into()
        } else {
            <[u8; 4]>::try_from(&bytes[..4]).unwrap().into()
        }
    }

    fn tuple(&mut self, is_ipv6: bool) -> Tuple {
        Tuple {
            source: self.address(is_ipv6),
            destination: self.address(is_ipv6),
            source_port: self.next() as u16,
            destination_port: self.next() as u16,
            protocol: [1, 6, 17, 58][self.below(4)],
        }
    }

    fn packet(&mut self) -> Packet {
        let is_ipv6 = self.below(2) == 0;
        let length = self.below(160);
        let mut bytes = self.bytes(length.max(40));
        if is_ipv6 {
            bytes[0] = 0x60;
            bytes[6] = [0, 6, 43, 44, 51, 59, 60, 255][self.below(8)];
        } else {
            bytes[0] = 0x45;
        }
        let mut packet = packet(&bytes, self.below(length + 60));
        packet.bytes.truncate(length);
        let offset = self.next() as usize;
        packet.network = [Some(0), Some(3), None, Some(offset)][self.below(4)];
        packet.transport = self.maybe(packet.transport.unwrap());
        packet.link = self.maybe(0);
        let protocol = [1, 6, 17, 33, 50, 132][self.below(6)];
        packet.protocol = self.maybe(protocol);
        packet.fragment_offset = [0, 0, 1, 9][self.below(4)];
        let any = self.next() as u32;
        packet.length = [Some(length as u32), Some(any), None][self.below(3)];
        (packet.source, packet.destination) =
            (self.maybe(packet.source).flatten(), self.maybe(packet.destination).flatten());
        packet.source_port = self.maybe(any as u16);
        packet.input = self.known(Device::default());
        packet.bridge_output =
            self.known(Device { name: "a-name-of-more-than-sixteen".to_owned(), ..Device::default() });
        packet.bridge_input = self.known(Device::default());
        packet.packet_type = self.maybe(any as u8 & 7);
        packet.socket = self.known(Socket { user: Some(any), ..Socket::default() });
        let (original, reply) = (self.tuple(is_ipv6), self.tuple(is_ipv6));
        let connection = Connection {
            state: [ConnectionState::New, ConnectionState::Invalid, ConnectionState::Related][self.below(3)],
            is_reply: any & 1 == 0,
            mark: None,
            status: self.maybe(any),
            original: self.maybe(original),
            reply: self.maybe(reply),
        };
        packet.connection = self.known(connection);
        packet
    }
}

#[test]
fn any_bytes_and_any_packet() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut read, mut decided) = (0, 0);
    for round in 0..50_000 {
        let name = NAMES[round % NAMES.len()];
        let family = if random.below(2) == 0 { Family::Ip } else { Family::Ip6 };
        let length = [4200, 2000, 320, 64][random.below(4)];
        let length = if random.below(8) == 0 { random.below(length) } else { length };
        let data = random.bytes(length);
        let Ok(found) = Match::decode(name, random.below(5) as u8, family, &data) else { continue };
        assert!(!matches!(found, Match::Unknown { .. }), "{name} is known");
        assert!(found.text(family).starts_with("-m "));
        read += 1;
        let hook = [Hook::Prerouting, Hook::Forward, Hook::Output][random.below(3)];
        let table = ["raw", "filter"][random.below(2)];
        let truth = ask_at(hook, table, &found, &random.packet(), |view| view.no_track = random.0.is_multiple_of(5));
        decided += usize::from(!matches!(truth, Truth::Unknown(_)));
    }
    assert!(read > 10_000 && decided > 3_000, "{read} were read, {decided} decided");
}

#[test]
fn any_header_and_any_packet() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for _ in 0..20_000 {
        let length = random.below(140);
        let entry = random.bytes(length);
        let is_goto = Header::is_goto(Family::Ip6, &entry) || Header::is_goto(Family::Ip, &entry);
        assert!(!is_goto || length > 82);
        for header in [Header::decode_ipv4(&entry), Header::decode_ipv6(&entry)].into_iter().flatten() {
            let found = Match::Header(header);
            assert!(!found.text(Family::Ip).starts_with(' '));
            ask(&found, &random.packet());
        }
    }
}
