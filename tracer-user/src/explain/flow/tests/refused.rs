//! Attempts that somebody refused.

use super::super::{explain, wanted};
use super::*;
use crate::event::{Cause, Confidence};
use crate::flow::{Icmp, Rejection};
use crate::node::socket::diag::{TCP, UDP};
use crate::node::socket::{Absent, Expected};

const ONE_IN: Pair = Pair { ingress: 1, egress: 0 };

fn reset(at: &Arc<Point>, is_in: bool, ttls: (u8, u8)) -> Story {
    let asked = tuple(TCP, "10.244.1.5:40000", "203.0.113.9:443");
    let mut seen = sighting(at, asked, OUT);
    seen.server_resets = if is_in { ONE_IN } else { Pair { ingress: 0, egress: 1 } };
    (seen.reset_ttl, seen.answer_ttl) = ttls;
    let mut story = story(asked, None, vec![(Arc::clone(at), seen)]);
    (story.outcome, story.attempts) = (Outcome::Rejected, 1);
    story.rejection = Some(Rejection::Reset { at: Arc::clone(at) });
    story
}

#[test]
fn a_reset_from_outside_is_told_with_its_distance() {
    let told = explain(&reset(&uplink(), true, (57, 0)), None);
    is_well_formed(&told);
    assert_eq!(told.summary, "1 SYN to tcp 203.0.113.9:443 was refused with RST, which came in by eth0 of the host");
    assert_eq!((told.cause, told.confidence), (Cause::Upstream, Confidence::Inferred));
    assert!(has(&told.evidence, "the RST had TTL 57: it passed 7 routers"), "{told:#?}");
    assert!(!has(&told.evidence, "somebody else"), "nothing to compare with");
    let other = explain(&reset(&uplink(), true, (254, 57)), None);
    assert!(has(&other.evidence, "the SYN-ACK had TTL 57 (7 routers): the RST is of somebody else"), "{other:#?}");
    assert!(wanted(&reset(&uplink(), true, (57, 0))).is_none());
}

#[test]
fn a_reset_of_a_pod_is_explained_by_its_sockets() {
    let story = reset(&pod(), true, (64, 0));
    assert_eq!(wanted(&story).unwrap().netns.inode, 2);
    let told = explain(&story, None);
    assert_eq!(
        told.summary,
        "1 SYN to tcp 203.0.113.9:443 was refused with RST by namespace web, behind veth7 of the host"
    );
    assert_eq!(told.confidence, Confidence::Inferred);
    let absent = Some(Box::new(Absent { is_listed: true, ..Absent::default() }));
    let expected = Some(Box::new(Expected { absent, ..Expected::default() }));
    let told = explain(&story, Some(&state(Silence { is_local: Some(true), expected, ..Silence::default() })));
    is_well_formed(&told);
    assert!(told.summary.ends_with(": nobody has tcp port 443 there"), "{}", told.summary);
    assert_eq!((told.cause, told.confidence), (Cause::NoSocket, Confidence::Derived));
    let own = reset(&uplink(), false, (64, 0));
    assert_eq!(wanted(&own).unwrap().netns.inode, 1, "it left here first: the host itself sent it");
    assert!(explain(&own, None).summary.ends_with("was refused with RST by the host"));
}

fn error(at: &Arc<Point>, from: &str, (kind, code): (u8, u8), mtu: u32, is_ingress: bool) -> Story {
    let from = from.parse().unwrap();
    let server = if std::net::IpAddr::is_ipv4(&from) { "203.0.113.9:443" } else { "[2001:db8::9]:443" };
    let client = if std::net::IpAddr::is_ipv4(&from) { "10.0.0.4:1025" } else { "[fd00::4]:1025" };
    let asked = tuple(UDP, client, server);
    let mut seen = sighting(at, asked, OUT);
    seen.icmp = Some(Icmp { from, count: 3, kind, code, mtu, is_ingress, quotes_server: false, ttl: 254 });
    let mut story = story(asked, None, vec![(Arc::clone(at), seen)]);
    story.outcome = Outcome::Rejected;
    story.rejection = Some(Rejection::Icmp { from, kind, code });
    story
}

#[test]
fn a_firewall_that_says_so_is_named() {
    for (from, code) in [("10.0.0.1", (3, 13)), ("10.0.0.1", (3, 10)), ("fd00::1", (1, 1))] {
        let told = explain(&error(&uplink(), from, code, 0, true), None);
        is_well_formed(&told);
        assert!(
            told.summary.ends_with(&format!(
                "were answered with ICMP \"administratively prohibited\" by {from} (it came in by eth0 of the host): a firewall \
                 at {from} refuses it"
            )),
            "{}",
            told.summary
        );
        assert_eq!((told.cause, told.confidence), (Cause::Upstream, Confidence::Derived));
        assert!(has(&told.evidence, "it passed 1 router on its way here"), "{told:#?}");
    }
}

#[test]
fn each_error_has_its_meaning() {
    for (from, code, says, cause) in [
        (
            "10.0.0.1",
            (3, 1),
            "\"host unreachable\" by 10.0.0.1 (it came in by eth0 of the host): 10.0.0.1 found no neighbour for it",
            Cause::Upstream,
        ),
        ("10.0.0.1", (3, 0), "(it came in by eth0 of the host): 10.0.0.1 has no route to it", Cause::Upstream),
        ("fd00::1", (1, 0), "ICMP \"network unreachable\" by fd00::1 (it", Cause::Upstream),
        (
            "203.0.113.9",
            (3, 3),
            ": nobody has the port open at 203.0.113.9, or a rule there refuses it",
            Cause::Upstream,
        ),
        ("10.0.0.1", (11, 0), "\"time exceeded\"", Cause::Ttl),
        ("10.0.0.1", (3, 4), "\"fragmentation needed (its next hop takes 1400 bytes)\"", Cause::Mtu),
        ("fd00::1", (2, 0), "\"packet too big (its next hop takes 1400 bytes)\"", Cause::Mtu),
        ("10.0.0.1", (200, 7), "10.0.0.1 refuses it", Cause::Upstream),
    ] {
        let told = explain(&error(&uplink(), from, code, 1400, true), None);
        is_well_formed(&told);
        assert!(told.summary.contains(says), "{}", told.summary);
        assert_eq!(told.cause, cause, "{}", told.summary);
    }
}

#[test]
fn an_error_of_this_node_is_not_blamed_on_others() {
    let told = explain(&error(&uplink(), "10.0.0.4", (3, 13), 0, false), None);
    assert_eq!((told.cause, told.confidence), (Cause::NetfilterRule, Confidence::Inferred), "{told:#?}");
    assert!(
        told.summary.contains("by 10.0.0.4 of the host: a rule at 10.0.0.4") && !told.summary.contains("firewall at"),
        "{}",
        told.summary
    );
    let pod = error(&pod(), "10.244.1.7", (3, 3), 0, true);
    assert_eq!(wanted(&pod).unwrap().netns.inode, 2, "its sockets tell");
}
