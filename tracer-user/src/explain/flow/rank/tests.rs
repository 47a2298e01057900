//! Suspects for runs that are made by hand.

use std::net::SocketAddr;

use super::*;
use crate::event::{Cause, Confidence};
use crate::event::{Endpoint, Explanation, Interface, Netns, Outcome, SuspectKind};
use crate::flow::{Service, Tally, Way};
use crate::node::socket::diag::TCP;

fn end(address: &str) -> Endpoint {
    let address: SocketAddr = address.parse().unwrap();
    Endpoint { address: Some(address.ip()), port: Some(address.port()), unknown_why: None }
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

fn suspects(servers: &[&str], census: &Census, platform: Platform) -> Vec<Suspect> {
    let flows: Vec<Flow> = servers.iter().map(|server| flow(server)).collect();
    let all = rank(&flows.iter().collect::<Vec<_>>(), census, platform);
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
    assert_eq!(kinds(&all), [SuspectKind::Firewall, SuspectKind::DeadHost], "{all:#?}");
    assert_eq!(all[0].summary, "a firewall, security group or access list on the way drops tcp 9000 to 203.0.113.9");
    assert!(has(&all[0].evidence, "tcp 9000 to 203.0.113.9: 7 failed, none was answered"), "{all:#?}");
    assert!(has(&all[0].evidence, "12 attempts to other ports of the same were answered"));
    assert!(has(&all[1].evidence, "against: 12 attempts to other ports of it were answered"), "last, with the reason");
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
    assert!(
        has(&all[0].evidence, "nothing came back from 203.0.113.9 in the whole run: 11 attempts failed"),
        "{all:#?}"
    );
    assert!(has(&all[0].evidence, "5 attempts to other hosts were answered"));
    assert!(!kinds(&all).contains(&SuspectKind::SnatExhausted), "none was answered at all");
}

#[test]
fn a_plateau_of_answers_is_exhausted_translation() {
    let run = census(&[("203.0.113.9:443", 1024, 0, 300), ("198.51.100.1:443", 90, 0, 0)]);
    let all = suspects(&["203.0.113.9:443"], &run, Platform::Gke);
    assert_eq!(kinds(&all)[..2], [SuspectKind::SnatExhausted, SuspectKind::DeadHost], "{all:#?}");
    assert!(has(&all[0].evidence, "300 of 1324 attempts to tcp 443 at 203.0.113.9 failed"), "{all:#?}");
    assert!(has(&all[0].evidence, "1024 were answered, about 1024"));
    assert!(has(&all[0].evidence, "begun before the first that was not"));
    assert!(has(&all[0].check, "OUT_OF_RESOURCES"), "{all:#?}");
    let firewall = all.iter().find(|suspect| suspect.what == SuspectKind::Firewall).map(|found| &found.evidence);
    assert!(firewall.is_none_or(|evidence| has(evidence, "against: 1024 attempts to the same were answered")));
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
    assert!(has(&firewall.evidence, "a rule would have to have been changed during the run"), "{all:#?}");
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
    assert!(has(&all[0].evidence, "2 hosts answered at tcp 443 at first and do not any more"), "{all:#?}");
    // Told of one of them, it is the same.
    let all = suspects(&["203.0.113.11:443"], &run, Platform::Other);
    assert_eq!(all[0].what, SuspectKind::Firewall, "{all:#?}");
}

#[test]
fn private_addresses_and_a_few_failures_are_no_exhaustion() {
    let inside = suspects(&["10.1.0.9:443"], &census(&[("10.1.0.9:443", 500, 0, 200)]), Platform::Aks);
    assert_ne!(inside[0].what, SuspectKind::SnatExhausted, "{inside:#?}");
    let some = inside.iter().find(|suspect| suspect.what == SuspectKind::SnatExhausted);
    assert!(some.is_none_or(|suspect| has(&suspect.evidence, "against: 10.1.0.9 is a private address")));
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
    let mut said = flow("203.0.113.9:443");
    said.explanation = Some(Explanation::new(
        Cause::Upstream,
        Confidence::Derived,
        "1 SYN to tcp 203.0.113.9:443 was answered by 10.0.0.1 with ICMP \"administratively prohibited\"",
    ));
    let run = census(&[("203.0.113.9:443", 0, 0, 2), ("203.0.113.9:22", 0, 0, 2)]);
    assert_eq!(rank(&[&said], &run, Platform::Other)[0].what, SuspectKind::Firewall);
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
    let all = rank_with_counters(&[&one], &run, Platform::Eks, &[&counter, &counter, &other]);
    assert_eq!(all[0].what, SuspectKind::NicAllowance, "{all:#?}");
    assert!(has(&all[0].evidence, "conntrack_allowance_exceeded of ens5 rose by 34"), "{all:#?}");
    let without = rank_with_counters(&[&one], &run, Platform::Eks, &[&other]);
    assert!(!kinds(&without).contains(&SuspectKind::NicAllowance));
}

#[test]
fn large_segments_are_told_as_what_they_are() {
    let mut large = flow("203.0.113.9:443");
    large.explanation = Some(Explanation::new(Cause::Mtu, Confidence::Inferred, "large segments"));
    let all = rank(&[&large], &census(&[("203.0.113.9:443", 3, 0, 0)]), Platform::Gcp);
    assert_eq!(all[0].what, SuspectKind::Mtu, "{all:#?}");
    assert!(has(&all[0].check, "tracepath -n 203.0.113.9") && has(&all[0].check, "gcloud compute networks describe"));
}

#[test]
fn attempts_that_stay_on_this_node_and_unknown_ends_say_nothing() {
    let mut run = census(&[("203.0.113.9:9000", 0, 0, 7)]);
    let local = Service { protocol: TCP, server: "203.0.113.9:443".parse().unwrap(), way: Way::Local };
    run.services.insert(local, Tally { established: 99, ..Tally::default() });
    let all = suspects(&["203.0.113.9:9000"], &run, Platform::Other);
    assert!(!all.iter().any(|suspect| has(&suspect.evidence, "99")), "{all:#?}");
    let nobody = Flow { destination: Endpoint { address: None, port: None, unknown_why: None }, ..flow("1.1.1.1:1") };
    assert!(rank(&[&nobody], &run, Platform::Other).is_empty());
    assert!(rank(&[], &run, Platform::Other).is_empty());
}
