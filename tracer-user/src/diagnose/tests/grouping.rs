//! What is one finding, and what are several.

use super::*;
use crate::event::{Conntrack, ConntrackEnd, ConntrackState, ConntrackTuple, Counter, Translated};

#[test]
fn a_thousand_clients_at_one_blocked_port_are_one_finding() {
    let mut run = Run::new();
    for client in 0..1000 {
        let source = format!("10.1.{}.{}:41000", client / 250, client % 250 + 1);
        let said = rule(&format!("nftables filter/in rule 1 drops tcp of {source}"));
        run = run.dropped(&drop_of("tcp", &source, "10.0.0.1:10250", 3, said.clone()));
        run = run.flow(&flow_of(Outcome::Dropped, &source, "10.0.0.1:10250", 3, said));
    }
    let said = run.end();
    assert_eq!(
        said.titles(),
        [
            "kubectl logs and exec will fail or time out: tcp from 1,000 clients to 10.0.0.1:10250 is dropped on this node"
        ]
    );
    let finding = &said.findings[0];
    assert_eq!((finding.count, finding.affected.len(), finding.affected_more), (1000, 10, 990));
    assert_eq!((finding.rank, finding.severity, said.health), (1, Severity::Problem, Health::Unhealthy));
    assert_eq!(finding.explanation.cause, Cause::NetfilterRule);
    assert!(finding.explanation.evidence.contains(&"all 1,000 attempts for it failed".to_owned()));
    assert_eq!(finding.affected[0].source.port, None, "clients try from many ports");
}

#[test]
fn sentences_that_name_the_client_are_about_the_same() {
    let mut run = Run::new();
    for client in 1..=5 {
        let source = format!("10.1.0.{client}:41000");
        let no_route = said(Cause::NoRoute, &format!("no route from 10.1.0.{client} to 10.9.0.{client}"));
        run = run.dropped(&drop_of("tcp", &source, &format!("10.9.0.{client}:443"), 3, no_route));
    }
    assert_eq!(run.end().titles(), ["tcp from 5 clients to port 443 of 5 addresses is dropped on this node"]);
}

#[test]
fn an_attempt_that_was_dropped_is_told_with_its_drop_only() {
    let drop = drop_of("tcp", "10.1.0.9:41000", "10.0.0.1:81", 4, rule("nftables filter/in rule 1 drops tcp dport 81"));
    let flow = flow_of(Outcome::Dropped, "10.1.0.9:41000", "10.0.0.1:81", 4, said(Cause::Unknown, "it was dropped"));
    let said = Run::new().dropped(&drop).flow(&flow).end();
    assert_eq!(said.titles(), ["tcp from 10.1.0.9 to 10.0.0.1:81 is dropped on this node"]);
    let finding = &said.findings[0];
    assert_eq!((finding.count, finding.affected[0].count), (1, 1), "attempts, not packets");
    assert_eq!(finding.explanation.summary, "nftables filter/in rule 1 drops tcp dport 81");
    assert_eq!(finding.time, time(20));
}

#[test]
fn a_drop_after_translation_is_of_the_attempt_for_the_service() {
    let mut drop = drop_of("tcp", "10.1.0.9:41000", "10.244.0.7:8080", 3, rule("a rule drops it"));
    let flow = |translated| Flow {
        translated,
        ..flow_of(Outcome::Dropped, "10.1.0.9:41000", "10.96.0.20:80", 3, said(Cause::Unknown, "dropped"))
    };
    let translated = Translated { source: end("10.1.0.9:41000"), destination: end("10.244.0.7:8080") };
    assert_eq!(Run::new().dropped(&drop).flow(&flow(Some(translated))).end().findings.len(), 1);
    let conntrack_end = |text: &str| ConntrackEnd { address: text.parse().unwrap(), port: Some(80) };
    drop.conntrack = Some(Conntrack {
        state: ConntrackState::New,
        mark: None,
        status: None,
        original: Some(ConntrackTuple {
            protocol: "tcp".into(),
            source: conntrack_end("10.1.0.9"),
            destination: conntrack_end("10.96.0.20"),
        }),
        reply: None,
    });
    let said = Run::new().dropped(&drop).flow(&flow(None)).end();
    assert_eq!(said.titles(), ["tcp from 10.1.0.9 to 10.96.0.20:80 is dropped on this node"]);
}

#[test]
fn dropped_answers_are_of_the_client_that_waits_for_them() {
    let mut drop = drop_of("tcp", "10.0.0.1:80", "10.1.0.9:41000", 3, rule("a rule drops it"));
    drop.packet.tcp_flags = Some("SA".into());
    assert_eq!(Run::new().dropped(&drop).end().titles(), ["tcp from 10.1.0.9 to 10.0.0.1:80 is dropped on this node"]);
}

#[test]
fn silence_is_one_finding_for_a_port_behind_a_device() {
    let mut run = Run::new();
    for server in 1..=40 {
        run = run.flow(&silent("10.244.0.5:41000", &format!("52.0.0.{server}:443"), 4));
    }
    let said = run.flow(&silent("10.244.0.5:41000", "52.0.0.1:25", 4)).end();
    let titles = [
        "tcp from 10.244.0.5 to port 443 of 40 addresses leaves this node and is never answered",
        "tcp from 10.244.0.5 to 52.0.0.1:25 leaves this node and is never answered",
    ];
    assert_eq!(said.titles(), titles);
}

#[test]
fn a_host_that_is_silent_at_three_ports_is_one_finding() {
    let mut run = Run::new();
    for port in [22, 80, 443] {
        run = run.flow(&silent("10.244.0.5:41000", &format!("52.0.0.1:{port}"), 4));
    }
    let titles = ["tcp from 10.244.0.5 to 3 ports of 52.0.0.1 leaves this node and is never answered"];
    assert_eq!(run.end().titles(), titles);
}

#[test]
fn silence_whose_packets_were_dropped_here_is_that_drop() {
    let drop =
        drop_of("tcp", "10.244.0.5:41000", "52.0.0.1:443", 4, said(Cause::Neighbour, "10.0.0.254 did not answer ARP"));
    let run = Run::new().dropped(&drop).flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 4));
    assert_eq!(run.end().titles(), ["tcp from 10.244.0.5 to 52.0.0.1:443 is dropped on this node"]);
}

#[test]
fn queries_and_their_attempts_are_told_once() {
    let mut flow = silent("10.244.0.5:40000", "10.96.0.10:53", 2);
    flow.protocol = "udp".into();
    let said = Run::new().dns(&query(None, 2)).dns(&query(None, 2)).flow(&flow).end();
    assert_eq!(
        said.titles(),
        ["names are not resolved: DNS from 10.244.0.5 to 10.96.0.10:53 leaves this node and is never answered"]
    );
    assert_eq!(said.findings[0].count, 2);
    assert_eq!(said.findings[0].explanation.cause, Cause::Upstream, "why is said better by the attempt");
}

#[test]
fn a_counter_is_told_by_its_sentence() {
    let counter = Counter {
        time: time(9),
        name: "rx_missed_errors".into(),
        delta: 1234,
        netns: netns(1, "host"),
        interface: Some(Interface { index: 2, name: Some("eth0".into()) }),
        explanation: said(Cause::Device, "the card had no free buffer"),
    };
    let mut run = Run::new();
    run.diagnosis.counter(&counter).unwrap();
    let said = run.end();
    assert_eq!(said.titles(), ["packets are lost (eth0 in host): the card had no free buffer"]);
    assert_eq!((said.findings[0].count, said.findings[0].affected.len()), (1234, 0));
}

#[test]
fn drops_elsewhere_count_only_if_they_hit_what_was_asked_for() {
    let drop = drop_of("tcp", "10.244.0.5:41000", "52.0.0.1:443", 4, rule("a rule of the host drops it"));
    let scoped = || Run::with(Settings { scope: vec![8], ..Settings::default() });
    assert_eq!(scoped().dropped(&drop).end().health, Health::Healthy);
    let said = scoped().dropped(&drop).flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 4)).end();
    assert_eq!(said.findings[0].explanation.cause, Cause::NetfilterRule);
}

#[test]
fn attempts_that_differ_in_their_number_of_packets_are_one_sentence() {
    let left = |at: u16, tries| {
        let said = format!("{tries} SYNs to tcp 52.0.0.1:443 left eth0 of namespace node and nothing came back");
        let mut said = Explanation::new(Cause::Upstream, Confidence::Inferred, said);
        said.evidence.push(format!("eth0 of namespace node: {tries} SYNs left, no answer"));
        flow_of(Outcome::NoAnswer, &format!("10.244.0.5:{at}"), "52.0.0.1:443", tries, said)
    };
    let said = Run::new().flow(&left(41_000, 5)).flow(&left(41_001, 6)).end();
    let explanation = &said.findings[0].explanation;
    let whole = "11 SYNs to tcp 52.0.0.1:443 left eth0 of namespace node and nothing came back";
    assert_eq!(explanation.summary, whole);
    assert_eq!(
        explanation.evidence,
        ["both attempts for it failed", "of the last one:", "eth0 of namespace node: 6 SYNs left, no answer"]
    );
    assert!(explanation.suspects.is_some());
}

#[test]
fn lost_large_segments_have_their_suspect_and_a_cloud_s_allowances_count() {
    let mut large = silent("10.244.0.5:41000", "52.0.0.1:443", 1);
    large.outcome = Outcome::Established;
    large.explanation = Some(Explanation::new(Cause::Mtu, Confidence::Inferred, "large segments do not get through"));
    let mtu = Run::new().flow(&large).end();
    let kinds = |said: &Said| {
        let suspects = said.findings[0].explanation.suspects.clone().unwrap_or_default();
        suspects.iter().map(|suspect| suspect.what).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&mtu), [crate::event::SuspectKind::Mtu]);
    let counter = Counter {
        time: time(9),
        name: "conntrack_allowance_exceeded".into(),
        delta: 1,
        netns: netns(1, "host"),
        interface: Some(Interface { index: 2, name: Some("eth0".into()) }),
        explanation: said(Cause::Device, "the cloud's limit of connections was exceeded"),
    };
    let mut run = Run::new().flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 4));
    run.diagnosis.counter(&counter).unwrap();
    run.diagnosis.counter(&counter).unwrap();
    assert!(kinds(&run.end()).contains(&crate::event::SuspectKind::NicAllowance));
}

#[test]
fn a_flood_is_bounded_and_what_did_not_fit_is_counted() {
    let started = std::time::Instant::now();
    let mut run = Run::new();
    for at in 0..100_000_u32 {
        let [_, a, b, c] = at.to_be_bytes();
        let port = 1 + at % 5000;
        run = run.flow(&silent(&format!("10.{a}.{b}.{c}:41000"), &format!("52.0.0.1:{port}"), 3));
    }
    let said = run.end();
    assert!(said.left_out > 0 && !said.findings.is_empty());
    let told: u64 = said.findings.iter().map(|finding| finding.count).sum();
    assert_eq!(told + said.left_out, 100_000);
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

/// What is told of a strict reverse-path filter after the node's state was read.
fn strict() -> Explanation {
    let mut strict = said(Cause::ReversePath, "rp_filter=1 (strict) on eth0 refuses what comes by another way");
    strict.sysctl = Some(vec![crate::event::Sysctl {
        name: "net.ipv4.conf.eth0.rp_filter".into(),
        value: "1".into(),
        effective: "1".into(),
    }]);
    strict
}

#[test]
fn what_is_told_before_and_after_the_state_is_read_is_one_drop() {
    let (before, after) = (said(Cause::ReversePath, "the reverse-path filter refused a packet"), strict());
    let drop = |explanation| drop_of("tcp", "10.1.0.9:41000", "10.0.0.1:81", 2, explanation);
    for order in [[&before, &after], [&after, &before]] {
        let [first, second] = order.map(|explanation| drop(explanation.clone()));
        let flow = flow_of(Outcome::Dropped, "10.1.0.9:41000", "10.0.0.1:81", 4, before.clone());
        let said = Run::new().dropped(&first).dropped(&second).flow(&flow).end();
        assert_eq!(said.titles(), ["tcp from 10.1.0.9 to 10.0.0.1:81 is dropped on this node"]);
        assert_eq!(said.findings[0].explanation.summary, after.summary, "the better one");
    }
    let two = [rule("a"), {
        let mut other = rule("b");
        other.rule.as_mut().unwrap().number = Some(2);
        other
    }];
    let [first, second] = two.map(drop);
    assert_eq!(Run::new().dropped(&first).dropped(&second).end().findings.len(), 2, "two rules are two reasons");
    let elsewhere = Drop { netns: netns(8, "other"), ..drop(before) };
    assert_eq!(Run::new().dropped(&drop(after)).dropped(&elsewhere).end().findings.len(), 2);
}

#[test]
fn a_service_and_its_pod_are_one_destination() {
    let drop =
        drop_of("tcp", "10.1.0.9:41000", "10.244.0.7:8888", 3, said(Cause::NoSocket, "nobody has tcp port 8888"));
    let flow = Flow {
        translated: Some(Translated { source: end("10.1.0.9:41000"), destination: end("10.244.0.7:8888") }),
        ..flow_of(Outcome::Rejected, "10.1.0.9:41000", "10.96.0.20:80", 3, said(Cause::NoSocket, "it was refused"))
    };
    let of_run = Run::new().dropped(&drop).flow(&flow).flow(&flow).flow(&flow).end();
    assert_eq!(of_run.titles(), ["tcp from 10.1.0.9 to 10.96.0.20:80 is refused"]);
    assert_eq!((of_run.findings[0].count, of_run.findings[0].affected.len()), (3, 1));
    // Somebody who talks to the pod itself is told beside it.
    let direct =
        flow_of(Outcome::Rejected, "10.1.0.9:41000", "10.244.0.7:8888", 3, said(Cause::NoSocket, "it was refused"));
    let of_run = Run::new().dropped(&drop).flow(&flow).flow(&flow).flow(&flow).flow(&direct).end();
    assert_eq!((of_run.findings.len(), of_run.findings[0].affected.len()), (1, 2));
}

#[test]
fn a_refusal_that_is_kept_back_is_no_refusal() {
    let no_socket =
        drop_of("tcp", "10.1.0.9:41000", "10.244.0.7:8080", 3, said(Cause::NoSocket, "nobody has tcp port 8080"));
    let mut kept_back = drop_of("tcp", "10.244.0.7:8080", "10.1.0.9:41000", 3, rule("nftables t/o rule 1 drops RSTs"));
    kept_back.packet.tcp_flags = Some("RA".into());
    let flow = |outcome, said| flow_of(outcome, "10.1.0.9:41000", "10.244.0.7:8080", 2, said);
    for order in [[&no_socket, &kept_back], [&kept_back, &no_socket]] {
        let run = order.iter().fold(Run::new(), |run, drop| run.dropped(drop));
        // One of its attempts was explained by the other drop, which was known first.
        let by_socket = flow(Outcome::Dropped, no_socket.explanation.clone());
        let said = run.flow(&flow(Outcome::Dropped, kept_back.explanation.clone())).flow(&by_socket).end();
        assert_eq!(said.titles(), ["tcp from 10.1.0.9 to 10.244.0.7:8080 is never answered"]);
        let told = &said.findings[0].explanation;
        assert_eq!(told.cause, Cause::NetfilterRule, "nobody has the port, but the silence is the rule's");
        assert!(told.evidence.iter().any(|fact| fact.contains("nobody has tcp port 8080")), "{told:#?}");
    }
    // Without the drop of the refusal it is known that the client heard nothing.
    let silent = flow(Outcome::Dropped, no_socket.explanation.clone());
    let said = Run::new().dropped(&no_socket).flow(&silent).flow(&silent).flow(&silent).end();
    assert_eq!(said.titles(), ["tcp from 10.1.0.9 to 10.244.0.7:8080 is never answered"]);
}
