//! Handshakes and resets of TCP.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Result;
use tracer_common::{AttemptCounter, EGRESS, INGRESS, TUNNEL_NONE};
use tracer_tests::topology::NEIGHBOUR;
use tracer_tests::traffic::{frame, tcp};
use tracer_tests::{Family, eventually};

use crate::lab::{Lab, ends, frame_into, frame_out, has_cookies, packet, words};

const RST: u8 = 4;

#[test]
fn a_connection_is_an_opener_and_an_answer_and_its_data_is_nothing() -> Result<()> {
    let lab = Lab::new(&[])?;
    for family in Family::BOTH {
        let port = family.pick(8004, 8006);
        let connection = tcp::connect(&lab.pair.client, &lab.pair.server, NEIGHBOUR.port(family, port))?;
        let (key, attempt) = lab.watched.attempt(port)?;
        let (client, server) = ends(family);
        assert_eq!((key.client, key.server), (words(client), words(server)));
        assert_eq!((key.client_port, key.protocol, key.tunnel), (connection.flow.source.port(), 6, TUNNEL_NONE));
        assert_eq!((attempt.opened, attempt.answers), ([0, 1], [1, 0]));
        assert_eq!((attempt.open_ttl, attempt.answer_ttl), (64, 64));
        assert!(attempt.first < attempt.answered && attempt.answered == attempt.last, "{attempt:?}");
        assert_eq!(u64::from(attempt.netns), lab.pair.client.inode()?);
        assert_eq!(attempt.netns_cookie != 0, has_cookies()?);
        assert!(attempt.ifindex != 0 && key.device != 0);
        exchange(&connection)?;
        assert_eq!(lab.watched.attempt(port)?, (key, attempt), "data has changed the entry");
    }
    assert_eq!(lab.watched.counter(AttemptCounter::Attempts)?, 2);
    assert_eq!(lab.watched.counter(AttemptCounter::Unreadable)?, 0);
    Ok(())
}

fn exchange(connection: &tcp::Connection) -> Result<()> {
    use std::io::{Read, Write};
    let (mut client, mut server) = (&connection.client, &connection.server);
    let mut buffer = vec![7; 100_000];
    client.write_all(&buffer[..50_000])?;
    server.read_exact(&mut buffer[..50_000])?;
    server.write_all(b"answer")?;
    client.read_exact(&mut buffer[..6])?;
    Ok(())
}

#[test]
fn a_refusal_is_a_reset_of_the_server() -> Result<()> {
    let lab = Lab::new(&[])?;
    for family in Family::BOTH {
        let port = family.pick(8104, 8106);
        let to = NEIGHBOUR.port(family, port);
        let refused = lab.pair.client.run(|| Ok(TcpStream::connect_timeout(&to, Duration::from_secs(5)).is_err()))?;
        assert!(refused);
        let (_, attempt) = lab.watched.attempt(port)?;
        assert_eq!((attempt.opened, attempt.answers), ([0, 1], [0, 0]));
        assert_eq!((attempt.client_resets, attempt.server_resets), ([0, 0], [1, 0]));
        assert_eq!((attempt.answered, attempt.reset_ttl), (0, 64));
    }
    Ok(())
}

#[test]
fn a_reset_finds_the_side_that_began_whatever_the_ports() -> Result<()> {
    let lab = Lab::new(&[])?;
    let (client, server) = ends(Family::V4);
    let segment = |source, destination, ports, flags| {
        packet(source, destination, frame::TCP, &frame::tcp(source, destination, ports, flags))
    };
    // The client's port is the lower one.
    lab.send_out(&frame_out(&segment(client, server, (1000, 9000), frame::SYN)))?;
    lab.send_out(&frame_out(&segment(client, server, (1000, 9000), RST)))?;
    eventually("the reset", || Ok(lab.watched.attempt(9000)?.1.client_resets[EGRESS] == 1))?;
    // Nothing is known of this one.
    lab.send_in(&frame_into(&segment(server, client, (700, 40_000), RST | frame::ACK)))?;
    eventually("the other reset", || Ok(lab.watched.attempts()?.len() == 2))?;
    let (key, attempt) = lab.watched.attempt(700)?;
    assert_eq!((key.client, key.client_port), (words(client), 40_000));
    assert_eq!((attempt.server_resets[INGRESS], attempt.opened), (1, [0, 0]));
    // What makes no sense begins nothing.
    for flags in [frame::SYN | RST, frame::SYN | 1, frame::SYN | frame::ACK | RST, 0xff] {
        lab.send_out(&frame_out(&segment(client, server, (2000, 9100), flags)))?;
    }
    lab.send_out(&frame_out(&segment(client, server, (2000, 9200), frame::SYN)))?;
    eventually("the last", || Ok(lab.watched.attempt(9200).is_ok()))?;
    assert!(lab.watched.attempt(9100).is_err());
    Ok(())
}

#[test]
fn the_listener_side_sees_the_same() -> Result<()> {
    let mut lab = Lab::new(&[])?;
    lab.watched.attach(&lab.pair.server, "s0")?;
    let to = NEIGHBOUR.port(Family::V4, 8200);
    let _listener = lab.pair.server.run(|| Ok(TcpListener::bind(to)?))?;
    let _stream = lab.pair.client.run(|| Ok(TcpStream::connect(to)?))?;
    let seen = lab.watched.attempts()?;
    assert_eq!(seen.len(), 2, "{seen:?}");
    let server = lab.pair.server.inode()?;
    let there = seen.iter().find(|(_, attempt)| u64::from(attempt.netns) == server).expect("the server's");
    assert_eq!((there.1.opened, there.1.answers), ([1, 0], [0, 1]));
    assert!(seen[0].0.device != seen[1].0.device);
    Ok(())
}
