//! Frames to send: IP packets of all kinds, with what is known of them.

use std::net::IpAddr;

use tracer_netfilter::packet::{Device, ETH_P_IP, ETH_P_IPV6, Known, Mark, Packet};

/// Marsaglia's xorshift: the same frames in each run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

const LINK: usize = 14;
const PORTS: [u16; 8] = [22, 53, 80, 443, 1024, 4000, 65_535, 1];

/// A transport header of a protocol with something behind it.
fn transport(random: &mut Random, protocol: u8) -> Vec<u8> {
    let mut bytes = [random.pick(&PORTS).to_be_bytes(), random.pick(&PORTS).to_be_bytes()].concat();
    match protocol {
        6 => {
            let options: [&[u8]; 5] = [&[], &[2, 4, 5, 180], &[1, 1, 4, 2], &[5, 2, 1, 2, 4, 2, 24, 0], &[2, 9, 0, 1]];
            let options = random.pick(&options);
            bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, (5 + options.len() as u8 / 4) << 4]);
            bytes.extend_from_slice(&[random.pick(&[0x02, 0x12, 0x10, 0x42, 0xc2, 0x29, 0x00]), 1, 0, 0, 0, 0, 0]);
            bytes.extend_from_slice(options);
        }
        17 => bytes.extend_from_slice(&[0, 16, 0, 0]),
        33 => bytes.extend_from_slice(&[random.pick(&[4, 5, 3]), 0, 0, 0, random.pick(&[0, 2, 5, 18]), 0, 0, 1]),
        50 => bytes = [random.pick(&[7_u32, 300, 4000]).to_be_bytes(), [0; 4]].concat(),
        132 => {
            bytes.extend_from_slice(&[0; 8]);
            for _ in 0..random.pick(&[1, 2]) {
                bytes.extend_from_slice(&[
                    random.pick(&[0, 1, 3, 6]),
                    random.pick(&[0, 3, 1]),
                    0,
                    random.pick(&[8, 7, 4]),
                ]);
                bytes.extend_from_slice(&[0; 4]);
            }
        }
        135 => bytes = vec![random.pick(&[59, 59, 6]), 0, random.pick(&[0, 5, 6]), 0, 0, 0],
        1 | 58 => bytes = vec![random.pick(&[1, 3, 8, 128, 135]), random.pick(&[0, 3, 4, 13]), 0, 0, 0, 1, 0, 1],
        _ => {}
    }
    bytes.extend_from_slice(random.pick(&[&b""[..], b"GET /", b"\x00\xffxA", b"a \"b\" \\c"]));
    let filler = random.pick(&[0, 4, 30]);
    bytes.extend_from_slice(&random.bytes(filler));
    bytes
}

/// Extension headers in front of a protocol: their bytes, the first one's kind, and the offset of a fragment.
fn extension_headers(random: &mut Random, protocol: u8) -> (Vec<u8>, u8, u16) {
    let (mut bytes, mut next, mut fragment) = (Vec::new(), protocol, 0_u16);
    for _ in 0..random.pick(&[0, 0, 1, 2]) {
        let kind = random.pick(&[0, 43, 44, 51, 60]);
        let mut header = match kind {
            43 => vec![next, 2, random.pick(&[0, 2]), random.pick(&[1, 2]), 0, 0, 0, random.pick(&[0, 1])],
            44 => {
                fragment = random.pick(&[0, 0, 3]);
                let [high, low] = (fragment << 3 | random.pick(&[0, 1])).to_be_bytes();
                vec![next, 0, high, low, 0, 0, 0, random.pick(&[1, 50])]
            }
            51 => vec![next, 1, 0, 0, 0, 0, 0, random.pick(&[1, 5]), 0, 0, 0, 1],
            _ => vec![next, 0, random.pick(&[5, 1]), random.pick(&[2, 4]), 0, 0, 0, 0],
        };
        if kind == 43 {
            header.extend_from_slice(&[0; 15]);
            header.push(1);
        }
        bytes = [header, bytes].concat();
        next = kind;
        if fragment != 0 {
            break;
        }
    }
    (bytes, next, fragment)
}

fn ipv4_header(random: &mut Random, protocol: u8, length: usize, fragment: u16) -> Vec<u8> {
    let mut header = vec![0x45, random.pick(&[0, 0xb8, 0x10, 0x02]), 0, 0, 0, 1, 0, 0];
    header[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header.extend_from_slice(&[random.pick(&[64, 1, 4, 255]), protocol, 0, 0]);
    let source = random.pick(&[[10, 9, 0, 1], [10, 9, 0, 2], [192, 0, 2, 7], [1, 2, 3, 4], [10, 0, 0, 1]]);
    header.extend_from_slice(&source);
    header.extend_from_slice(&random.pick(&[[10, 9, 0, 2], [10, 9, 0, 255], [10, 0, 0, 9], [224, 0, 0, 1], [255; 4]]));
    let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn ipv6_header(random: &mut Random, next: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0x60 | random.pick(&[0, 1, 0xb]), random.pick(&[0, 0x80]), 0, 0];
    header.extend_from_slice(&(length as u16).to_be_bytes());
    header.extend_from_slice(&[next, random.pick(&[64, 1, 4, 255])]);
    let address = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap().octets();
    header.extend_from_slice(&address(random.pick(&["fd09::1", "fd09::2", "fe80::9", "2001:db8::1", "fd00::1"])));
    header.extend_from_slice(&address(random.pick(&["fd09::2", "ff02::1", "fd09::77", "2001:db8::2"])));
    header
}

/// A UDP datagram from 10.9.0.1:4000 to 10.9.0.2:53, which begins a connection.
pub(crate) fn datagram(device: &Device, hardware_address: [u8; 6]) -> Packet {
    let mut random = Random(1);
    loop {
        let mut packet = frame(&mut random, false, device, hardware_address);
        let is_ours = packet.source == Some([10, 9, 0, 1].into()) && packet.destination == Some([10, 9, 0, 2].into());
        if is_ours && packet.protocol == Some(17) && packet.fragment_offset == 0 && packet.length > Some(36) {
            packet.bytes[34..38].copy_from_slice(&[0x0f, 0xa0, 0, 53]);
            return packet;
        }
    }
}

/// An Ethernet frame to this device, and what is known of it there.
pub(crate) fn frame(random: &mut Random, is_ipv6: bool, device: &Device, hardware_address: [u8; 6]) -> Packet {
    // To the kernel AH is no protocol of IPv6, but an extension header.
    let own = if is_ipv6 { [58, 135] } else { [1, 51] };
    let protocol = random.pick(&[6, 6, 6, 17, 33, 50, 132, 108, own[0], own[1]]);
    let mut payload = transport(random, protocol);
    let keep = random.pick(&[usize::MAX, usize::MAX, usize::MAX, 3, 10, 16]);
    payload.truncate(keep);
    let (before, first, fragment) = if is_ipv6 {
        extension_headers(random, protocol)
    } else {
        (Vec::new(), protocol, random.pick(&[0, 0, 0, 0, 1, 9]))
    };
    let behind = before.len() + payload.len();
    let header =
        if is_ipv6 { ipv6_header(random, first, behind) } else { ipv4_header(random, protocol, 20 + behind, fragment) };
    let (to, packet_type) = random.pick(&[(hardware_address, 0), ([0xff; 6], 1), ([1, 0, 0x5e, 0, 0, 1], 2)]);
    let ethertype = if is_ipv6 { ETH_P_IPV6 } else { ETH_P_IP };
    let from = random.pick(&[[2, 0, 0, 0xab, 0xcd, 0xef], [2, 0, 0, 0, 0, 1]]);
    let address = |start: usize| -> IpAddr {
        if is_ipv6 {
            <[u8; 16]>::try_from(&header[8 + 16 * start..24 + 16 * start]).unwrap().into()
        } else {
            <[u8; 4]>::try_from(&header[12 + 4 * start..16 + 4 * start]).unwrap().into()
        }
    };
    Packet {
        ethertype,
        bytes: [&to[..], &from, &ethertype.to_be_bytes(), &header, &before, &payload].concat(),
        link: Some(0),
        network: Some(LINK),
        transport: (fragment == 0).then_some(LINK + header.len() + before.len()),
        protocol: Some(protocol),
        fragment_offset: fragment,
        length: Some((header.len() + behind) as u32),
        source: Some(address(0)),
        destination: Some(address(1)),
        source_port: None,
        destination_port: None,
        input: Known::Is(device.clone()),
        output: Known::Absent,
        bridge_input: Known::Absent,
        bridge_output: Known::Absent,
        mark: Mark::Before(0),
        connection: Known::Unknown,
        socket: Known::Absent,
        packet_type: Some(packet_type),
        vlan: None,
        cpu: None,
    }
}
