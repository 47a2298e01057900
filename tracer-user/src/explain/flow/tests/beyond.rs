//! Attempts that left this node.

use super::super::{explain, wanted};
use super::*;
use crate::event::{Cause, Confidence};
use crate::flow::{Icmp, Resent};
use crate::node::socket::diag::{TCP, UDP};

#[test]
fn syns_that_left_are_told_with_device_counts_and_what_proves_it() {
    let (pod, out) = (pod(), uplink());
    let inside = tuple(TCP, "10.244.1.5:40000", "203.0.113.9:443");
    let outside = tuple(TCP, "10.0.0.4:1025", "203.0.113.9:443");
    let sightings =
        vec![(Arc::clone(&pod), sighting(&pod, inside, IN)), (Arc::clone(&out), sighting(&out, outside, OUT))];
    let mut story = story(inside, Some(Lost::AfterNode { at: out }), sightings);
    story.translated = Some(outside);
    assert!(wanted(&story).is_none(), "the node knows no more");
    let told = explain(&story, None);
    is_well_formed(&told);
    assert_eq!(told.summary, "6 SYNs to tcp 203.0.113.9:443 left eth0 of the host and nothing came back");
    assert_eq!((told.cause, told.confidence), (Cause::Upstream, Confidence::Inferred));
    assert!(has(&told.evidence, "the client is 10.244.1.5:40000"), "{told:#?}");
    assert!(has(&told.evidence, "its source was translated to 10.0.0.4:1025"));
    assert!(has(&told.evidence, "veth7 of the host: 6 SYNs came in, no answer (from 0.0 s to 31.0 s)"));
    assert!(has(&told.evidence, "eth0 of the host: 6 SYNs left, no answer"));
    assert_eq!(told.remedy[0], "tcpdump -ni eth0 'host 203.0.113.9 and (tcp port 443 or icmp)'");
    assert_eq!(told.remedy[1], "traceroute -n -T -p 443 203.0.113.9");
    assert!(has(&told.remedy, "and host 10.0.0.4'"), "the address that the other side sees: {:?}", told.remedy);
    assert!(told.suspects.is_none() && told.unknown.is_some(), "suspects are for who knows the other attempts");
}

#[test]
fn one_request_of_a_pods_own_uplink_is_told_with_its_namespace_entered() {
    let inside = Arc::new(Point { netns: web(), ..Point::clone(&device(3, "eth0.5", Role::Uplink)) });
    let asked = tuple(UDP, "[fd00::5]:4000", "[2001:db8::1]:123");
    let seen = sighting(&inside, asked, Pair { ingress: 0, egress: 1 });
    let mut story = story(asked, Some(Lost::AfterNode { at: Arc::clone(&inside) }), vec![(inside, seen)]);
    (story.attempts, story.last) = (1, story.first);
    let told = explain(&story, None);
    is_well_formed(&told);
    assert_eq!(told.summary, "1 request to udp [2001:db8::1]:123 left eth0.5 of namespace web and nothing came back");
    assert_eq!(
        told.remedy[0],
        "nsenter --net=/run/netns/web tcpdump -ni eth0.5 'host 2001:db8::1 and (udp port 123 or icmp6)'"
    );
    assert!(!has(&told.remedy, "nc -vz"), "a UDP probe proves nothing");
    assert!(!has(&told.evidence, "after the first"), "there was one only");
}

#[test]
fn a_translated_service_is_told_with_both_addresses() {
    let out = uplink();
    let asked = tuple(TCP, "10.244.1.5:40000", "10.96.0.9:443");
    let seen = tuple(TCP, "10.244.1.5:40000", "10.244.9.3:8443");
    let mut story = story(
        asked,
        Some(Lost::AfterNode { at: Arc::clone(&out) }),
        vec![(Arc::clone(&out), sighting(&out, seen, OUT))],
    );
    story.translated = Some(seen);
    let told = explain(&story, None);
    assert!(told.summary.contains("tcp 10.96.0.9:443 (translated to 10.244.9.3:8443)"), "{}", told.summary);
    assert!(told.remedy[1].ends_with("-p 8443 10.244.9.3"), "{:?}", told.remedy);
}

#[test]
fn a_hostile_interface_name_cannot_run_anything() {
    let out = device(2, "$(reboot)", Role::Uplink);
    let asked = tuple(TCP, "10.0.0.1:1", "10.0.0.2:2");
    let story = story(
        asked,
        Some(Lost::AfterNode { at: Arc::clone(&out) }),
        vec![(Arc::clone(&out), sighting(&out, asked, OUT))],
    );
    assert!(explain(&story, None).remedy[0].starts_with("tcpdump -ni '$(reboot)' "));
}

#[test]
fn large_segments_that_are_sent_again_are_a_likeness_only() {
    let out = uplink();
    let asked = tuple(TCP, "10.0.0.4:1025", "203.0.113.9:443");
    let lost = Some(Lost::LargeSegments { at: Some(Arc::clone(&out)) });
    let mut story = story(asked, lost, vec![(Arc::clone(&out), sighting(&out, asked, OUT))]);
    story.outcome = Outcome::Established;
    story.resent = Some(Resent {
        netns: 1,
        netns_cookie: 0,
        local: asked.client,
        remote: asked.server,
        first: SECOND,
        last: 9 * SECOND,
        segments: 7,
        large: 7,
        handshakes: 0,
        longest: 1448,
        mss: 1448,
        state: 1,
    });
    let told = explain(&story, None);
    is_well_formed(&told);
    assert_eq!((told.cause, told.confidence), (Cause::Mtu, Confidence::Inferred));
    assert!(told.summary.contains("segments with up to 1448 bytes do not"), "{}", told.summary);
    assert!(has(&told.evidence, "7 segments with data again, 7 of them large"), "{told:#?}");
    assert!(has(&told.evidence, "no ICMP error \"fragmentation needed\""), "{told:#?}");
    if let Some((_, seen)) = story.sightings.first_mut() {
        let from = "10.0.0.1".parse().unwrap();
        let (kind, code, mtu) = (3, 4, 1400);
        seen.icmp = Some(Icmp { from, count: 1, kind, code, mtu, is_ingress: true, quotes_server: false, ttl: 254 });
    }
    let told = explain(&story, None);
    assert!(told.summary.ends_with("10.0.0.1 says that its next hop takes 1400 bytes"), "{}", told.summary);
    assert_eq!(told.confidence, Confidence::Derived);
}

#[test]
fn without_a_place_nothing_is_claimed() {
    let told = explain(&story(tuple(TCP, "10.0.0.1:1", "10.0.0.2:2"), None, Vec::new()), None);
    assert_eq!((told.cause, told.confidence), (Cause::Unknown, Confidence::Unknown));
    assert!(told.unknown.is_some() && told.remedy.is_empty());
}
