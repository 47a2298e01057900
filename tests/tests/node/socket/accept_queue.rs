//! A listener whose program does not accept.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use tracer_tests::event::key;
use tracer_tests::program::{COMM, Program};
use tracer_tests::topology::{self, C0_MAC, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::Flow;
use tracer_tests::traffic::frame::{self, ACK, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ipv4, Ipv6, Segment};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::{Dual, Expect, Family, Story, patience, remedy, sysctl};

use super::{any, is_said};

/// Nobody's address: a real client would answer what it did not ask for with resets.
const NOBODY: Dual = Dual { v4: Ipv4Addr::new(10, 99, 1, 50), v6: Ipv6Addr::new(0xfd99, 1, 0, 0, 0, 0, 0, 0x50) };
const LISTENER: u16 = 8080;

/// A client that makes handshakes by hand.
struct Client<'a> {
    lab: &'a Pair,
    wire: Interface,
    family: Family,
}

impl<'a> Client<'a> {
    fn new(lab: &'a Pair, family: Family) -> Result<Self> {
        let address = NOBODY.ip(family);
        lab.server.exec(&format!("ip neighbour replace {address} lladdr 02:77:00:00:01:02 dev s0 nud permanent"))?;
        let wire = lab.client.run(|| Interface::listener("c0"))?;
        Ok(Self { lab, wire, family })
    }

    fn send(&mut self, segment: &Segment<'_>) -> Result<()> {
        let bytes = frame::tcp_segment(NOBODY.ip(self.family), NEIGHBOUR.ip(self.family), segment);
        let frame = match self.family {
            Family::V4 => (ETHERTYPE_IPV4, Ipv4::new(NOBODY.v4, NEIGHBOUR.v4, frame::TCP).build(&bytes)),
            Family::V6 => (ETHERTYPE_IPV6, Ipv6::new(NOBODY.v6, NEIGHBOUR.v6, frame::TCP).build(&bytes)),
        };
        self.wire.send(&frame::ethernet(S0_MAC, C0_MAC, frame.0, &frame.1))
    }

    /// Sends a SYN; the sequence number that the listener answers with.
    fn open(&mut self, port: u16) -> Result<u32> {
        self.send(&Segment { ports: (port, LISTENER), ..Segment::default() })?;
        let ports = [LISTENER.to_be_bytes(), port.to_be_bytes()].concat();
        let at = self.family.pick(34, 54);
        let answer = self.wire.receive(patience(), |frame| frame.get(at..at + 4) == Some(&ports[..]))?;
        let answer = answer.with_context(|| format!("no SYN-ACK to port {port}"))?;
        Ok(u32::from_be_bytes([answer[at + 4], answer[at + 5], answer[at + 6], answer[at + 7]]))
    }

    /// Ends the handshake.
    fn complete(&mut self, port: u16, theirs: u32) -> Result<Flow> {
        let acknowledged = theirs.wrapping_add(1);
        let ports = (port, LISTENER);
        self.send(&Segment { ports, flags: ACK, sequence: 2, acknowledged, ..Segment::default() })?;
        let source = (NOBODY.ip(self.family), port).into();
        Ok(Flow { protocol: "tcp", source, destination: NEIGHBOUR.port(self.family, LISTENER) })
    }

    /// Fills a queue that takes three, and two more; the flows of those two.
    fn overflow(&mut self, first: u16) -> Result<[Flow; 2]> {
        for port in [first, first + 1] {
            let theirs = self.open(port)?;
            self.complete(port, theirs)?;
        }
        let theirs = [first + 2, first + 3, first + 4].map(|port| self.open(port).map(|theirs| (port, theirs)));
        let [third, fourth, fifth] = theirs;
        let (third, fourth, fifth) = (third?, fourth?, fifth?);
        self.complete(third.0, third.1)?;
        Ok([self.complete(fourth.0, fourth.1)?, self.complete(fifth.0, fifth.1)?])
    }

    fn listen(&self, backlog: i32) -> Result<Socket> {
        self.lab.server.run(|| {
            let at = SocketAddr::new(any(self.family), LISTENER);
            let socket = Socket::new(Domain::for_address(at), Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.bind(&at.into())?;
            socket.listen(backlog)?;
            Ok(socket)
        })
    }
}

fn overflow(lab: &Pair, flow: &Flow) -> Result<Expect> {
    let wanted = Expect::finest(&["TCP_LISTEN_OVERFLOW", "NOT_SPECIFIED"])?.cause("listen_overflow").problem();
    Ok(wanted.hook("socket").interface("s0").netns(&lab.server)?.flow(flow))
}

#[test]
fn a_full_accept_queue_whose_backlog_the_setting_cuts() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let _no_cookies = sysctl::set(&lab.server, "net/ipv4/tcp_syncookies", "0")?;
        let _few = sysctl::set(&lab.server, "net/core/somaxconn", "2")?;
        let mut client = Client::new(&lab, family)?;
        let listener = client.listen(100)?;
        let program = Program::holding(&lab.server, listener.try_clone()?)?;
        let mut story = Story::of(&lab.server)?;
        let [flow, again] = client.overflow(3001)?;
        let event = story.names(overflow(&lab, &flow)?, 1)?;
        story.names(overflow(&lab, &again)?, 1)?;
        let label = format!("tcp {} ({})", SocketAddr::new(any(family), LISTENER), program.label());
        is_said(&event, &format!("the accept queue of {label} is full: 3 connections wait, the backlog is 2"));
        event.says(key::EVIDENCE, "net.core.somaxconn is 2")?;
        event.says(key::EVIDENCE, &format!("is held by {}", program.label()))?;
        assert_eq!(event.text(key::SYSCTL_NAME), "net.core.somaxconn");
        assert_eq!((event.number(key::PROCESS_PID)?, event.text(key::PROCESS_COMM)), (program.pid().into(), COMM));
        event.says(key::REMEDY, &format!("restart {}", program.label()))?;
        remedy::apply(&event, "sysctl -w net.core.somaxconn=4096", &lab.server)?;
        // As a restarted program would: the backlog is set when it listens.
        listener.listen(100)?;
        let theirs = client.open(4001)?;
        let flow = client.complete(4001, theirs)?;
        story.control(flow);
        for _ in 0..4 {
            listener.accept()?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_full_accept_queue_whose_backlog_is_the_programs() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let _no_cookies = sysctl::set(&lab.server, "net/ipv4/tcp_syncookies", "0")?;
        let mut client = Client::new(&lab, family)?;
        let listener = client.listen(2)?;
        let program = Program::holding(&lab.server, listener.try_clone()?)?;
        let mut story = Story::of(&lab.server)?;
        let [flow, again] = client.overflow(3001)?;
        let event = story.names(overflow(&lab, &flow)?, 1)?;
        story.names(overflow(&lab, &again)?, 1)?;
        let raise =
            format!("raise the backlog that {} passes to listen(), 2 now (net.core.somaxconn allows ", program.label());
        event.says(key::REMEDY, &raise)?;
        event.says(key::EVIDENCE, "3 connections wait to be accepted, its backlog is 2")?;
        listener.listen(100)?;
        let theirs = client.open(4001)?;
        story.control(client.complete(4001, theirs)?);
        for _ in 0..4 {
            listener.accept()?;
        }
        story.end()?;
    }
    Ok(())
}
