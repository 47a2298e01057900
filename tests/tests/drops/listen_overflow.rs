//! A listener whose program does not accept.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use tracer_tests::topology::{self, C0_MAC, NEIGHBOUR, S0_MAC};
use tracer_tests::traffic::Flow;
use tracer_tests::traffic::frame::{self, ACK, ETHERTYPE_IPV4, Ipv4, Segment};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Expect, Family, Story, eventually, kernel, netstat, patience, sysctl};

const PORT: u16 = 8080;
/// Nobody's address: a real client would answer what it did not ask for with resets.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 99, 1, 50);

fn in_frame(segment: &Segment) -> Vec<u8> {
    let bytes = frame::tcp_segment(NOBODY.into(), NEIGHBOUR.v4.into(), segment);
    frame::ethernet(S0_MAC, C0_MAC, ETHERTYPE_IPV4, &Ipv4::new(NOBODY, NEIGHBOUR.v4, frame::TCP).build(&bytes))
}

/// Sends a SYN and gives the sequence number that the listener answers with.
fn open(wire: &mut Interface, port: u16) -> Result<u32> {
    wire.send(&in_frame(&Segment { ports: (port, PORT), ..Segment::default() }))?;
    let ports = [PORT.to_be_bytes(), port.to_be_bytes()].concat();
    let answer = wire.receive(patience(), |frame| frame.get(34..38) == Some(&ports[..]))?;
    let answer = answer.with_context(|| format!("no SYN-ACK to port {port}"))?;
    Ok(u32::from_be_bytes([answer[38], answer[39], answer[40], answer[41]]))
}

/// Ends the handshake.
fn complete(wire: &mut Interface, port: u16, theirs: u32) -> Result<()> {
    let acknowledged = theirs.wrapping_add(1);
    wire.send(&in_frame(&Segment { ports: (port, PORT), flags: ACK, sequence: 2, acknowledged, ..Segment::default() }))
}

#[test]
fn the_last_step_of_a_handshake_finds_the_queue_full() -> Result<()> {
    let lab = topology::pair()?;
    let _no_cookies = sysctl::set(&lab.server, "net/ipv4/tcp_syncookies", "0")?;
    lab.server.exec(&format!("ip neighbour add {NOBODY} lladdr 02:77:00:00:01:02 dev s0 nud permanent"))?;
    let listener = lab.server.run(|| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((NEIGHBOUR.ip(Family::V4), PORT)).into())?;
        // A backlog of two is exceeded by the fourth: the kernel compares with "greater".
        socket.listen(2)?;
        Ok(socket)
    })?;
    let mut wire = lab.client.run(|| Interface::listener("c0"))?;
    let mut story = Story::of(&lab.server)?;
    for port in [3001, 3002] {
        let theirs = open(&mut wire, port)?;
        complete(&mut wire, port, theirs)?;
    }
    let (third, fourth) = (open(&mut wire, 3003)?, open(&mut wire, 3004)?);
    complete(&mut wire, 3003, third)?;
    complete(&mut wire, 3004, fourth)?;
    let flow = Flow { protocol: "tcp", source: (NOBODY, 3004).into(), destination: NEIGHBOUR.port(Family::V4, PORT) };
    let wanted = Expect::finest(&["TCP_LISTEN_OVERFLOW", "NOT_SPECIFIED"])?.cause("listen_overflow").problem();
    let wanted = wanted.hook("socket").interface("s0").netns(&lab.server)?.flow(&flow);
    story.names(wanted.freed_in(&["tcp_v4_rcv"]), 1)?;
    // A new attempt is refused without a drop event; the counter has both.
    wire.send(&in_frame(&Segment { ports: (3005, PORT), ..Segment::default() }))?;
    let overflows = || netstat::read(&lab.server, "TcpExt", "ListenOverflows");
    eventually("the attempt is refused", || Ok(overflows()? == 2))?;
    drop(listener);
    let report = story.end()?;
    let shown_apart = u64::from(kernel::knows_reason("TCP_LISTEN_OVERFLOW")?);
    assert_eq!(report.risen(&Expect::counter("TcpExtListenOverflows"))?, 2 - shown_apart);
    report.ensure_silent(&Expect::counter("TcpExtListenDrops"))
}
