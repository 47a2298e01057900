//! Reading in our own namespace, and in one that is not there.

use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use tracer_common::FlowKey;

use super::absent::Why;
use super::*;
use crate::host::{self, Netns, NetnsName, netns};
use crate::inquiry::Case;
use crate::node::{Packet, Question, Topic};

fn question(reason: &str, protocol: u8, to: SocketAddr) -> Question {
    let inode = netns::link(Path::new("/proc/self/ns/net")).unwrap().unwrap();
    let packet = Packet {
        source: Some("127.0.0.1".parse().unwrap()),
        destination: Some(to.ip()),
        protocol: Some(protocol),
        source_port: Some(9),
        destination_port: Some(to.port()),
        reason: Some(reason.to_owned()),
        ..Packet::default()
    };
    let netns = Netns { inode, name: NetnsName::Host, doors: Vec::new() };
    let flow = FlowKey {
        location: 1,
        netns: inode,
        reason: 2,
        ifindex: 1,
        port: to.port(),
        protocol,
        family: 4,
        source: [0; 4],
        destination: [0; 4],
    };
    let case = Case::new(flow, None);
    Question { case, topic: Topic::Socket, netns, netns_cookie: 0, packet, time: 1 }
}

fn ask(question: &Question, memory: &mut Memory) -> (Result<Sockets, HostError>, Vec<String>) {
    let host = host::Facts::default();
    let mut scene = Scene::new(question, &host);
    let read = read(&mut scene, memory);
    (read, scene.unknown)
}

#[test]
fn a_listener_that_came_later_is_seen_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let question = question("NO_SOCKET", diag::TCP, listener.local_addr().unwrap());
    let (read, unknown) = ask(&question, &mut Memory::default());
    let Ok(Sockets::Absent(absent)) = read else { panic!("{read:?}") };
    let [(held, Why::NotThen)] = &absent.same_port[..] else { panic!("{absent:?}") };
    assert_eq!(held.owner.as_ref().map(|owner| owner.pid), Some(std::process::id()), "{unknown:?}");
    assert!(absent.is_listed);
}

#[test]
fn the_socket_that_a_packet_was_for_and_its_counter() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut memory = Memory::default();
    let mut question = question("SOCKET_RCVBUFF", diag::UDP, socket.local_addr().unwrap());
    for before in [None, Some(0)] {
        let (read, _) = ask(&question, &mut memory);
        let Ok(Sockets::Busy(busy)) = read else { panic!("{read:?}") };
        assert_eq!(busy.socket.as_ref().unwrap().socket.local, socket.local_addr().unwrap());
        assert_eq!(busy.drops_before, before);
        assert!(busy.settings.receive_max.is_some());
        question.time = host::clock::monotonic();
    }
}

#[test]
fn a_namespace_that_is_gone_is_an_error_that_says_so() {
    let mut question = question("NO_SOCKET", diag::TCP, "127.0.0.1:1".parse().unwrap());
    question.netns =
        Netns { inode: 7, name: NetnsName::Named("gone".into()), doors: vec![PathBuf::from("/nonexistent")] };
    for reason in ["NO_SOCKET", "SOCKET_RCVBUFF", "TCP_LISTEN_OVERFLOW"] {
        question.packet.reason = Some(reason.to_owned());
        assert_eq!(ask(&question, &mut Memory::default()).0, Err(HostError::Gone { netns: 7 }), "{reason}");
    }
}

#[test]
fn a_protocol_that_the_kernel_does_not_list_is_said() {
    // 200 is nobody's, so the kernel refuses the list.
    let question = question("NO_SOCKET", 200, "127.0.0.1:1".parse().unwrap());
    let (read, unknown) = ask(&question, &mut Memory::default());
    let Ok(Sockets::Absent(absent)) = read else { panic!("{read:?}") };
    assert!(!absent.is_listed && absent.same_port.is_empty() && absent.served.is_empty());
    assert!(unknown.iter().any(|why| why.contains("can't be listed: the kernel refused the request")), "{unknown:?}");
}

#[test]
fn a_packet_without_ports_is_no_question() {
    let mut question = question("SOCKET_RCVBUFF", diag::UDP, "127.0.0.1:1".parse().unwrap());
    question.packet.destination_port = None;
    let (read, unknown) = ask(&question, &mut Memory::default());
    assert_eq!(read, Ok(Sockets::Busy(Box::default())));
    assert_eq!(unknown, ["which socket it was for: its ports are not known"]);
}

#[test]
fn a_flood_of_questions_lists_once() {
    let mut question = question("NO_SOCKET", diag::TCP, "127.0.0.1:1".parse().unwrap());
    let mut memory = Memory::default();
    for port in 1..=100 {
        question.packet.destination_port = Some(port);
        let (read, unknown) = ask(&question, &mut memory);
        assert!(read.is_ok() && !unknown.iter().any(|open| open.starts_with("who listens")), "{unknown:?}");
        memory.listeners.exhaust();
    }
}
