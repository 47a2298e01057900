//! From the kernel's entries to sightings.
//!
//! Rule: pure. An entry of an unknown family is `None`: it is of another version's making.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tracer_common::{
    Attempt, AttemptKey, EGRESS, FAMILY_IPV4, FAMILY_IPV6, INGRESS, QUESTION_LENGTH, Query, QueryKey, Quoting,
    Retransmit, RetransmitKey, TUNNEL_GENEVE, TUNNEL_IPIP, TUNNEL_VXLAN,
};

use crate::decode;
use crate::flow::dns::{self, QuerySighting};
use crate::flow::{Icmp, Pair, Resent, Sighting, SightingId, Tunnel, Tuple};

pub(super) fn id(key: &AttemptKey, first: u64) -> Option<SightingId> {
    Some(SightingId { device: key.device, tuple: tuple(key)?, first })
}

pub(super) fn attempt(key: &AttemptKey, attempt: &Attempt) -> Option<Sighting> {
    let id @ SightingId { tuple, .. } = id(key, attempt.first)?;
    Some(Sighting {
        id,
        netns: attempt.netns,
        netns_cookie: attempt.netns_cookie,
        ifindex: attempt.ifindex,
        tunnel: tunnel(key.tunnel),
        last: attempt.last,
        answered: when(attempt.answered),
        opened: pair(attempt.opened),
        answers: pair(attempt.answers),
        client_resets: pair(attempt.client_resets),
        server_resets: pair(attempt.server_resets),
        icmp: icmp(&attempt.icmp),
        original: original(&attempt.original, &tuple),
        open_ttl: attempt.open_ttl,
        answer_ttl: attempt.answer_ttl,
        reset_ttl: attempt.reset_ttl,
    })
}

/// `None` too for what has no question where one should be: the kernel does not look for its end.
pub(super) fn query(key: &QueryKey, query: &Query) -> Option<QuerySighting> {
    let tuple = tuple(&key.attempt)?;
    let length = usize::from(query.question_length);
    let kept = query.question.get(..length).unwrap_or(&query.question);
    let question = if kept.is_empty() { kept } else { dns::first(kept, kept.len() == QUESTION_LENGTH)? };
    Some(QuerySighting {
        device: key.attempt.device,
        tuple,
        dns_id: key.id,
        netns: query.netns,
        netns_cookie: query.netns_cookie,
        ifindex: query.ifindex,
        tunnel: tunnel(key.attempt.tunnel),
        first: query.first,
        last: query.last,
        answered: when(query.answered),
        asked: pair(query.asked),
        answers: pair(query.answers),
        original: original(&query.original, &tuple),
        answer_flags: query.answer_flags,
        answer_count: query.answer_count,
        question: question.to_vec(),
    })
}

pub(super) fn retransmit(key: &RetransmitKey, entry: &Retransmit) -> Option<Resent> {
    Some(Resent {
        netns: key.netns,
        netns_cookie: entry.netns_cookie,
        local: SocketAddr::new(address(key.local), key.local_port),
        remote: SocketAddr::new(address(key.remote), key.remote_port),
        first: entry.first,
        last: entry.last,
        segments: entry.segments,
        large: entry.large,
        handshakes: entry.handshakes,
        longest: entry.longest,
        mss: entry.mss,
        state: entry.state,
    })
    // Both ends of one socket.
    .filter(|resent| resent.local.is_ipv4() == resent.remote.is_ipv4())
}

fn tuple(key: &AttemptKey) -> Option<Tuple> {
    let client = SocketAddr::new(address(key.client), key.client_port);
    let server = SocketAddr::new(address(key.server), key.server_port);
    let fits = match key.family {
        FAMILY_IPV4 => client.is_ipv4() && server.is_ipv4(),
        FAMILY_IPV6 => true,
        _ => false,
    };
    fits.then_some(Tuple { protocol: key.protocol, client, server })
}

/// IPv4 is mapped into IPv6.
fn address(words: [u32; 4]) -> IpAddr {
    let mut octets = [0; 16];
    for (bytes, word) in octets.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(octets).to_canonical()
}

/// The connection before translation, if that is another: the same two ends in either order are no other.
fn original(raw: &tracer_common::Tuple, seen: &Tuple) -> Option<Tuple> {
    let original = decode::Tuple::of(raw)?;
    let original = Tuple {
        protocol: original.protocol,
        client: SocketAddr::new(original.source, original.source_port),
        server: SocketAddr::new(original.destination, original.destination_port),
    };
    let same = [(seen.client, seen.server), (seen.server, seen.client)];
    (original.protocol == seen.protocol && !same.contains(&(original.client, original.server))).then_some(original)
}

fn icmp(quoting: &Quoting) -> Option<Icmp> {
    (quoting.count > 0).then(|| Icmp {
        from: address(quoting.from),
        count: quoting.count,
        kind: quoting.kind,
        code: quoting.code,
        mtu: quoting.mtu,
        is_ingress: usize::from(quoting.direction) == INGRESS,
        quotes_server: quoting.quotes_server != 0,
        ttl: quoting.ttl,
    })
}

fn tunnel(number: u8) -> Option<Tunnel> {
    match number {
        TUNNEL_VXLAN => Some(Tunnel::Vxlan),
        TUNNEL_GENEVE => Some(Tunnel::Geneve),
        TUNNEL_IPIP => Some(Tunnel::Ipip),
        _ => None,
    }
}

fn pair(counts: [u32; 2]) -> Pair {
    let of = |direction: usize| counts.get(direction).copied().unwrap_or_default();
    Pair { ingress: of(INGRESS), egress: of(EGRESS) }
}

fn when(time: u64) -> Option<u64> {
    (time != 0).then_some(time)
}

#[cfg(test)]
mod tests {
    use tracer_common::read_plain;

    use super::*;

    fn words(address: &str) -> [u32; 4] {
        let octets = match address.parse().unwrap() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(octets.chunks_exact(4)) {
            *word = u32::from_ne_bytes(bytes.try_into().unwrap());
        }
        words
    }

    fn key(client: &str, server: &str) -> AttemptKey {
        let family = if client.contains(':') { FAMILY_IPV6 } else { FAMILY_IPV4 };
        AttemptKey {
            device: 0xffff_8880_0000_1000,
            client: words(client),
            server: words(server),
            client_port: 40_000,
            server_port: 443,
            protocol: 6,
            family,
            tunnel: 0,
            pad: 0,
        }
    }

    fn entry() -> Attempt {
        let empty: Attempt = read_plain(&[0; size_of::<Attempt>()]).unwrap();
        Attempt { first: 5, last: 9, netns: 77, ifindex: 3, opened: [0, 2], open_ttl: 64, ..empty }
    }

    fn conntrack(source: (&str, u16), destination: (&str, u16)) -> tracer_common::Tuple {
        let four = |address: &str| match address.parse().unwrap() {
            IpAddr::V4(address) => [u32::from_ne_bytes(address.octets()), 0, 0, 0],
            IpAddr::V6(_) => words(address),
        };
        tracer_common::Tuple {
            source: four(source.0),
            source_port: source.1,
            family: if source.0.contains(':') { 10 } else { 2 },
            destination: four(destination.0),
            destination_port: destination.1,
            protocol: 6,
            direction: 0,
        }
    }

    #[test]
    fn ipv4_is_unmapped_and_ipv6_stays() {
        let seen = attempt(&key("10.0.0.1", "10.0.0.2"), &entry()).unwrap();
        assert_eq!(seen.id.tuple.client, "10.0.0.1:40000".parse().unwrap());
        assert_eq!((seen.id.first, seen.last, seen.answered, seen.icmp), (5, 9, None, None));
        assert_eq!((seen.opened, seen.answers.any()), (Pair { ingress: 0, egress: 2 }, false));
        assert_eq!((seen.netns, seen.ifindex, seen.tunnel, seen.original), (77, 3, None, None));
        let seen = attempt(&key("fd00::1", "fd00::2"), &entry()).unwrap();
        assert_eq!(seen.id.tuple.server, "[fd00::2]:443".parse().unwrap());
    }

    #[test]
    fn an_entry_that_contradicts_itself_is_none() {
        let strange = AttemptKey { family: 9, ..key("10.0.0.1", "10.0.0.2") };
        assert_eq!(attempt(&strange, &entry()), None);
        let strange = AttemptKey { family: FAMILY_IPV4, ..key("fd00::1", "fd00::2") };
        assert_eq!(attempt(&strange, &entry()), None);
    }

    #[test]
    fn only_another_connection_is_the_original() {
        let key = key("10.0.0.1", "10.244.1.5");
        let of = |original| attempt(&key, &Attempt { original, ..entry() }).unwrap().original;
        let same = conntrack(("10.0.0.1", 40_000), ("10.244.1.5", 443));
        let turned = conntrack(("10.244.1.5", 443), ("10.0.0.1", 40_000));
        assert_eq!((of(same), of(turned)), (None, None));
        let service = of(conntrack(("10.0.0.1", 40_000), ("10.96.0.10", 443))).unwrap();
        assert_eq!(service.server, "10.96.0.10:443".parse().unwrap());
        let port = of(conntrack(("10.0.0.1", 1024), ("10.244.1.5", 443))).unwrap();
        assert_eq!(port.client.port(), 1024);
        assert_eq!(of(tracer_common::Tuple { protocol: 1, ..same }), None);
        assert_eq!(of(tracer_common::Tuple { family: 0, ..conntrack(("1.1.1.1", 1), ("1.1.1.2", 2)) }), None);
    }

    #[test]
    fn icmp_and_tunnels_are_told() {
        let quoting = Quoting {
            from: words("192.0.2.9"),
            count: 2,
            mtu: 1400,
            kind: 3,
            code: 4,
            direction: EGRESS as u8,
            quotes_server: 1,
            ttl: 63,
            pad: [0; 3],
        };
        let key = AttemptKey { tunnel: TUNNEL_VXLAN, ..key("10.0.0.1", "10.0.0.2") };
        let seen = attempt(&key, &Attempt { icmp: quoting, answered: 7, ..entry() }).unwrap();
        let icmp = seen.icmp.unwrap();
        assert_eq!((icmp.from, icmp.mtu, icmp.is_ingress), ("192.0.2.9".parse().unwrap(), 1400, false));
        assert_eq!((icmp.quotes_server, seen.tunnel, seen.answered), (true, Some(Tunnel::Vxlan), Some(7)));
    }

    #[test]
    fn a_query_has_its_question_and_no_more() {
        let empty: Query = read_plain(&[0; size_of::<Query>()]).unwrap();
        let mut question = [0; QUESTION_LENGTH];
        question[..10].copy_from_slice(b"\x01a\0\0\x01\0\x01\xc0\x0c\0");
        let key = QueryKey { attempt: key("10.0.0.1", "10.0.0.2"), id: 99, pad: [0; 3] };
        let seen = query(&key, &Query { question, question_length: 10, asked: [1, 0], ..empty }).unwrap();
        assert_eq!((seen.question.as_slice(), seen.dns_id), (&b"\x01a\0\0\x01\0\x01"[..], 99));
        assert_eq!(query(&key, &Query { question, question_length: 6, ..empty }), None, "cut in its class");
        assert_eq!(query(&key, &Query { question: [0xc0; QUESTION_LENGTH], question_length: 9, ..empty }), None);
        assert!(query(&key, &empty).unwrap().question.is_empty(), "an answer that repeats none");
        let lying = query(&key, &Query { question_length: u16::MAX, ..empty }).unwrap();
        assert_eq!(lying.question, [0; 5], "the root, asked for type 0");
    }

    #[test]
    fn resent_segments_keep_their_ends_also_without_ports() {
        let key = RetransmitKey {
            local: words("10.0.0.1"),
            remote: words("10.0.0.2"),
            local_port: 0,
            remote_port: 0,
            netns: 4,
        };
        let empty: Retransmit = read_plain(&[0; size_of::<Retransmit>()]).unwrap();
        let seen = retransmit(&key, &Retransmit { segments: 3, large: 1, mss: 1448, ..empty }).unwrap();
        assert_eq!((seen.local, seen.segments, seen.mss), ("10.0.0.1:0".parse().unwrap(), 3, 1448));
        assert_eq!(retransmit(&RetransmitKey { remote: words("fd00::1"), ..key }, &empty), None);
    }
}
