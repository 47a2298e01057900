//! Errors of ICMP and ICMPv6, and whose packets they quote.

use std::net::IpAddr;

use anyhow::Result;
use tracer_common::{EGRESS, INGRESS, PORT_DNS};
use tracer_tests::topology::{ROUTER_1, SERVER};
use tracer_tests::traffic::frame;
use tracer_tests::{Family, eventually};

use crate::lab::{Lab, ends, frame_into, frame_out, packet, words};

/// An error of a router about a packet of the client.
fn error(family: Family, kind: (u8, u8), body: u32, quoted: &[u8]) -> Vec<u8> {
    let (router, client) = (ROUTER_1.ip(family), ends(family).0);
    let protocol = family.pick(frame::ICMP, frame::ICMPV6);
    let body = [&body.to_be_bytes()[..], quoted].concat();
    packet(router, client, protocol, &frame::icmp(router, client, kind.0, kind.1, &body))
}

fn syn(from: IpAddr, to: IpAddr, port: u16) -> Vec<u8> {
    packet(from, to, frame::TCP, &frame::tcp(from, to, (40_000, port), frame::SYN))
}

#[test]
fn an_error_belongs_to_the_attempt_that_it_quotes() -> Result<()> {
    let lab = Lab::new(&[])?;
    for family in Family::BOTH {
        let client = ends(family).0;
        let server = SERVER.ip(family);
        let sent = syn(client, server, 443);
        lab.send_out(&frame_out(&sent))?;
        // Administratively prohibited; the quoted packet as short as an old router makes it.
        let prohibited = family.pick((3, 13), (1, 1));
        let shortest = &sent[..family.pick(28, 48)];
        lab.send_in(&frame_into(&error(family, prohibited, 0, shortest)))?;
        let found = |seen: u32| {
            eventually("the error", || {
                let all = lab.watched.attempts()?;
                Ok(all.iter().any(|(key, entry)| key.server == words(server) && entry.icmp.count == seen))
            })
        };
        found(1)?;
        let own = || -> Result<_> {
            let all = lab.watched.attempts()?;
            Ok(*all.iter().find(|(key, _)| key.server == words(server)).expect("just seen"))
        };
        let (key, attempt) = own()?;
        assert_eq!((key.client, key.client_port, key.server_port), (words(client), 40_000, 443));
        assert_eq!((attempt.opened, attempt.answered), ([0, 1], 0));
        let icmp = attempt.icmp;
        assert_eq!((icmp.kind, icmp.code, icmp.mtu, icmp.ttl), (prohibited.0, prohibited.1, 0, 64));
        assert_eq!(icmp.from, words(ROUTER_1.ip(family)));
        assert_eq!((usize::from(icmp.direction), icmp.quotes_server), (INGRESS, 0));
        // Too big, with the MTU.
        let too_big = family.pick((3, 4), (2, 0));
        lab.send_in(&frame_into(&error(family, too_big, 1400, &sent)))?;
        found(2)?;
        assert_eq!((own()?.1.icmp.kind, own()?.1.icmp.mtu), (too_big.0, 1400));
    }
    assert_eq!(lab.watched.attempts()?.len(), 2);
    Ok(())
}

#[test]
fn an_error_about_an_answer_finds_the_client() -> Result<()> {
    let lab = Lab::new(&[(53, PORT_DNS)])?;
    let (client, server) = ends(Family::V4);
    // The peer opens to a high port of ours, which answers from there.
    lab.send_in(&frame_into(&packet(
        server,
        client,
        frame::TCP,
        &frame::tcp(server, client, (900, 9000), frame::SYN),
    )))?;
    let flags = frame::SYN | frame::ACK;
    let answer = packet(client, server, frame::TCP, &frame::tcp(client, server, (9000, 900), flags));
    lab.send_in(&frame_into(&error(Family::V4, (3, 10), 0, &answer)))?;
    eventually("the error", || Ok(lab.watched.attempt(9000)?.1.icmp.count == 1))?;
    let (key, attempt) = lab.watched.attempt(9000)?;
    assert_eq!((key.client, attempt.icmp.quotes_server), (words(server), 1));
    // Of these nothing was seen before: a DNS query of ours, and one of UDP between ports that nobody named.
    for (ports, wanted) in [((40_000, 53), 53), ((40_001, 7777), 7777)] {
        let query = packet(client, server, frame::UDP, &frame::udp(client, server, ports, b"\x00"));
        lab.send_in(&frame_into(&error(Family::V4, (3, 3), 0, &query)))?;
        eventually("its error", || Ok(lab.watched.attempt(wanted).is_ok_and(|(_, entry)| entry.icmp.count == 1)))?;
        let (key, attempt) = lab.watched.attempt(wanted)?;
        assert_eq!((key.protocol, key.client, attempt.opened), (17, words(client), [0, 0]));
        assert_eq!(usize::from(attempt.icmp.direction), INGRESS);
    }
    Ok(())
}

#[test]
fn what_is_no_error_and_what_quotes_nothing_makes_no_entry() -> Result<()> {
    let lab = Lab::new(&[])?;
    let (client, server) = ends(Family::V4);
    let sent = syn(client, server, 443);
    // Echo, redirect, a quoted fragment that is not the first, quoted ICMP, a quoted header cut short.
    lab.send_in(&frame_into(&error(Family::V4, (8, 0), 0, &sent)))?;
    lab.send_in(&frame_into(&error(Family::V4, (5, 1), 0, &sent)))?;
    let mut fragment = sent.clone();
    fragment[7] = 9;
    lab.send_in(&frame_into(&error(Family::V4, (11, 1), 0, &fragment)))?;
    let echo = packet(client, server, frame::ICMP, &frame::icmp(client, server, 8, 0, b"echo"));
    lab.send_in(&frame_into(&error(Family::V4, (3, 1), 0, &echo)))?;
    for length in 0..24 {
        lab.send_in(&frame_into(&error(Family::V4, (3, 1), 0, &sent[..length])))?;
    }
    lab.send_out(&frame_out(&syn(client, server, 444)))?;
    eventually("the last", || Ok(lab.watched.attempt(444)?.1.opened[EGRESS] == 1))?;
    let all = lab.watched.attempts()?;
    assert_eq!(all.len(), 1, "{all:#?}");
    Ok(())
}
