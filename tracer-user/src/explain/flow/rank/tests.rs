//! Suspects for runs that are made by hand.

use std::net::SocketAddr;

use super::*;
use crate::event::{Cause, Confidence};
use crate::event::{Direction, Endpoint, Explanation, Interface, Netns, Outcome, Seen, SeenPacket, SuspectKind};
use crate::flow::{Service, Tally, Way};
use crate::node::socket::diag::TCP;

fn end(address: &str) -> Endpoint {
    let address: SocketAddr = address.parse().unwrap();
    Endpoint::at(address.ip(), Some(address.port()))
}

fn flow(server: &str) -> Flow {
    let summary = format!("6 SYNs to tcp {server} left eth0 of the host and nothing came back");
    Flow {
        time: String::new(),
        outcome: Outcome::NoAnswer,
        protocol: "tcp".to_owned(),
        source: end("10.0.0.4:40000"),
        destination: end(server),
        translated: None,
        attempts: 6,
        first: String::new(),
        last: String::new(),
        rtt_us: None,
        seen: Vec::new(),
        explanation: Some(Explanation::new(Cause::Upstream, Confidence::Inferred, summary)),
    }
}

/// Services, each with how many attempts were answered, refused and not answered.
fn census(services: &[(&str, u64, u64, u64)]) -> Census {
    let mut census = Census::default();
    for (server, established, rejected, no_answer) in services {
        let service = Service { protocol: TCP, server: server.parse().unwrap(), way: Way::Out };
        let mut tally =
            Tally { established: *established, rejected: *rejected, no_answer: *no_answer, ..Tally::default() };
        (tally.ok.count, tally.ok.last, tally.failed.count, tally.failed.first) = (*established, 50, *no_answer, 100);
        census.services.insert(service, tally);
    }
    census
}

fn around(census: &Census, platform: Platform) -> Around<'_> {
    Around { census, platform, counters: &[] }
}

fn suspects(servers: &[&str], census: &Census, platform: Platform) -> Vec<Suspect> {
    let flows: Vec<Flow> = servers.iter().map(|server| flow(server)).collect();
    let all = rank(&flows.iter().collect::<Vec<_>>(), around(census, platform));
    for suspect in &all {
        let texts = suspect.evidence.iter().chain(&suspect.check).chain([&suspect.summary]);
        assert!(texts.clone().all(|text| !text.is_empty() && !text.ends_with('.')), "{suspect:#?}");
        assert!(!suspect.evidence.is_empty(), "{suspect:#?}");
    }
    all
}

fn kinds(suspects: &[Suspect]) -> Vec<SuspectKind> {
    suspects.iter().map(|suspect| suspect.what).collect()
}

fn has(list: &[String], part: &str) -> bool {
    list.iter().any(|text| text.contains(part))
}

#[test]
fn one_port_of_a_host_that_answers_is_a_firewall() {
    let run = census(&[("203.0.113.9:9000", 0, 0, 7), ("203.0.113.9:443", 12, 0, 0), ("198.51.100.1:443", 5, 0, 0)]);
    let all = suspects(&["203.0.113.9:9000"], &run, Platform::Aks);
    assert_eq!(kinds(&all), [SuspectKind::Firewall], "who answers is not dead, and there is a way to him: {all:#?}");
    assert_eq!(all[0].summary, "a firewall, security group or access list on the way drops tcp 9000 to 203.0.113.9");
    assert!(has(&all[0].evidence, "no refusal came back either"), "{all:#?}");
    assert!(has(&all[0].evidence, "12 attempts to other ports of the same were answered"));
    assert!(has(&all[0].check, "az network nsg rule list") && has(&all[0].check, "list-effective-nsg"), "{all:#?}");
    assert!(has(&all[0].check, "DestinationIp == \"203.0.113.9\" and DestinationPort == 9000"));
}

#[test]
fn one_port_that_fails_everywhere_is_a_firewall() {
    let run = census(&[
        ("203.0.113.9:25", 0, 0, 3),
        ("198.51.100.1:25", 0, 0, 4),
        ("192.0.2.7:25", 0, 0, 1),
        ("198.51.100.1:443", 40, 0, 0),
    ]);
    let all = suspects(&["203.0.113.9:25", "198.51.100.1:25"], &run, Platform::Aws);
    assert_eq!(all[0].what, SuspectKind::Firewall, "{all:#?}");
    assert!(has(&all[0].evidence, "tcp 25 fails at all 3 hosts that it was tried at"), "{all:#?}");
    assert!(has(&all[0].check, "describe-security-groups") && has(&all[0].check, "describe-network-acls"));
}

#[test]
fn a_host_that_answers_nothing_is_dead_before_all() {
    let run = census(&[("203.0.113.9:22", 0, 0, 2), ("203.0.113.9:443", 0, 0, 9), ("198.51.100.1:443", 5, 0, 0)]);
    let all = suspects(&["203.0.113.9:443"], &run, Platform::Other);
    assert_eq!(all[0].what, SuspectKind::DeadHost, "{all:#?}");
    assert!(has(&all[0].evidence, "nothing came back from 203.0.113.9 in the whole run"), "{all:#?}");
    assert!(has(&all[0].evidence, "2 attempts to another port of it failed as well"), "{all:#?}");
    assert!(has(&all[0].evidence, "5 attempts to other hosts were answered"));
    assert!(!kinds(&all).contains(&SuspectKind::SnatExhausted), "none was answered at all");
}

#[test]
fn a_plateau_of_answers_is_exhausted_translation() {
    let run = census(&[("203.0.113.9:443", 1024, 0, 300), ("198.51.100.1:443", 90, 0, 0)]);
    let all = suspects(&["203.0.113.9:443"], &run, Platform::Gke);
    assert_eq!(kinds(&all)[..2], [SuspectKind::SnatExhausted, SuspectKind::DeadHost], "{all:#?}");
    assert!(has(&all[0].evidence, "1024 were answered, about 1024"));
    assert!(has(&all[0].evidence, "begun before the first that was not"));
    assert!(has(&all[0].check, "OUT_OF_RESOURCES"), "{all:#?}");
    let firewall = all.iter().find(|suspect| suspect.what == SuspectKind::Firewall).unwrap();
    assert!(has(
        &firewall.evidence,
        "1024 attempts before the first of these were answered: a rule would have to have been changed"
    ));
    for (platform, place) in [
        (Platform::Aks, "SNAT Connection Count"),
        (Platform::Eks, "ErrorPortAllocation"),
        (Platform::Other, "conntrack -S"),
    ] {
        assert!(has(&suspects(&["203.0.113.9:443"], &run, platform)[0].check, place), "{platform:?}");
    }
}

#[test]
fn the_first_connections_live_on_and_no_more_come_is_exhausted_translation() {
    // Whether other ports of the host answer tells nothing: it answers at this one.
    let run = census(&[
        ("203.0.113.11:443", 8, 0, 6),
        ("203.0.113.11:53", 4, 0, 0),
        ("203.0.113.12:443", 5, 0, 0),
        ("203.0.113.12:8443", 9, 0, 0),
    ]);
    let all = suspects(&["203.0.113.11:443"], &run, Platform::Other);
    assert_eq!(all[0].what, SuspectKind::SnatExhausted, "{all:#?}");
    let firewall = all.iter().find(|suspect| suspect.what == SuspectKind::Firewall).unwrap();
    assert!(
        has(
            &firewall.evidence,
            "8 attempts before the first of these were answered: a rule would have to have been changed during the run"
        ),
        "{all:#?}"
    );
}

#[test]
fn a_port_that_stops_for_all_hosts_at_once_is_a_firewall() {
    let run = census(&[
        ("203.0.113.11:443", 8, 0, 6),
        ("203.0.113.12:443", 9, 0, 5),
        ("203.0.113.11:53", 4, 0, 0),
        ("203.0.113.12:8443", 9, 0, 0),
    ]);
    let all = suspects(&["203.0.113.11:443", "203.0.113.12:443"], &run, Platform::Other);
    assert_eq!(all[0].what, SuspectKind::Firewall, "{all:#?}");
    assert!(
        has(&all[0].evidence, "2 hosts answered at tcp 443 at first (17 attempts) and do not any more"),
        "{all:#?}"
    );
    // Told of one of them, it is the same.
    let all = suspects(&["203.0.113.11:443"], &run, Platform::Other);
    assert_eq!(all[0].what, SuspectKind::Firewall, "{all:#?}");
}

#[test]
fn private_addresses_and_a_few_failures_are_no_exhaustion() {
    let inside = suspects(&["10.1.0.9:443"], &census(&[("10.1.0.9:443", 500, 0, 200)]), Platform::Aks);
    assert!(!kinds(&inside).contains(&SuspectKind::SnatExhausted), "{inside:#?}");
    let few = suspects(&["10.1.0.9:443"], &census(&[("10.1.0.9:443", 500, 0, 1)]), Platform::Aks);
    assert!(kinds(&few).iter().position(|kind| *kind == SuspectKind::SnatExhausted) != Some(0), "{few:#?}");
}

#[test]
fn nothing_that_comes_back_or_a_whole_network_is_routing() {
    let none = census(&[("203.0.113.9:443", 0, 0, 7), ("198.51.100.1:53", 0, 0, 2), ("192.0.2.7:80", 0, 0, 1)]);
    let all = suspects(&["203.0.113.9:443"], &none, Platform::Azure);
    assert_eq!(all[0].what, SuspectKind::Routing, "{all:#?}");
    assert!(has(&all[0].evidence, "10 attempts to 3 hosts failed, and none to any host was answered"), "{all:#?}");
    assert!(has(&all[0].check, "show-effective-route-table"));
    let network = census(&[
        ("10.9.0.1:443", 0, 0, 1),
        ("10.9.0.2:80", 0, 0, 1),
        ("198.51.100.1:443", 5, 0, 0),
        ("198.51.100.2:80", 5, 0, 0),
    ]);
    let all = suspects(&["10.9.0.1:443", "10.9.0.2:80"], &network, Platform::Other);
    assert_eq!(all[0].what, SuspectKind::Routing, "{all:#?}");
    assert!(all[0].summary.contains("10.9.0.0/24"), "{all:#?}");
    let refuted = census(&[("10.9.0.1:443", 0, 0, 1), ("10.9.0.2:80", 0, 0, 1), ("10.9.0.3:80", 5, 0, 0)]);
    assert!(
        !kinds(&suspects(&["10.9.0.1:443", "10.9.0.2:80"], &refuted, Platform::Other)).contains(&SuspectKind::Routing)
    );
}

#[test]
fn a_firewall_that_says_so_comes_first() {
    let mut said = Flow { outcome: Outcome::Rejected, ..flow("203.0.113.9:443") };
    said.explanation = Some(Explanation::new(
        Cause::Upstream,
        Confidence::Derived,
        "1 SYN to tcp 203.0.113.9:443 was answered by 10.0.0.1 with ICMP \"administratively prohibited\"",
    ));
    let run = census(&[("203.0.113.9:443", 0, 2, 0), ("203.0.113.9:22", 0, 0, 2)]);
    let all = rank(&[&said], around(&run, Platform::Other));
    assert_eq!(kinds(&all), [SuspectKind::Firewall]);
    assert!(all[0].summary.contains("refuses tcp 443 to 203.0.113.9"), "{all:#?}");
}

#[test]
fn allowances_count_only_where_they_rose() {
    let counter = Counter {
        time: String::new(),
        name: "conntrack_allowance_exceeded".to_owned(),
        delta: 17,
        netns: Netns::default(),
        interface: Some(Interface { index: 2, name: Some("ens5".to_owned()) }),
        explanation: Explanation::new(Cause::Device, Confidence::Certain, "it rose"),
    };
    let run = census(&[("203.0.113.9:443", 700, 0, 300)]);
    let (one, other) = (flow("203.0.113.9:443"), Counter { name: "rx_missed_errors".to_owned(), ..counter.clone() });
    let with = |counters: &[Counter]| rank(&[&one], Around { counters, ..around(&run, Platform::Eks) });
    let all = with(&[counter.clone(), counter, other.clone()]);
    assert_eq!(all[0].what, SuspectKind::NicAllowance, "{all:#?}");
    assert!(has(&all[0].evidence, "conntrack_allowance_exceeded of ens5 rose by 34"), "{all:#?}");
    assert!(!kinds(&with(&[other])).contains(&SuspectKind::NicAllowance));
}

#[test]
fn large_segments_are_told_as_what_they_are() {
    let mut large = Flow { outcome: Outcome::Established, ..flow("203.0.113.9:443") };
    large.explanation = Some(Explanation::new(Cause::Mtu, Confidence::Inferred, "large segments"));
    let run = census(&[("203.0.113.9:443", 3, 0, 2), ("198.51.100.1:443", 0, 0, 9)]);
    let all = rank(&[&large], around(&run, Platform::Gcp));
    assert_eq!(kinds(&all), [SuspectKind::Mtu], "the handshake refutes the others: {all:#?}");
    assert!(has(&all[0].evidence, "in 1 of 3 connections"), "{all:#?}");
    assert!(has(&all[0].check, "tracepath -n 203.0.113.9") && has(&all[0].check, "gcloud compute networks describe"));
}

#[test]
fn attempts_that_stay_on_this_node_and_unknown_ends_say_nothing() {
    let mut run = census(&[("203.0.113.9:9000", 0, 0, 7)]);
    let local = Service { protocol: TCP, server: "203.0.113.9:443".parse().unwrap(), way: Way::Local };
    run.services.insert(local, Tally { established: 99, ..Tally::default() });
    let all = suspects(&["203.0.113.9:9000"], &run, Platform::Other);
    assert!(!all.iter().any(|suspect| has(&suspect.evidence, "99")), "{all:#?}");
    let nobody = Flow { destination: Endpoint::default(), ..flow("1.1.1.1:1") };
    assert!(rank(&[&nobody], around(&run, Platform::Other)).is_empty());
    assert!(rank(&[], around(&run, Platform::Other)).is_empty());
}

#[test]
fn what_is_said_already_or_was_answered_has_no_suspects() {
    let run = census(&[("203.0.113.9:443", 3, 0, 2)]);
    let of = |flow: &Flow| kinds(&rank(&[flow], around(&run, Platform::Other)));
    let told = Explanation::new(Cause::Mtu, Confidence::Derived, "10.0.0.1 says that its next hop takes 1400 bytes");
    let large = Flow { outcome: Outcome::Established, explanation: Some(told), ..flow("203.0.113.9:443") };
    assert_eq!(of(&large), []);
    let answer = Seen {
        netns: Netns::default(),
        interface: Interface { index: 2, name: None },
        direction: Direction::Egress,
        packet: SeenPacket::Answer,
        count: 5,
        time: String::new(),
        tunnel: None,
    };
    assert_eq!(of(&Flow { seen: vec![answer], ..flow("203.0.113.9:443") }), []);
}

#[test]
fn answers_between_the_failures_refute_a_firewall() {
    let mut run = census(&[("203.0.113.9:443", 30, 0, 7), ("203.0.113.9:22", 4, 0, 0)]);
    for tally in run.services.values_mut() {
        tally.ok.last = 200;
    }
    let all = suspects(&["203.0.113.9:443"], &run, Platform::Aws);
    assert_eq!(kinds(&all), [SuspectKind::SnatExhausted, SuspectKind::DeadHost], "{all:#?}");
    assert!(all[1].summary.contains("takes only some") && has(&all[1].evidence, "in turns"), "{all:#?}");
}

#[test]
fn a_service_that_refuses_some_has_backends_that_are_down() {
    let refused = Flow { outcome: Outcome::Rejected, ..flow("203.0.113.9:443") };
    let of =
        |established| rank(&[&refused], around(&census(&[("203.0.113.9:443", established, 3, 0)]), Platform::Other));
    assert_eq!(kinds(&of(9)), [SuspectKind::DeadHost]);
    assert_eq!(kinds(&of(0)), [], "who refuses is there, and a refusal does not say why");
}
