use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use tracer_common::FlowKey;

use super::*;
use crate::event::Interface;
use crate::host::netns::NetnsName;
use crate::host::{self, Netns};
use crate::inquiry::Case;
use crate::node::{Facts, Question, Topic, answer};

/// A packet from `source` that came in by a device, in the namespace behind `door`.
fn question(source: &str, interface: Option<&str>, door: &str) -> Question {
    let flow = FlowKey {
        location: 0,
        netns: 0,
        reason: 0,
        ifindex: 1,
        port: 0,
        protocol: 17,
        family: 0,
        source: [0; 4],
        destination: [0; 4],
    };
    let inode = std::fs::metadata(door).map_or(1, |file| file.ino() as u32);
    let netns = Netns { inode, name: NetnsName::Host, doors: vec![PathBuf::from(door)] };
    let packet = Packet {
        source: source.parse().ok(),
        destination: if source.contains(':') { "::1" } else { "127.0.0.1" }.parse().ok(),
        interface: Interface { index: 1, name: interface.map(str::to_owned) },
        ..Packet::default()
    };
    Question {
        case: Case { flow, fingerprint: 0, netns_cookie: 0 },
        topic: Topic::ReversePath,
        netns,
        netns_cookie: 0,
        packet,
        time: 0,
    }
}

fn asked(question: &Question) -> crate::node::State {
    let host = host::Facts::default();
    let mut scene = Scene::new(question, &host);
    answer(&mut scene, &mut crate::node::Memory::default())
}

const OWN: &str = "/proc/self/ns/net";

#[test]
fn a_namespace_that_is_gone_is_said_to_be() {
    let state = asked(&question("10.0.0.9", Some("eth0"), "/nonexistent/netns"));
    assert_eq!(state.facts, Facts::None);
    assert!(matches!(&*state.unknown, [why] if why.contains("went away while it was read")), "{:?}", state.unknown);
}

#[test]
fn a_setting_that_is_gone_is_said_to_be_once() {
    let state = asked(&question("10.0.0.9", Some("gone0"), OWN));
    let Facts::ReversePath(ReversePath { checked: Some(checked) }) = &state.facts else { panic!("{state:?}") };
    assert_eq!((checked.settings.rp_filter.own, checked.filter_refuses()), (None, None));
    let [first, more] = &*state.unknown else { panic!("{:?}", state.unknown) };
    assert!(first.starts_with("net.ipv4.conf.gone0.rp_filter: "), "{first}");
    assert_eq!(more, "5 more settings of gone0");
}

#[test]
fn what_the_check_is_not_for_is_left_alone() {
    let ipv6 = asked(&question("fd99::9", Some("lo"), OWN));
    assert_eq!((ipv6.facts, ipv6.unknown), (Facts::ReversePath(ReversePath::default()), vec![]));
    let nowhere = asked(&question("10.0.0.9", None, OWN));
    assert_eq!(nowhere.facts, Facts::ReversePath(ReversePath::default()));
    assert_eq!(nowhere.unknown, ["the interface it came in by, and so its settings"]);
}
