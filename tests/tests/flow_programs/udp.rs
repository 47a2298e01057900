//! UDP of the ports that are named: requests, sessions with handshakes, and data that is nothing.

use std::net::UdpSocket;

use anyhow::Result;
use tracer_common::{AttemptCounter, PORT_IKE_NAT, PORT_OPENVPN, PORT_QUIC, PORT_REQUEST, PORT_WIREGUARD};
use tracer_tests::topology::NEIGHBOUR;
use tracer_tests::traffic::frame;
use tracer_tests::{Family, eventually, patience};

use crate::lab::{Lab, ends, frame_into, frame_out, packet, words};

#[test]
fn a_request_and_its_reply_are_one_entry_and_other_ports_are_none() -> Result<()> {
    let lab = Lab::new(&[(7123, PORT_REQUEST)])?;
    for family in Family::BOTH {
        let exchange = |port| -> Result<()> {
            let to = NEIGHBOUR.port(family, port);
            let server = lab.pair.server.run(|| Ok(UdpSocket::bind(to)?))?;
            let client = lab.pair.client.run(|| Ok(UdpSocket::bind((ends(family).0, 0))?))?;
            server.set_read_timeout(Some(patience()))?;
            client.set_read_timeout(Some(patience()))?;
            client.send_to(b"when?", to)?;
            let (_, from) = server.recv_from(&mut [0; 16])?;
            server.send_to(b"now", from)?;
            client.recv_from(&mut [0; 16])?;
            Ok(())
        };
        exchange(7200)?;
        exchange(7123)?;
        let all = lab.watched.attempts()?;
        let own = all.iter().filter(|(key, _)| key.server == words(ends(family).1)).collect::<Vec<_>>();
        let [(key, attempt)] = own[..] else { panic!("{all:#?}") };
        assert_eq!((key.protocol, key.server_port, key.client), (17, 7123, words(ends(family).0)));
        assert_eq!((attempt.opened, attempt.answers), ([0, 1], [1, 0]));
        assert!(attempt.answered > attempt.first);
    }
    Ok(())
}

#[test]
fn the_first_one_between_two_known_ports_is_the_client() -> Result<()> {
    let lab = Lab::new(&[(123, PORT_REQUEST)])?;
    let (client, server) = ends(Family::V4);
    let datagram = |from, to| packet(from, to, frame::UDP, &frame::udp(from, to, (123, 123), b"time"));
    lab.send_in(&frame_into(&datagram(server, client)))?;
    lab.send_out(&frame_out(&datagram(client, server)))?;
    eventually("both", || Ok(lab.watched.attempt(123)?.1.answers == [0, 1]))?;
    let (key, attempt) = lab.watched.attempt(123)?;
    assert_eq!((key.client, attempt.opened), (words(server), [1, 0]));
    Ok(())
}

/// Port, data, opener, answer.
type Session<'a> = (u16, &'a [u8], &'a [u8], &'a [u8]);

#[test]
fn of_sessions_only_handshakes_count() -> Result<()> {
    let ports = [(4430, PORT_QUIC), (1194, PORT_OPENVPN), (5182, PORT_WIREGUARD), (4500, PORT_IKE_NAT)];
    let lab = Lab::new(&ports)?;
    let (client, server) = ends(Family::V6);
    let send = |port: u16, payload: &[u8]| {
        let datagram = frame::udp(client, server, (40_000, port), payload);
        lab.send_out(&frame_out(&packet(client, server, frame::UDP, &datagram)))
    };
    let answer = |port: u16, payload: &[u8]| {
        let datagram = frame::udp(server, client, (port, 40_000), payload);
        lab.send_in(&frame_into(&packet(server, client, frame::UDP, &datagram)))
    };
    let sessions: [Session<'_>; 4] = [
        (4430, &[0x40, 1, 2, 3, 4], &[0xc0, 0, 0, 0, 1], &[0xe0, 0, 0, 0, 1]),
        (1194, &[9 << 3, 0, 0, 0], &[7 << 3, 1, 2, 3], &[8 << 3, 1, 2, 3]),
        (5182, &[4, 0, 0, 0, 9], &[1, 0, 0, 0, 9], &[2, 0, 0, 0, 9]),
        (4500, &[1, 2, 3, 4, 5], &[0, 0, 0, 0, 5], &[0, 0, 0, 0, 6]),
    ];
    for (port, data, opener, reply) in sessions {
        for payload in [data, b"", b"\xff"] {
            send(port, payload)?;
            answer(port, payload)?;
        }
        send(port, opener)?;
        answer(port, reply)?;
        eventually("the answer", || Ok(lab.watched.attempt(port).is_ok_and(|(_, seen)| seen.answers == [1, 0])))?;
        assert_eq!(lab.watched.attempt(port)?.1.opened, [0, 1], "of {port}");
    }
    assert_eq!(lab.watched.attempts()?.len(), 4);
    assert_eq!(lab.watched.counter(AttemptCounter::Unreadable)?, 0);
    Ok(())
}
