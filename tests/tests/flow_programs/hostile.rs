//! Frames that are cut short or lie: no wrong entry, no refusal, and the packet goes on as it came.

use anyhow::Result;
use tracer_common::{AttemptCounter, PORT_DNS, PORT_GENEVE, PORT_OPENVPN, PORT_REQUEST, PORT_VXLAN};
use tracer_tests::traffic::frame;
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Family, patience};

use crate::lab::{Lab, ends, ethertype, frame_out, packet, words};

const PORTS: [(u16, u64); 5] =
    [(53, PORT_DNS), (123, PORT_REQUEST), (4789, PORT_VXLAN), (6081, PORT_GENEVE), (1194, PORT_OPENVPN)];

/// Of each kind one that makes an entry.
fn good(family: Family) -> Vec<Vec<u8>> {
    let (from, to) = ends(family);
    let syn = packet(from, to, frame::TCP, &frame::tcp(from, to, (40_000, 443), frame::SYN));
    let datagram = |port, payload: &[u8]| packet(from, to, frame::UDP, &frame::udp(from, to, (40_000, port), payload));
    let query = b"\x00\x05\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
    let inner = frame_out(&syn);
    let error = frame::icmp(from, to, family.pick(3, 1), 1, &[&[0; 4][..], &syn].concat());
    vec![
        datagram(53, query),
        datagram(123, b"when"),
        datagram(1194, &[7 << 3, 0, 0, 0]),
        datagram(4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &inner].concat()),
        datagram(6081, &[&[0, 0, 0x65, 0x58, 0, 0, 7, 0][..], &inner].concat()),
        packet(from, to, family.pick(frame::ICMP, frame::ICMPV6), &error),
        packet(from, to, family.pick(4, 41), &syn),
        syn,
    ]
}

/// Its lengths say more than there is, so none of these is a packet.
#[test]
fn a_packet_cut_anywhere_makes_no_entry() -> Result<()> {
    let lab = Lab::new(&PORTS)?;
    let cut = lab.pair.client.run(|| {
        let mut interface = Interface::sender("c0")?;
        let mut cut = 0_u64;
        for whole in Family::BOTH.into_iter().flat_map(good) {
            for length in 1..whole.len() {
                interface.send(&frame::ethernet([2; 6], [4; 6], ethertype(&whole), &whole[..length]))?;
                cut += 1;
            }
        }
        Ok(cut)
    })?;
    assert!(lab.watched.attempts()?.is_empty(), "{:#?}", lab.watched.attempts()?);
    assert!(lab.watched.queries()?.is_empty());
    assert_eq!(lab.watched.counter(AttemptCounter::Unreadable)?, cut);
    for whole in good(Family::V4) {
        lab.send_out(&frame_out(&whole))?;
    }
    // The SYN, what two tunnels and an IP packet carry, two datagrams; the error is about the SYN.
    assert_eq!((lab.watched.attempts()?.len(), lab.watched.queries()?.len()), (6, 1));
    Ok(())
}

/// Each byte of each header takes odd values: addresses are those that were sent, or those bytes themselves.
#[test]
fn no_byte_makes_an_entry_that_nobody_sent() -> Result<()> {
    let lab = Lab::new(&PORTS)?;
    for family in Family::BOTH {
        let addresses = family.pick(12..20, 8..40);
        for whole in good(family) {
            lab.pair.client.run(|| {
                let mut interface = Interface::sender("c0")?;
                for at in (0..whole.len()).filter(|at| !addresses.contains(at)) {
                    for value in [0, 1, 0x3f, 0x45, 0x60, 0x7f, 0x80, 0xc0, 0xff] {
                        let mut odd = whole.clone();
                        odd[at] = value;
                        interface.send(&frame::ethernet([2; 6], [4; 6], ethertype(&whole), &odd))?;
                    }
                }
                Ok(())
            })?;
        }
        let (from, to) = ends(family);
        let known = [words(from), words(to)];
        let all = lab.watched.attempts()?;
        assert!(all.len() > 20, "{}", all.len());
        // An inner packet's addresses are changed too, by one byte.
        let is_near = |address: [u32; 4]| {
            known.iter().any(|own| own.iter().zip(address).filter(|(own, seen)| **own != *seen).count() <= 1)
        };
        for (key, _) in all.iter().filter(|(key, _)| key.family == family.pick(4, 6)) {
            assert!(is_near(key.client) && is_near(key.server), "{key:?}");
        }
    }
    Ok(())
}

#[test]
fn a_packet_goes_on_as_it_came() -> Result<()> {
    let lab = Lab::new(&PORTS)?;
    let mut listener = lab.pair.server.run(|| Interface::listener("s0"))?;
    for whole in Family::BOTH.into_iter().flat_map(good) {
        let sent = frame_out(&whole);
        lab.send_out(&sent)?;
        let seen = listener.receive(patience(), |frame| frame == sent)?;
        assert!(seen.is_some(), "{sent:02x?} did not arrive");
    }
    Ok(())
}
