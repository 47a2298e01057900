//! The report as text.

use super::*;
use crate::event::{Affected, AttemptTotals, Suspect, SuspectKind};
use crate::sink::Style;

fn header() -> Header {
    Header {
        schema: 1,
        version: "0.1.0".into(),
        host: "vm".into(),
        kernel: "6.18".into(),
        started: time(0),
        boot_id: String::new(),
        map_bytes: 0,
        sources: Vec::new(),
        coverage: vec!["traffic that eBPF redirects past the tc programs is not seen".into()],
    }
}

fn text(terminal: Option<Screen>) -> (Text<Screen>, Screen) {
    let screen = Screen::default();
    let terminal = terminal.map(|terminal| Box::new(terminal) as Box<dyn Write>);
    (Text::new(screen.clone(), Style { colour: false }, terminal, None), screen)
}

fn finding() -> Finding {
    let mut explanation = Explanation::new(Cause::Upstream, Confidence::Inferred, "it left by eth0\x1b[2J");
    explanation.evidence = vec!["4 SYNs left by eth0".into()];
    explanation.remedy = vec!["ip route get 52.0.0.1".into()];
    explanation.unknown = Some("what lies beyond eth0".into());
    explanation.suspects = Some(vec![Suspect {
        what: SuspectKind::Firewall,
        summary: "a firewall blocks tcp 443".into(),
        evidence: vec!["others were answered".into()],
        check: vec!["az network watcher test-ip-flow".into()],
    }]);
    let (source, destination) = (Endpoint { port: None, ..end("10.244.0.5:1") }, end("52.0.0.1:443"));
    let affected = Affected { source, destination, protocol: "tcp".into(), netns: netns(7, "node"), count: 1234 };
    Finding {
        time: time(20),
        rank: 1,
        severity: Severity::Problem,
        title: "tcp is never answered".into(),
        count: 1234,
        affected: vec![affected],
        affected_more: 2,
        explanation,
    }
}

#[test]
fn a_finding_says_why_how_sure_whom_it_hits_and_what_to_do() {
    let (mut text, screen) = text(None);
    text.finding(&finding()).unwrap();
    let golden = "\
1.  problem  tcp is never answered
    why       it left by eth0\\u{1b}[2J
    how sure  inferred: the likeliest, by what was seen and what was not
    seen      4 SYNs left by eth0
    hits      10.244.0.5 → 52.0.0.1:443 tcp in node (1,234×)
    hits      2 more
    perhaps   1. a firewall blocks tcp 443
                 as others were answered
                 check az network watcher test-ip-flow
    open      what lies beyond eth0
    try       ip route get 52.0.0.1

";
    assert_eq!(screen.text(), golden);
}

#[test]
fn a_healthy_run_says_what_was_seen_and_what_is_hidden() {
    let (mut text, screen) = text(None);
    text.header(&header()).unwrap();
    let met = vec!["in:tcp:80: 12 attempts, all answered".to_owned()];
    text.notes(Notes { met, ..Notes::default() }).unwrap();
    let attempts =
        AttemptTotals { established: 1200, pending: 2, queries: 40, interfaces: 3, ..AttemptTotals::default() };
    let coverage = vec!["eth1 can't be attached to".into()];
    text.stats(&Stats { attempts: Some(attempts), last: true, packets: 9, hidden: 9, coverage, ..stats() }).unwrap();
    let golden = "\
watching vm 6.18; Ctrl-C ends it early
Nothing is wrong with what was seen.
as expected: in:tcp:80: 12 attempts, all answered

seen on vm in 0.0 s:
  1,202 attempts to talk: 1,200 answered, 0 refused, 0 dropped here, 0 never answered, 2 not decided yet
  40 DNS queries, 0 of them without a good answer
  3 interfaces watched
  9 dropped packets, 9 of them expected or mere noise
not seen on this node:
  traffic that eBPF redirects past the tc programs is not seen
  eth1 can't be attached to
";
    assert_eq!(screen.text(), golden);
}

#[test]
fn drops_outside_of_the_chosen_namespaces_are_told_apart() {
    let (mut text, screen) = text(None);
    text.notes(Notes { dropped_there: Some(12), ..Notes::default() }).unwrap();
    text.stats(&Stats { last: true, packets: 3012, hidden: 2000, ..stats() }).unwrap();
    let line = "3,012 dropped packets: 12 in the chosen namespaces; the others on the host, expected or mere noise\n";
    assert!(screen.text().contains(line), "{}", screen.text());
}

#[test]
fn no_traffic_is_not_called_healthy() {
    let said = |interfaces| {
        let (mut text, screen) = text(None);
        let attempts = Some(AttemptTotals { interfaces, ..AttemptTotals::default() });
        text.stats(&Stats { attempts, last: true, ..stats() }).unwrap();
        screen.text()
    };
    let (quiet, blind) = (said(2), said(0));
    assert!(quiet.starts_with("Nothing was seen at all: nobody talked. No traffic is not health"), "{quiet}");
    assert!(blind.starts_with("Nothing could be seen: there is no interface to watch"), "{blind}");
}

#[test]
fn progress_is_gone_before_the_report() {
    let terminal = Screen::default();
    let (mut text, screen) = text(Some(terminal.clone()));
    text.header(&header()).unwrap();
    text.stats(&stats()).unwrap();
    assert!(terminal.text().ends_with("0 s: 0 drops"));
    text.finding(&finding()).unwrap();
    assert!(terminal.text().ends_with("\r\x1b[K") && !screen.text().contains('\r'));
    text.stats(&Stats { last: true, ..stats() }).unwrap();
    assert!(!screen.text().contains("Nothing"), "there is a finding");
}
