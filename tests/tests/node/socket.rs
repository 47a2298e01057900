//! Sockets: nobody listens there, the buffer is full, the accept queue is full.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, SockRef, Socket, Type};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::program::{COMM, Program};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, C0_MAC, NEIGHBOUR, Pair, Router, S0_MAC, SERVER, ip};
use tracer_tests::traffic::frame::{self, ACK, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ipv4, Ipv6, Segment};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Dual, Event, Expect, Family, Story, patience, remedy, sysctl};

const PORT: u16 = 81;

fn refused(lab: &Router, flow: &Flow) -> Result<Expect> {
    let wanted = Expect::drop("NO_SOCKET").cause("no_socket").problem().hook("socket").interface("s0");
    Ok(wanted.netns(&lab.server)?.flow(flow))
}

fn proves(event: &Event, part: &str) {
    let evidence = event.texts(key::EVIDENCE);
    assert!(evidence.iter().any(|fact| fact.contains(part)), "{part} is not in {evidence:#?}");
}

fn says(event: &Event, summary: &str) {
    assert_eq!(event.text(key::SUMMARY), summary);
}

fn advises(event: &Event, part: &str) {
    let remedies = event.texts(key::REMEDY);
    assert!(remedies.iter().any(|remedy| remedy.contains(part)), "{part} is not in {remedies:#?}");
}

/// Sockets that stay open until their story has ended: closing one throws its queue away, which is reported.
type Open = Vec<OwnedFd>;

/// Shows that the same traffic gets through once somebody listens.
fn heals(story: &mut Story, lab: &Router, protocol: &str, to: SocketAddr, open: &mut Open) -> Result<()> {
    let listener = lab.server.run(|| listen(protocol, to))?;
    reaches(story, lab, protocol, listener, [to, to], open)
}

/// Shows that traffic to the first address arrives at the listener as traffic to the second.
fn reaches(
    story: &mut Story,
    lab: &Router,
    protocol: &str,
    listener: Socket,
    [to, arrives]: [SocketAddr; 2],
    open: &mut Open,
) -> Result<()> {
    if protocol == "udp" {
        let flow = attempt(lab, protocol, to)?;
        let socket = UdpSocket::from(listener);
        socket.set_read_timeout(Some(patience()))?;
        socket.recv_from(&mut [0; 64])?;
        story.control(Flow { destination: arrives, ..flow });
        return Ok(());
    }
    let stream = lab.client.run(|| Ok(TcpStream::connect_timeout(&to, patience())?))?;
    let (accepted, _) = listener.accept()?;
    story.control(Flow { protocol: "tcp", source: stream.local_addr()?, destination: arrives });
    open.extend([stream.into(), accepted.into()]);
    Ok(())
}

fn attempt(lab: &Router, protocol: &str, to: SocketAddr) -> Result<Flow> {
    lab.client.run(|| if protocol == "udp" { Ok(udp::send(to, 1, 20)?.flow) } else { tcp::attempt(to) })
}

fn any(family: Family) -> IpAddr {
    family.pick(Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into())
}

/// A TCP or UDP socket that listens.
fn listen(protocol: &str, at: SocketAddr) -> Result<Socket> {
    let socket = if protocol == "udp" {
        Socket::new(Domain::for_address(at), Type::DGRAM, None)?
    } else {
        Socket::new(Domain::for_address(at), Type::STREAM, None)?
    };
    socket.set_reuse_address(protocol != "udp")?;
    socket.bind(&at.into()).with_context(|| format!("cannot bind {at}"))?;
    if protocol != "udp" {
        socket.listen(16)?;
    }
    Ok(socket)
}

fn serve(lab: &Router, protocol: &str, at: SocketAddr) -> Result<Program> {
    Program::holding(&lab.server, lab.server.run(|| listen(protocol, at))?)
}

#[test]
fn a_closed_port_and_what_is_served_instead() -> Result<()> {
    for protocol in ["tcp", "udp"] {
        let lab = topology::router()?;
        let mut open = Open::new();
        let mut story = Story::of(&lab.server)?;
        let local = serve(&lab, protocol, "127.0.0.1:82".parse()?)?;
        for family in Family::BOTH {
            let program = serve(&lab, protocol, (SERVER.ip(family), 8080).into())?;
            let to = SERVER.port(family, PORT);
            let flow = attempt(&lab, protocol, to)?;
            let event = story.names(refused(&lab, &flow)?.sure("certain"), 1)?;
            says(&event, &format!("nothing listens on {protocol} {to}"));
            let reached = SocketAddr::new(SERVER.ip(family), 8080);
            let served = format!(
                "{protocol} ports that are served: {reached} ({}), 127.0.0.1:82 ({})",
                program.label(),
                local.label()
            );
            proves(&event, &served);
            remedy::apply(&event, if protocol == "tcp" { "ss -tlnmp" } else { "ss -uanmp" }, &lab.server)?;
            heals(&mut story, &lab, protocol, to, &mut open)?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_program_on_another_address() -> Result<()> {
    let lab = topology::router()?;
    ip(&lab.server, "address add 10.99.2.9/24 dev s0\naddress add fd99:2::9/64 dev s0 nodad")?;
    let mut open = Open::new();
    let mut story = Story::of(&lab.server)?;
    let others = [("127.0.0.1", "::1"), ("10.99.2.9", "fd99:2::9")];
    for (port, (v4, v6)) in (PORT..).zip(others) {
        for (protocol, family) in [("tcp", Family::V4), ("tcp", Family::V6), ("udp", Family::V4), ("udp", Family::V6)] {
            let other: IpAddr = family.pick(v4, v6).parse()?;
            let program = serve(&lab, protocol, (other, port).into())?;
            let to = SERVER.port(family, port);
            let event = story.names(refused(&lab, &attempt(&lab, protocol, to)?)?.sure("certain"), 1)?;
            says(
                &event,
                &format!("nothing listens on {protocol} {to}: {} has this port on {other} only", program.label()),
            );
            advises(
                &event,
                &format!("let {} listen on {} or on {}", program.label(), to.ip(), family.pick("0.0.0.0", "[::]")),
            );
            drop(program);
            heals(&mut story, &lab, protocol, to, &mut open)?;
        }
    }
    story.end().map(drop)
}

#[test]
fn an_ipv6_socket_without_ipv4() -> Result<()> {
    let lab = topology::router()?;
    let _only = sysctl::set(&lab.server, "net/ipv6/bindv6only", "1")?;
    let mut open = Open::new();
    let mut story = Story::of(&lab.server)?;
    for (port, protocol) in (PORT..).zip(["tcp", "udp"]) {
        sysctl::set(&lab.server, "net/ipv6/bindv6only", "1").map(std::mem::forget)?;
        let at = SocketAddr::new(any(Family::V6), port);
        let program = serve(&lab, protocol, at)?;
        let to = SERVER.port(Family::V4, port);
        let event = story.names(refused(&lab, &attempt(&lab, protocol, to)?)?.sure("certain"), 1)?;
        let who = program.label();
        says(&event, &format!("nothing listens on {protocol} {to}: {who} has this port for IPv6 only ([::]:{port})"));
        proves(&event, "takes no IPv4 (IPV6_V6ONLY)");
        assert_eq!(event.text(key::SYSCTL_NAME), "net.ipv6.bindv6only");
        assert_eq!(event.text(key::SYSCTL_VALUE), "1");
        remedy::apply(&event, "sysctl -w net.ipv6.bindv6only=0", &lab.server)?;
        drop(program);
        // Started again, the program takes both.
        let socket = lab.server.run(|| listen(protocol, at))?;
        reaches(&mut story, &lab, protocol, socket, [to, to], &mut open)?;
    }
    story.end().map(drop)
}

#[test]
fn an_ipv4_socket_and_an_ipv6_packet() -> Result<()> {
    let lab = topology::router()?;
    let mut open = Open::new();
    let mut story = Story::of(&lab.server)?;
    let program = serve(&lab, "tcp", (any(Family::V4), PORT).into())?;
    let to = SERVER.port(Family::V6, PORT);
    let event = story.names(refused(&lab, &attempt(&lab, "tcp", to)?)?, 1)?;
    says(&event, &format!("nothing listens on tcp {to}: {} has this port for IPv4 only (0.0.0.0:81)", program.label()));
    drop(program);
    heals(&mut story, &lab, "tcp", to, &mut open)?;
    story.end().map(drop)
}

#[test]
fn the_other_protocol_a_connected_socket_and_a_bound_one() -> Result<()> {
    let lab = topology::router()?;
    ip(&lab.server, "link add side type veth peer name edis\nlink set side up")?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let to = SERVER.port(family, PORT);
        let program = serve(&lab, "tcp", (any(family), PORT).into())?;
        let event = story.names(refused(&lab, &attempt(&lab, "udp", to)?)?, 1)?;
        says(&event, &format!("nothing listens on udp {to}: {} has this port for tcp only", program.label()));

        let to = SERVER.port(family, 84);
        let peer = SERVER.port(family, 9);
        let socket = lab.server.run(|| {
            let socket = UdpSocket::bind(to)?;
            socket.connect(peer)?;
            Ok(socket)
        })?;
        let program = Program::holding(&lab.server, socket)?;
        let event = story.names(refused(&lab, &attempt(&lab, "udp", to)?)?, 1)?;
        says(
            &event,
            &format!("nothing listens on udp {to}: {} has this port for its peer {peer} only", program.label()),
        );

        let to = SERVER.port(family, 85);
        let bound = lab.server.run(|| {
            let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None)?;
            socket.bind_device(Some(b"side"))?;
            socket.bind(&SocketAddr::new(any(family), 85).into())?;
            Ok(socket)
        })?;
        let program = Program::holding(&lab.server, bound)?;
        let event = story.names(refused(&lab, &attempt(&lab, "udp", to)?)?, 1)?;
        says(&event, &format!("nothing listens on udp {to}: {} has this port on side only", program.label()));
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn a_service_that_leads_to_a_closed_port() -> Result<()> {
    const SERVICE: Dual = Dual { v4: Ipv4Addr::new(10, 96, 0, 1), v6: Ipv6Addr::new(0xfd96, 0, 0, 0, 0, 0, 0, 1) };
    for backend in Backend::BOTH {
        let lab = topology::router()?;
        let mut open = Open::new();
        let mut story = Story::of(&lab.server)?;
        for (family, protocol) in [(Family::V4, "tcp"), (Family::V4, "udp"), (Family::V6, "tcp"), (Family::V6, "udp")] {
            let chain = Chain { namespace: &lab.router, backend, family, table: "nat", chain: "PREROUTING" };
            let (target, service) = (SERVER.port(family, 6443), SERVICE.port(family, 443));
            let rule = format!(
                "-d {} -p {protocol} --dport 443 -m comment --comment shop/web:https -j DNAT --to-destination {target}",
                service.ip()
            );
            let rule = chain.append(&rule)?;
            let program = serve(&lab, protocol, (any(family), 8443).into())?;
            let flow = Flow { destination: target, ..attempt(&lab, protocol, service)? };
            let event = story.names(refused(&lab, &flow)?.sure("certain"), 1)?;
            says(&event, &format!("nothing listens on {protocol} {target}, the target of {service}"));
            let served = format!(
                "set the Service's targetPort (or the rule's target) to a port that is served, such as 8443 ({})",
                program.label()
            );
            advises(&event, &served);
            // A refused connection is forgotten at once: the rule tells; one of UDP is still known.
            if protocol == "tcp" {
                proves(&event, &format!("leads from {service} to {target} (\"shop/web:https\")"));
                advises(&event, "kubectl -n shop get service web -o yaml");
                remedy::apply(&event, "-t nat -S PREROUTING", &lab.router)?;
            } else {
                proves(&event, &format!("it was sent to {service} and translated to {target}"));
            }
            // What the remedy says, done.
            drop(rule);
            let rule = format!(
                "-d {} -p {protocol} --dport 443 -j DNAT --to-destination {}",
                service.ip(),
                SERVER.port(family, 8444)
            );
            let _rule = chain.append(&rule)?;
            let arrives = SERVER.port(family, 8444);
            let socket = lab.server.run(|| listen(protocol, arrives))?;
            reaches(&mut story, &lab, protocol, socket, [service, arrives], &mut open)?;
        }
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_tunnel_port_without_a_device() -> Result<()> {
    let lab = topology::router()?;
    let mut open = Open::new();
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        for (port, kind) in [(4789, "vxlan"), (6081, "geneve")] {
            let to = SERVER.port(family, port);
            let event = story.names(refused(&lab, &attempt(&lab, "udp", to)?)?, 1)?;
            says(&event, &format!("nothing listens on udp {to}: there is no {kind} device for this port"));
            advises(&event, &format!("ip -d link show type {kind}"));
            heals(&mut story, &lab, "udp", to, &mut open)?;
        }
    }
    story.end().map(drop)
}

#[test]
fn many_listeners_are_told_quickly_and_not_all() -> Result<()> {
    let lab = topology::router()?;
    let sockets: Vec<TcpListener> =
        lab.server.run(|| (10_000..12_000).map(|port| Ok(TcpListener::bind((any(Family::V4), port))?)).collect())?;
    let mut story = Story::of(&lab.server)?;
    let begun = Instant::now();
    let event = story.names(refused(&lab, &attempt(&lab, "tcp", SERVER.port(Family::V4, 11_999 + 1))?)?, 1)?;
    let took = begun.elapsed();
    ensure!(took.as_secs() < 4, "the line came after {took:?}");
    proves(&event, "tcp ports that are served: 11999, 11998, 11997, 11996, 11995, 11994, 11993, 11992 and 1992 more");
    drop(sockets);
    story.end().map(drop)
}

#[test]
fn a_full_receive_buffer_and_whose_it_is() -> Result<()> {
    let lab = topology::router()?;
    for family in Family::BOTH {
        let to = SERVER.port(family, 9999);
        let lazy = lab.server.run(|| Ok(UdpSocket::bind((any(family), 9999))?))?;
        SockRef::from(&lazy).set_recv_buffer_size(4000)?;
        let limit = SockRef::from(&lazy).recv_buffer_size()?;
        let program = Program::holding(&lab.server, lazy.try_clone()?)?;
        lazy.set_nonblocking(true)?;
        let kept = || std::iter::from_fn(|| lazy.recv(&mut [0; 2048]).ok()).count() as u64;
        // How many fit is tried before anybody watches.
        lab.client.run(|| udp::send(to, 20, 400))?;
        udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?;
        let fits = kept();
        let mut story = Story::of(&lab.server)?;
        let wanted = Expect::drop("SOCKET_RCVBUFF").cause("socket_buffer").problem().interface("s0");
        let wanted = wanted.netns(&lab.server)?;
        let sent = lab.client.run(|| udp::send(to, 20, 400))?;
        let event = story.names(wanted.clone().flow(&sent.flow).sure("derived"), 20 - fits)?;
        let local = SocketAddr::new(any(family), 9999);
        let summary = event.text(key::SUMMARY);
        let expected = format!("the receive buffer of udp {local} ({}) is full: ", program.label());
        ensure!(summary.starts_with(&expected) && summary.ends_with(&format!(" of {limit} bytes")), "{event}");
        proves(&event, &format!("udp {local} is held by {}", program.label()));
        assert_eq!((event.number(key::PROCESS_PID)?, event.text(key::PROCESS_COMM)), (program.pid().into(), COMM));
        advises(&event, &format!("top -b -n 1 -H -p {}", program.pid()));
        advises(&event, &format!("raise the SO_RCVBUF that {} sets, {} bytes now", program.label(), limit / 2));
        // The count of drops has been read by now, so that of the next flow is seen to move it.
        let again = lab.client.run(|| udp::send(to, 1, 400))?;
        let sure = story.names(wanted.flow(&again.flow).sure("certain"), 1)?;
        proves(&sure, "its count of drops rose from");
        // The program reads, and the buffer is large enough.
        assert_eq!(kept(), fits);
        SockRef::from(&lazy).set_recv_buffer_size(100_000)?;
        let flow = lab.client.run(|| Ok(udp::send(to, 20, 400)?.flow))?;
        lazy.set_nonblocking(false)?;
        for _ in 0..20 {
            lazy.recv(&mut [0; 2048])?;
        }
        story.control(flow);
        story.end()?;
    }
    Ok(())
}

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
        says(&event, &format!("the accept queue of {label} is full: 3 connections wait, the backlog is 2"));
        proves(&event, "net.core.somaxconn is 2");
        proves(&event, &format!("is held by {}", program.label()));
        assert_eq!(event.text(key::SYSCTL_NAME), "net.core.somaxconn");
        assert_eq!((event.number(key::PROCESS_PID)?, event.text(key::PROCESS_COMM)), (program.pid().into(), COMM));
        advises(&event, &format!("restart {}", program.label()));
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
        advises(&event, &raise);
        proves(&event, "3 connections wait to be accepted, its backlog is 2");
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

#[test]
fn a_protocol_that_nobody_takes() -> Result<()> {
    /// Free for experiments (RFC 3692).
    const NOBODYS: u8 = 253;
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let to = SERVER.ip(family);
        lab.client.run(|| {
            let domain = family.pick(Domain::IPV4, Domain::IPV6);
            let socket = Socket::new(domain, Type::RAW, Some(i32::from(NOBODYS).into()))?;
            socket.send_to(&[1; 8], &SocketAddr::new(to, 0).into())?;
            Ok(())
        })?;
        let wanted = Expect::drop("IP_NOPROTO").cause("no_socket").problem().netns(&lab.server)?;
        let wanted = wanted.with(key::DESTINATION, to.to_string());
        let event = story.names(wanted, 1)?;
        says(&event, "nothing on this machine takes packets of IP protocol 253");
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn a_namespace_that_goes_away() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    let flow = attempt(&lab, "udp", SERVER.port(Family::V4, PORT))?;
    // Nothing leads to it any more but what the kernel holds; the line comes all the same.
    let wanted = refused(&lab, &flow)?;
    let Router { client, router, server } = lab;
    drop(server);
    let event = story.names(wanted, 1)?;
    let summary = event.text(key::SUMMARY);
    let to = SERVER.port(Family::V4, PORT);
    let known = [format!("nothing listens on udp {to}"), format!("nobody listens on udp {to}")];
    ensure!(known.iter().any(|known| known == summary), "{event}");
    ensure!(summary.starts_with("nothing") || event.at(key::UNDECIDED).is_some(), "it is not said why: {event}");
    drop((client, router));
    Ok(())
}
