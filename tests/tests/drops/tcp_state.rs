//! Segments that do not fit the state of a connection or a listener.

use std::io::Write;
use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use socket2::SockRef;
use tracer_tests::event::key;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, S0_MAC};
use tracer_tests::traffic::frame::{self, ACK, Ipv4, Ipv6, SYN, Segment};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, tcp};
use tracer_tests::{Expect, Family, Story, Tracer, kernel, patience};

const FIN: u8 = 1;
const RST: u8 = 4;
const PSH: u8 = 8;
const PORT: u16 = 8080;

/// A segment from the client to the server of a pair, in its frame.
fn in_frame(family: Family, segment: &Segment) -> Vec<u8> {
    let bytes = frame::tcp_segment(CLIENT.ip(family), NEIGHBOUR.ip(family), segment);
    let (ethertype, packet) = match family {
        Family::V4 => (frame::ETHERTYPE_IPV4, Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, frame::TCP).build(&bytes)),
        Family::V6 => (frame::ETHERTYPE_IPV6, Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, frame::TCP).build(&bytes)),
    };
    frame::ethernet(S0_MAC, C0_MAC, ethertype, &packet)
}

fn from_port(family: Family, port: u16) -> Flow {
    let (source, destination) = (CLIENT.port(family, port), NEIGHBOUR.port(family, PORT));
    Flow { protocol: "tcp", source, destination }
}

#[test]
fn nonsense_reaches_a_listener() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    let mut wire = lab.client.run(|| Interface::sender("c0"))?;
    for family in Family::BOTH {
        let _listening = lab.server.run(|| Ok(TcpListener::bind(NEIGHBOUR.port(family, PORT))?))?;
        let state: &[&str] = &["tcp_rcv_state_process", "tcp_v4_do_rcv", "tcp_v6_do_rcv"];
        for (port, flags, reason) in [(2001, SYN | FIN, "TCP_FLAGS"), (2002, 0, "TCP_FLAGS"), (2003, RST, "TCP_RESET")]
        {
            wire.send(&in_frame(family, &Segment { ports: (port, PORT), flags, ..Segment::default() }))?;
            let wanted = Expect::finest(&[reason, "NOT_SPECIFIED"])?.interface("s0").netns(&lab.server)?;
            story.names(wanted.hook("socket").flow(&from_port(family, port)).freed_in(state), 1)?;
        }
    }
    story.end().map(drop)
}

#[test]
fn an_md5_signature_that_nobody_asked_for() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    let mut wire = lab.client.run(|| Interface::sender("c0"))?;
    for family in Family::BOTH {
        let _listening = lab.server.run(|| Ok(TcpListener::bind(NEIGHBOUR.port(family, PORT))?))?;
        // Kind 19 (RFC 2385) and two no-operations to fill the word.
        let options = [&[19, 18][..], &[0x5a; 16], &[1, 1]].concat();
        let segment = Segment { ports: (2010, PORT), options: &options, ..Segment::default() };
        wire.send(&in_frame(family, &segment))?;
        let wanted = Expect::drop("TCP_MD5UNEXPECTED").hook("socket").interface("s0").netns(&lab.server)?;
        let freed_in = family.pick(["tcp_v4_rcv"], ["tcp_v6_rcv"]);
        story.names(wanted.flow(&from_port(family, 2010)).freed_in(&freed_in), 1)?;
    }
    story.end().map(drop)
}

#[test]
fn a_segment_comes_from_too_far() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    let listener = lab.server.run(|| Ok(TcpListener::bind(NEIGHBOUR.port(Family::V4, PORT))?))?;
    // The client's packets arrive with 64 hops left.
    set_min_ttl(&listener, 200)?;
    let flow = lab.client.run(|| tcp::attempt(NEIGHBOUR.port(Family::V4, PORT)))?;
    let wanted = Expect::finest(&["TCP_MINTTL", "NOT_SPECIFIED"])?.hook("socket").interface("s0").netns(&lab.server)?;
    story.names(wanted.flow(&flow).freed_in(&["tcp_v4_rcv"]), 1)?;
    story.end().map(drop)
}

fn set_min_ttl(listener: &TcpListener, least: libc::c_int) -> Result<()> {
    use std::os::fd::AsRawFd;
    let size = size_of_val(&least) as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes of `least`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(listener.as_raw_fd(), libc::IPPROTO_IP, libc::IP_MINTTL, (&raw const least).cast(), size)
    };
    ensure!(result == 0, std::io::Error::last_os_error());
    Ok(())
}

/// Where a real connection stands, learnt from a segment of data on the wire.
struct State {
    next: u32,
    acknowledged: u32,
    /// The peer echoes them, and an injected segment must have newer ones.
    timestamps: [u8; 12],
}

/// Reads the last data segment of the client off the wire.
fn learn(wire: &mut Interface, family: Family, source_port: u16, data: &[u8]) -> Result<State> {
    let tcp = 14 + family.pick(20, 40);
    let is_it = |frame: &[u8]| frame.get(tcp..tcp + 2) == Some(&source_port.to_be_bytes()[..]) && frame.ends_with(data);
    let frame = wire.receive(patience(), is_it)?.context("no data on the wire")?;
    let number = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let timestamps = frame[tcp + 20..tcp + 32].try_into()?;
    Ok(State { next: number(tcp + 4).wrapping_add(data.len() as u32), acknowledged: number(tcp + 8), timestamps })
}

#[test]
fn a_segment_does_not_fit_its_connection() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let mut wire = lab.client.run(|| Interface::listener("c0"))?;
        let mut connection = tcp::connect(&lab.client, &lab.server, NEIGHBOUR.port(family, PORT))?;
        connection.client.write_all(b"whydrop")?;
        let state = learn(&mut wire, family, connection.flow.source.port(), b"whydrop")?;
        let sound = Segment {
            ports: (connection.flow.source.port(), PORT),
            flags: ACK | PSH,
            sequence: state.next,
            acknowledged: state.acknowledged,
            options: &state.timestamps,
            data: b"x",
        };
        let far = 10_000_000;
        let cases = [
            (Segment { sequence: state.next.wrapping_add(far), ..sound }, "TCP_INVALID_SEQUENCE"),
            (Segment { sequence: state.next.wrapping_sub(7), data: b"whydrop", ..sound }, "TCP_OLD_DATA"),
            (Segment { acknowledged: state.acknowledged.wrapping_add(far), ..sound }, "TCP_ACK_UNSENT_DATA"),
            (Segment { flags: SYN, acknowledged: 0, data: b"", ..sound }, "TCP_INVALID_SYN"),
        ];
        for (segment, reason) in cases {
            wire.send(&in_frame(family, &segment))?;
            let wanted = Expect::finest(&[reason, "NOT_SPECIFIED"])?.hook("socket").interface("s0");
            story.names(wanted.netns(&lab.server)?.flow(&connection.flow), 1).with_context(|| reason.to_owned())?;
        }
        // End it without a word, or the goodbye would be dropped as well.
        SockRef::from(&connection.server).set_linger(Some(std::time::Duration::ZERO))?;
    }
    story.end().map(drop)
}

/// Segments with a gap between each two wait in a tree, which lies over the device that they came by; where there is too
/// much of them, those from the far end are given up (`tcp_prune_ofo_queue`, net/ipv4/tcp_input.c, 6.18).
#[test]
fn what_waits_out_of_order_has_no_invented_place() -> Result<()> {
    const SEGMENTS: u32 = 80;
    const AT_LEAST: u64 = 20;
    let lab = topology::pair()?;
    let server = lab.server.inode()?;
    for family in Family::BOTH {
        let mut wire = lab.client.run(|| Interface::listener("c0"))?;
        let mut connection = tcp::connect(&lab.client, &lab.server, NEIGHBOUR.port(family, PORT))?;
        let source = connection.flow.source;
        // Not of one namespace only: that would hide a wrong one, and what has none.
        let (host, port) = (source.ip().to_string(), source.port().to_string());
        let mut tracer = Tracer::start(&["--all", "--interval", "100ms", "--host", &host, "--port", &port])?;
        connection.client.write_all(b"whydrop")?;
        let state = learn(&mut wire, family, source.port(), b"whydrop")?;
        // The window was told when there was more room.
        SockRef::from(&connection.server).set_recv_buffer_size(2048)?;
        for number in (1..=SEGMENTS).rev() {
            let segment = Segment {
                ports: (source.port(), PORT),
                flags: ACK | PSH,
                sequence: state.next.wrapping_add(number * 20),
                acknowledged: state.acknowledged,
                options: &state.timestamps,
                data: b"x",
            };
            wire.send(&in_frame(family, &segment))?;
        }
        let pruned = Expect::finest(&["TCP_OFO_QUEUE_PRUNE", "NOT_SPECIFIED"])?.flow(&connection.flow);
        tracer.wait_for_count(&pruned, AT_LEAST)?;
        let report = tracer.stop()?;
        for event in report.events.iter().filter(|event| pruned.accepts(event)) {
            let netns = event.at(key::NETNS).and_then(Value::as_u64).unwrap_or_default();
            // The tracepoint tells the socket since 6.11.
            let is_unknown = netns == 0 && kernel::release()? < (6, 11);
            ensure!(netns == server || is_unknown, "it was in no such namespace: {event}");
            let name = event.at(key::INTERFACE).and_then(Value::as_str);
            ensure!(name == Some("s0") || name.is_none() && is_unknown, "it was on no such interface: {event}");
        }
        report.ensure_clean()?;
        SockRef::from(&connection.server).set_linger(Some(std::time::Duration::ZERO))?;
    }
    Ok(())
}
