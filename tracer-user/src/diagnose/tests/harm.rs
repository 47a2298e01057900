//! What is harm, and what is worse.

use super::*;

fn refused(source: &str, destination: &str) -> Flow {
    flow_of(Outcome::Rejected, source, destination, 1, said(Cause::NoSocket, "nobody listens"))
}

#[test]
fn a_healthy_node_has_no_finding() {
    let mut hidden = drop_of("tcp", "10.1.0.9:41000", "10.0.0.1:80", 5000, said(Cause::NoSocket, "late"));
    hidden.severity = Severity::Expected;
    let lost = drop_of("tcp", "10.1.0.9:41000", "10.0.0.1:80", 9, said(Cause::Qdisc, "the queue was full"));
    let said = Run::new()
        .seen(Way::In, 6, "10.0.0.1:80", answered(10_000))
        .seen(Way::Out, 6, "52.0.0.1:443", answered(500))
        // Bookkeeping, a few packets that were sent again, one refusal, one attempt of many that was lost.
        .dropped(&hidden)
        .dropped(&lost)
        .flow(&refused("10.1.0.9:41000", "10.0.0.1:8081"))
        .flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 7))
        .dns(&query(Some("NXDOMAIN"), 1))
        .dns(&query(Some("SERVFAIL"), 1))
        .dns(&query(None, 1))
        .end();
    assert_eq!(said.titles(), [""; 0]);
    assert_eq!(said.health, Health::Healthy);
}

#[test]
fn one_try_alone_is_no_harm_but_two_are() {
    let titles = |tries| Run::new().flow(&silent("10.244.0.5:41000", "52.0.0.1:443", tries)).end().findings.len();
    assert_eq!((titles(1), titles(2)), (0, 1));
    let command = Run::with(Settings { has_command: true, ..Settings::default() });
    assert_eq!(command.flow(&silent("10.244.0.5:41000", "52.0.0.1:443", 1)).end().findings.len(), 1);
}

#[test]
fn refusals_are_harm_when_they_are_repeated() {
    let after = |count: u16| {
        let flows = (0..count).map(|at| refused(&format!("10.1.0.9:{}", 41_000 + at), "10.0.0.1:8081"));
        flows.fold(Run::new(), |run, flow| run.flow(&flow)).end().findings.len()
    };
    assert_eq!((after(1), after(2), after(3)), (0, 0, 1));
}

#[test]
fn some_failures_among_many_successes_are_told_with_their_share() {
    let tried = |tries: u64, failed: u16, established: u64| {
        let flows = (0..failed).map(|at| silent(&format!("10.244.0.5:{}", 41_000 + at), "52.0.0.1:443", tries));
        let run = Run::new().seen(Way::Out, 6, "52.0.0.1:443", answered(established));
        flows.fold(run, |run, flow| run.flow(&flow)).end()
    };
    let failing = |failed, established| tried(7, failed, established);
    assert!(failing(1, 1).findings.is_empty(), "it was tried again, and went well");
    assert!(failing(2, 100).findings.is_empty());
    assert_eq!(
        failing(5, 95).titles(),
        ["tcp from 10.244.0.5 to 52.0.0.1:443 leaves this node and is never answered, 5 of 100 attempts"]
    );
    assert_eq!(failing(10, 100_000).findings.len(), 1);
    assert!(tried(2, 44, 11_000).findings.is_empty(), "ports that were used again");
    assert_eq!(tried(2, 44, 1000).findings.len(), 1);
}

#[test]
fn a_scan_is_no_harm() {
    let scan = |ports: u16, each: u64| {
        let drops = (1..=ports).map(|port| {
            let to = format!("20.0.0.1:{port}");
            drop_of(
                "tcp",
                "185.0.0.7:41000",
                &to,
                each,
                said(Cause::NetfilterPolicy, "the policy of filter/in is drop"),
            )
        });
        drops.fold(Run::new(), |run, drop| run.dropped(&drop)).end().findings.len()
    };
    assert_eq!(scan(400, 1), 0);
    assert_eq!(scan(400, 4), 1, "whoever tries again and again wants to get through");
    assert_eq!(scan(3, 2), 1);
}

#[test]
fn stalled_connections_are_harm_though_they_were_answered() {
    let stalled =
        flow_of(Outcome::Established, "10.244.0.5:41000", "52.0.0.1:443", 1, said(Cause::Mtu, "large packets"));
    let run = Run::new().seen(Way::Out, 6, "52.0.0.1:443", answered(40)).flow(&stalled);
    assert_eq!(run.end().titles(), ["tcp from 10.244.0.5 to 52.0.0.1:443 is answered, and stalls then"]);
}

#[test]
fn the_worst_comes_first() {
    let mut run = Run::expecting(&["out:tcp:52.0.0.9:8443"])
        // One pair, complete.
        .flow(&silent("10.244.0.5:41000", "52.0.0.1:25", 4))
        // One pair, expected.
        .flow(&silent("10.244.0.5:41000", "52.0.0.9:8443", 4))
        // One pair, well known.
        .flow(&silent("10.244.0.5:41000", "20.0.0.1:9000", 4))
        // One pair, some of many.
        .seen(Way::Out, 6, "52.0.0.2:8080", answered(30));
    for port in 0..10 {
        run = run.flow(&silent(&format!("10.244.0.5:{}", 41_000 + port), "52.0.0.2:8080", 4));
    }
    // Five clients, complete.
    for client in 1..=5 {
        run = run.flow(&silent(&format!("10.244.0.{client}:41000"), "52.0.0.3:5432", 4));
    }
    let said = run.end();
    let ports = [8443, 9000, 5432, 25, 8080].map(|port| format!(":{port}"));
    let order: Vec<_> = said.titles().iter().map(|title| ports.iter().position(|port| title.contains(port))).collect();
    assert_eq!(order, [Some(0), Some(1), Some(2), Some(3), Some(4)], "{:#?}", said.titles());
    assert_eq!(said.findings.iter().map(|finding| finding.rank).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(said.titles()[1].starts_with("the tunnel of the API server is down"));
}

#[test]
fn resolvers_that_fail_are_named() {
    let fails = (0..3).fold(Run::new(), |run, _| run.dns(&query(Some("SERVFAIL"), 1))).end();
    assert_eq!(
        fails.titles(),
        ["names are not resolved: DNS from 10.244.0.5 to 10.96.0.10:53 is answered with an error"]
    );
    assert_eq!(fails.findings[0].explanation.summary, "10.96.0.10:53 answers SERVFAIL");
    let slow = (0..5).fold(Run::new(), |run, _| run.dns(&query(Some("NOERROR"), 1))).end();
    assert!(slow.titles()[0].ends_with("is answered late"));
}
