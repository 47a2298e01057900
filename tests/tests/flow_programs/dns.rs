//! DNS over UDP and TCP.

use std::io::{Read, Write};
use std::net::UdpSocket;

use anyhow::Result;
use tracer_common::{AttemptCounter, PORT_DNS};
use tracer_tests::topology::NEIGHBOUR;
use tracer_tests::traffic::{frame, tcp};
use tracer_tests::{Family, eventually, patience};

use crate::lab::{Lab, ends, frame_out, packet};

/// `pod.example` A IN, in wire format.
const QUESTION: &[u8] = b"\x03pod\x07example\x00\x00\x01\x00\x01";
/// What a resolver adds behind the question.
const OPT: &[u8] = b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00";

fn message(id: u16, flags: u16, answers: u16, question: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in [id, flags, 1, answers, 0, 1] {
        bytes.extend(number.to_be_bytes());
    }
    [&bytes[..], question, OPT].concat()
}

#[test]
fn a_query_and_its_answer_over_udp() -> Result<()> {
    let lab = Lab::new(&[(53, PORT_DNS)])?;
    for family in Family::BOTH {
        let to = NEIGHBOUR.port(family, 53);
        let server = lab.pair.server.run(|| Ok(UdpSocket::bind(to)?))?;
        let client = lab.pair.client.run(|| Ok(UdpSocket::bind((ends(family).0, 0))?))?;
        server.set_read_timeout(Some(patience()))?;
        client.set_read_timeout(Some(patience()))?;
        let id = family.pick(0x1234, 0x1236);
        // Two at once from one port, as resolvers send A and AAAA.
        client.send_to(&message(id, 0x0100, 0, QUESTION), to)?;
        client.send_to(&message(id + 1, 0x0100, 0, QUESTION), to)?;
        let (_, from) = server.recv_from(&mut [0; 512])?;
        server.send_to(&message(id, 0x8183, 0, QUESTION), from)?;
        client.recv_from(&mut [0; 512])?;
        let (key, query) = lab.watched.query(id)?;
        assert_eq!((key.attempt.server_port, key.attempt.client_port), (53, client.local_addr()?.port()));
        assert_eq!((query.asked, query.answers), ([0, 1], [1, 0]));
        assert_eq!((query.answer_flags, query.answer_count), (0x8183, 0));
        // What follows the question comes with it.
        let kept = [QUESTION, OPT].concat();
        assert_eq!(&query.question[..usize::from(query.question_length)], kept);
        assert!(query.question[kept.len()..].iter().all(|byte| *byte == 0));
        assert!(query.first < query.answered && query.answered == query.last);
        assert_eq!(u64::from(query.netns), lab.pair.client.inode()?);
        assert_eq!(lab.watched.query(id + 1)?.1.answered, 0);
    }
    assert!(lab.watched.attempts()?.is_empty(), "a query is no attempt");
    assert_eq!(lab.watched.counter(AttemptCounter::Queries)?, 4);
    Ok(())
}

/// The payload of a socket's segment is in pages, not in the linear part.
#[test]
fn a_query_and_its_answer_over_tcp() -> Result<()> {
    let lab = Lab::new(&[(53, PORT_DNS)])?;
    for family in Family::BOTH {
        let mut connection = tcp::connect(&lab.pair.client, &lab.pair.server, NEIGHBOUR.port(family, 53))?;
        let id = family.pick(0x2234, 0x2236);
        let prefixed = |message: Vec<u8>| [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        let query = prefixed(message(id, 0x0100, 0, QUESTION));
        connection.client.write_all(&query)?;
        connection.server.read_exact(&mut vec![0; query.len()])?;
        let answer = prefixed(message(id, 0x8180, 1, QUESTION));
        connection.server.write_all(&answer)?;
        connection.client.read_exact(&mut vec![0; answer.len()])?;
        let (key, query) = lab.watched.query(id)?;
        assert_eq!((key.attempt.protocol, key.attempt.server_port), (6, 53));
        assert_eq!((query.asked, query.answers, query.answer_count), ([0, 1], [1, 0], 1));
        assert_eq!(&query.question[..QUESTION.len()], QUESTION);
    }
    assert_eq!(lab.watched.attempts()?.len(), 2, "the handshakes");
    Ok(())
}

#[test]
fn what_is_no_query_makes_no_entry() -> Result<()> {
    let lab = Lab::new(&[(53, PORT_DNS)])?;
    let (client, server) = ends(Family::V4);
    let send = |payload: &[u8]| {
        let datagram = frame::udp(client, server, (40_000, 53), payload);
        lab.send_out(&frame_out(&packet(client, server, frame::UDP, &datagram)))
    };
    let questions: [&[u8]; 4] = [b"\xc0\x0c\x00\x01\x00\x01", b"\x3f", b"\x40aaaa", b""];
    for (number, question) in (1..).zip(questions) {
        let whole = message(number, 0x0100, 0, question);
        send(&whole[..12 + question.len()])?;
    }
    // An answer by a client, an update, two questions, nothing.
    send(&message(10, 0x8000, 0, QUESTION))?;
    send(&message(11, 0x2800, 0, QUESTION))?;
    let mut two = message(12, 0x0100, 0, QUESTION);
    two[5] = 2;
    send(&two)?;
    send(b"")?;
    // Cut before there is a question at all.
    let whole = message(13, 0x0100, 0, QUESTION);
    for length in 0..12 + 5 {
        send(&whole[..length])?;
    }
    send(&message(99, 0x0100, 0, QUESTION))?;
    eventually("the last", || Ok(lab.watched.query(99).is_ok()))?;
    let all = lab.watched.queries()?;
    assert_eq!(all.len(), 1, "{all:?}");
    Ok(())
}

#[test]
fn a_long_name_is_cut() -> Result<()> {
    let lab = Lab::new(&[(53, PORT_DNS)])?;
    let (client, server) = ends(Family::V6);
    let name = [&[63; 64][..], &[63; 64], &[63; 64], &[30; 31], b"\x00\x00\x01\x00\x01"].concat();
    let datagram = frame::udp(client, server, (40_000, 53), &message(7, 0x0100, 0, &name));
    lab.send_out(&frame_out(&packet(client, server, frame::UDP, &datagram)))?;
    eventually("the query", || Ok(lab.watched.query(7).is_ok()))?;
    let (_, query) = lab.watched.query(7)?;
    assert_eq!((query.question_length, &query.question[..]), (192, &name[..192]));
    Ok(())
}
