//! Headers lie. Whatever comes over the wire, each drop is counted, each line is well-formed, and nothing breaks.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, SYN, TCP, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Expect, Family, Tracer};

const FRAMES: usize = 4000;

/// xorshift64: the same frames in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Sound frames to begin with.
fn seeds() -> Vec<Vec<u8>> {
    let ends = |family| (CLIENT.ip(family), NEIGHBOUR.ip(family));
    let mut seeds = Vec::new();
    for family in Family::BOTH {
        let (source, destination) = ends(family);
        let payloads = [
            (UDP, frame::udp(source, destination, (1234, 81), b"hello")),
            (TCP, frame::tcp(source, destination, (1234, 81), SYN)),
            (family.pick(frame::ICMP, frame::ICMPV6), frame::icmp(source, destination, 200, 0, &[0; 40])),
            // A tunnel with a frame that ends at once, and an extension header of nothing.
            (UDP, frame::udp(source, destination, (1234, 4789), &[8, 0, 0, 0, 0, 0, 1, 0, 1, 2, 3])),
            (family.pick(4, frame::FRAGMENT_HEADER), frame::fragment6(UDP, 1, true, 1, b"part")),
        ];
        for (protocol, payload) in payloads {
            seeds.push(match family {
                Family::V4 => {
                    ethernet(frame::ETHERTYPE_IPV4, &Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, protocol).build(&payload))
                }
                Family::V6 => {
                    ethernet(frame::ETHERTYPE_IPV6, &Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, protocol).build(&payload))
                }
            });
        }
    }
    seeds.push(ethernet(0x0806, &[0, 1, 8, 0, 6, 4, 0, 9]));
    // Two VLAN tags and half a header.
    seeds.push(ethernet(0x88a8, &[0, 7, 0x81, 0, 0, 9, 8, 0, 0x4f, 0]));
    seeds
}

fn ethernet(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    frame::ethernet(S0_MAC, C0_MAC, ethertype, packet)
}

/// Changes some bytes behind the addresses, and sometimes cuts the end off.
fn spoil(frame: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = 12 + random.below(frame.len() - 12);
        frame[at] = [0, 0xff, random.below(256) as u8, frame[at] ^ 1 << random.below(8)][random.below(4)];
    }
    if random.below(3) == 0 {
        frame.truncate(14 + random.below(frame.len() - 13));
    }
}

#[test]
fn spoilt_frames_are_counted_and_break_nothing() -> Result<()> {
    let lab = topology::pair()?;
    let tracer =
        Tracer::start(&["--all", "--netns", &lab.server.inode()?.to_string(), "--stack", "--lines", "100000"])?;
    let (seeds, mut random) = (seeds(), Random(0x77_68_79));
    let mut wire = lab.client.run(|| Interface::sender("c0"))?;
    for number in 0..FRAMES {
        let mut frame = seeds[number % seeds.len()].clone();
        spoil(&mut frame, &mut random);
        wire.send(&frame)?;
    }
    let report = tracer.stop()?;
    report.ensure_clean()?;
    let stats = report.stats()?;
    let packets = stats.number(key::PACKETS)?;
    assert!(packets > FRAMES as u64 / 4, "hardly any of {FRAMES} spoilt frames was dropped: {stats}");
    let lines = report.count(&Expect::any().with(key::KIND, "drop"))?;
    let without_a_line = stats.number(key::NOT_SHOWN)? + stats.number(key::OTHER_FLOWS)?;
    assert_eq!(lines + without_a_line, packets, "{stats}");
    Ok(())
}
