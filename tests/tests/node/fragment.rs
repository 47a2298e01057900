//! Fragments that are not put together: the setting, the memory and the datagram are named.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, Ipv6, MORE_FRAGMENTS, UDP};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Expect, Family, Story, cpu, patience, remedy, sysctl};

const PORT: u16 = 9009;
/// Bytes of each of the two halves.
const HALF: usize = 64;

fn ends(family: Family) -> (IpAddr, IpAddr) {
    (CLIENT.ip(family), NEIGHBOUR.ip(family))
}

/// One half of a datagram with this id.
fn half(family: Family, id: u16, second: bool) -> Vec<u8> {
    let (source, destination) = ends(family);
    let datagram = frame::udp(source, destination, (1234, PORT), &[b'w'; 2 * HALF - 8]);
    let data = if second { &datagram[HALF..] } else { &datagram[..HALF] };
    let place = if second { HALF as u16 / 8 } else { 0 };
    match family {
        Family::V4 => {
            let fragment = place | if second { 0 } else { MORE_FRAGMENTS };
            let header = Ipv4 { identification: id, fragment, ..Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP) };
            frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV4, &header.build(data))
        }
        Family::V6 => {
            let part = frame::fragment6(UDP, place, !second, id.into(), data);
            let packet = Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, frame::FRAGMENT_HEADER).build(&part);
            frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV6, &packet)
        }
    }
}

fn send(lab: &Pair, frames: &[Vec<u8>]) -> Result<()> {
    lab.client.run(|| {
        let mut wire = Interface::sender("c0")?;
        frames.iter().try_for_each(|frame| wire.send(frame))
    })
}

/// Whoever gets the whole datagram.
fn receiver(lab: &Pair, family: Family) -> Result<UdpSocket> {
    let socket = lab.server.run(|| Ok(UdpSocket::bind(SocketAddr::new(NEIGHBOUR.ip(family), PORT))?))?;
    socket.set_read_timeout(Some(patience()))?;
    Ok(socket)
}

fn arrives(socket: &UdpSocket) -> Result<()> {
    let (length, _) = socket.recv_from(&mut [0; 512]).context("the datagram did not arrive")?;
    ensure!(length == 2 * HALF - 8, "{length} bytes arrived");
    Ok(())
}

fn between(family: Family) -> [(&'static str, String); 2] {
    let (source, destination) = ends(family);
    [(key::SOURCE, source.to_string()), (key::DESTINATION, destination.to_string())]
}

fn wanted(lab: &Pair, reasons: &[&str], family: Family) -> Result<Expect> {
    let expect = Expect::finest(reasons)?.cause("mtu").netns(&lab.server)?;
    Ok(between(family).into_iter().fold(expect, |expect, (key, address)| expect.with(key, address)))
}

#[test]
fn the_rest_comes_too_late() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let (file, name) = family
            .pick(("net/ipv4/ipfrag_time", "net.ipv4.ipfrag_time"), ("net/ipv6/ip6frag_time", "net.ipv6.ip6frag_time"));
        let _hasty = sysctl::set(&lab.server, file, "1")?;
        let ((), busy) = cpu::busy_after(|| send(&lab, &[half(family, 9, false)]))?;
        let wanted = wanted(&lab, &["FRAG_REASM_TIMEOUT"], family)?.with(key::SYSCTL_NAME, name);
        let event = story.names(wanted.with(key::SYSCTL_VALUE, "1"), 1)?;
        drop(busy);
        let from = CLIENT.ip(family);
        let summary = format!("only some fragments of datagram id 0x0009 from {from} came within 1 s ({name})");
        ensure!(event.text(key::SUMMARY) == summary, "{event}");
        event.says(key::EVIDENCE, "holds bytes 0 to 63; more were to follow")?;
        remedy::apply(&event, &format!("{name}={}", family.pick(30, 60)), &lab.server)?;
        let socket = receiver(&lab, family)?;
        send(&lab, &[half(family, 10, false)])?;
        // Longer than the second that was allowed before.
        thread::sleep(Duration::from_millis(1300));
        send(&lab, &[half(family, 10, true)])?;
        arrives(&socket)?;
    }
    story.end().map(drop)
}

#[test]
fn there_is_no_memory_for_another_datagram() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let prefix = family.pick("net/ipv4/ipfrag", "net/ipv6/ip6frag");
        let name = format!("{}_high_thresh", prefix.replace('/', "."));
        let _low = sysctl::set(&lab.server, &format!("{prefix}_low_thresh"), "0")?;
        let _high = sysctl::set(&lab.server, &format!("{prefix}_high_thresh"), "100")?;
        send(&lab, &[half(family, 1, false), half(family, 2, false)])?;
        let wanted = wanted(&lab, &["NOT_SPECIFIED"], family)?.sure("derived").with(key::SYSCTL_NAME, name.as_str());
        let event = story.names(wanted.freed_in(&["ip_defrag", "ipv6_frag_rcv"]), 1)?;
        ensure!(event.text(key::SUMMARY).starts_with("the reassembly memory is full: "), "{event}");
        ensure!(event.text(key::SUMMARY).contains("id 0x0002"), "{event}");
        event.says(key::EVIDENCE, "fragments of 1 datagrams take ")?;
        remedy::apply(&event, &format!("{name}=4194304"), &lab.server)?;
        let socket = receiver(&lab, family)?;
        send(&lab, &[half(family, 2, false), half(family, 2, true)])?;
        arrives(&socket)?;
    }
    story.end().map(drop)
}

#[test]
fn fragments_overlap() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    let header = Ipv4 { identification: 8, fragment: 4, ..Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP) };
    let over = frame::ethernet(S0_MAC, C0_MAC, frame::ETHERTYPE_IPV4, &header.build(&[b'b'; HALF]));
    send(&lab, &[half(Family::V4, 8, false), over])?;
    let wanted = Expect::drop("NOT_SPECIFIED").cause("checksum").netns(&lab.server)?;
    let part = "the fragments of datagram id 0x0008 from 10.99.1.2 overlap or contradict each other";
    let event = story.names(wanted.with(key::SUMMARY, part).freed_in(&["ip_defrag"]), 1)?;
    event.says(key::EVIDENCE, "holds bytes 32 to 95; it is the last")?;
    let socket = receiver(&lab, Family::V4)?;
    send(&lab, &[half(Family::V4, 12, false), half(Family::V4, 12, true)])?;
    arrives(&socket)?;
    story.end().map(drop)
}
