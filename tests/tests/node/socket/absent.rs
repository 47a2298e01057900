//! Nobody listens there: who almost does, and what leads there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use socket2::{Domain, Socket, Type};
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::program::Program;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, Router, SERVER, ip};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Dual, Expect, Family, Story, patience, remedy, sysctl};

use super::{any, is_said};

const PORT: u16 = 81;

fn refused(lab: &Router, flow: &Flow) -> Result<Expect> {
    let wanted = Expect::drop("NO_SOCKET").cause("no_socket").problem().hook("socket").interface("s0");
    Ok(wanted.netns(&lab.server)?.flow(flow))
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
            let event = story.names(refused(&lab, &flow)?.sure(super::agreed()), 1)?;
            is_said(&event, &format!("nothing listens on {protocol} {to}"));
            let reached = SocketAddr::new(SERVER.ip(family), 8080);
            let served = format!(
                "{protocol} ports that are served: {reached} ({}), 127.0.0.1:82 ({})",
                program.label(),
                local.label()
            );
            event.says(key::EVIDENCE, &served)?;
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
            let event = story.names(refused(&lab, &attempt(&lab, protocol, to)?)?.sure(super::agreed()), 1)?;
            is_said(
                &event,
                &format!("nothing listens on {protocol} {to}: {} has this port on {other} only", program.label()),
            );
            event.says(
                key::REMEDY,
                &format!("let {} listen on {} or on {}", program.label(), to.ip(), family.pick("0.0.0.0", "[::]")),
            )?;
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
        let event = story.names(refused(&lab, &attempt(&lab, protocol, to)?)?.sure(super::agreed()), 1)?;
        let who = program.label();
        is_said(
            &event,
            &format!("nothing listens on {protocol} {to}: {who} has this port for IPv6 only ([::]:{port})"),
        );
        event.says(key::EVIDENCE, "takes no IPv4 (IPV6_V6ONLY)")?;
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
    is_said(
        &event,
        &format!("nothing listens on tcp {to}: {} has this port for IPv4 only (0.0.0.0:81)", program.label()),
    );
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
        is_said(&event, &format!("nothing listens on udp {to}: {} has this port for tcp only", program.label()));

        let to = SERVER.port(family, 84);
        let peer = SERVER.port(family, 9);
        let socket = lab.server.run(|| {
            let socket = UdpSocket::bind(to)?;
            socket.connect(peer)?;
            Ok(socket)
        })?;
        let program = Program::holding(&lab.server, socket)?;
        let event = story.names(refused(&lab, &attempt(&lab, "udp", to)?)?, 1)?;
        is_said(
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
        is_said(&event, &format!("nothing listens on udp {to}: {} has this port on side only", program.label()));
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
            let event = story.names(refused(&lab, &flow)?.sure(super::agreed()), 1)?;
            is_said(&event, &format!("nothing listens on {protocol} {target}, the target of {service}"));
            let served = format!(
                "set the Service's targetPort (or the rule's target) to a port that is served, such as 8443 ({})",
                program.label()
            );
            event.says(key::REMEDY, &served)?;
            // A refused connection is forgotten at once: the rule tells; one of UDP is still known.
            if protocol == "tcp" {
                event.says(key::EVIDENCE, &format!("leads from {service} to {target} (\"shop/web:https\")"))?;
                event.says(key::REMEDY, "kubectl -n shop get service web -o yaml")?;
                remedy::apply(&event, "-t nat -S PREROUTING", &lab.router)?;
            } else {
                event.says(key::EVIDENCE, &format!("it was sent to {service} and translated to {target}"))?;
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
            is_said(&event, &format!("nothing listens on udp {to}: there is no {kind} device for this port"));
            event.says(key::REMEDY, &format!("ip -d link show type {kind}"))?;
            heals(&mut story, &lab, "udp", to, &mut open)?;
        }
    }
    story.end().map(drop)
}

#[test]
fn many_listeners_are_read_in_time_and_not_all_told() -> Result<()> {
    let lab = topology::router()?;
    let sockets: Vec<TcpListener> =
        lab.server.run(|| (10_000..12_000).map(|port| Ok(TcpListener::bind((any(Family::V4), port))?)).collect())?;
    let mut story = Story::of(&lab.server)?;
    let event = story.names(refused(&lab, &attempt(&lab, "tcp", SERVER.port(Family::V4, 11_999 + 1))?)?, 1)?;
    event.says(
        key::EVIDENCE,
        "tcp ports that are served: 11999, 11998, 11997, 11996, 11995, 11994, 11993, 11992 and 1992 more",
    )?;
    drop(sockets);
    story.end().map(drop)
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
        is_said(&event, "nothing on this machine takes packets of IP protocol 253");
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
