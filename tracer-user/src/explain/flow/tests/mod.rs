//! Stories by hand, and what is said of them.

mod arrived;
mod beyond;
mod here;
mod refused;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use crate::event::{Explanation, Outcome};
use crate::flow::{Lost, Pair, Point, Role, Sighting, Story, Tuple, Way};
use crate::host::{Netns, NetnsName};
use crate::node::silence::Silence;
use crate::node::{Facts, State};

pub(super) const SECOND: u64 = 1_000_000_000;
pub(super) const IN: Pair = Pair { ingress: 6, egress: 0 };
pub(super) const OUT: Pair = Pair { ingress: 0, egress: 6 };

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn tuple(protocol: u8, client: &str, server: &str) -> Tuple {
    Tuple { protocol, client: address(client), server: address(server) }
}

pub(super) fn host() -> Arc<Netns> {
    Arc::new(Netns { inode: 1, name: NetnsName::Host, doors: Vec::new() })
}

pub(super) fn web() -> Arc<Netns> {
    let name = NetnsName::Named("web".to_owned());
    Arc::new(Netns { inode: 2, name, doors: vec![PathBuf::from("/run/netns/web")] })
}

pub(super) fn device(index: u32, name: &str, role: Role) -> Arc<Point> {
    let leads_to = (role == Role::Pod).then(web);
    Arc::new(Point { netns: host(), index, name: name.to_owned(), role, leads_to, kind: None })
}

pub(super) fn uplink() -> Arc<Point> {
    device(2, "eth0", Role::Uplink)
}

pub(super) fn pod() -> Arc<Point> {
    device(7, "veth7", Role::Pod)
}

pub(super) fn sighting(at: &Point, tuple: Tuple, opened: Pair) -> Sighting {
    Sighting { opened, last: 32 * SECOND, ..Sighting::bare(at.netns.inode, at.index, tuple, SECOND) }
}

/// Six openers without an answer.
pub(super) fn story(tuple: Tuple, lost: Option<Lost>, sightings: Vec<(Arc<Point>, Sighting)>) -> Story {
    Story {
        tuple,
        translated: None,
        way: Way::Out,
        outcome: Outcome::NoAnswer,
        rejection: None,
        lost,
        sightings,
        drops: Vec::new(),
        resent: None,
        attempts: 6,
        first: SECOND,
        last: 32 * SECOND,
        rtt: None,
    }
}

pub(super) fn state(silence: Silence) -> State {
    State { read: SystemTime::UNIX_EPOCH, facts: Facts::Silence(Box::new(silence)), unknown: Vec::new() }
}

pub(super) fn has(list: &[String], part: &str) -> bool {
    list.iter().any(|text| text.contains(part))
}

/// A sentence without a full stop, commands that are complete, nothing twice.
pub(super) fn is_well_formed(explanation: &Explanation) {
    let all = || explanation.evidence.iter().chain(&explanation.remedy).chain([&explanation.summary]);
    assert!(all().all(|text| !text.is_empty() && !text.ends_with('.') && !text.contains("  ")), "{explanation:#?}");
    let mut seen: Vec<_> = all().collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all().count(), "{explanation:#?}");
}
