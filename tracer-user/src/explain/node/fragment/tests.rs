use super::*;
use crate::node::fragment::{Names, Piece};

fn facts() -> Fragments {
    Fragments {
        piece: Some(Piece { id: 9, offset: 0, length: 64, more: true }),
        names: Names { time: "net.ipv4.ipfrag_time", high_thresh: "net.ipv4.ipfrag_high_thresh" },
        time: Some(30),
        high_thresh: Some(4_194_304),
        max_dist: Some(64),
        memory: Some((768, 1)),
        counters: None,
    }
}

fn told(facts: &Fragments, reason: &'static str, symbol: &'static str) -> Explanation {
    let drop = Observation {
        reason: Some(reason),
        location: Some(symbol),
        source: "10.99.1.2".parse().ok(),
        interface: Some("s0"),
        netns_entry: Some("nsenter --net=/run/netns/s"),
        ..Observation::default()
    };
    let mut explanation = Explanation::new(Cause::Checksum, Confidence::Derived, "as it was");
    refine(&mut explanation, facts, &drop);
    explanation
}

#[test]
fn what_came_late_is_named_with_the_time() {
    let told = told(&facts(), "FRAG_REASM_TIMEOUT", "ip_expire");
    assert_eq!(
        told.summary,
        "only some fragments of datagram id 0x0009 from 10.99.1.2 came within 30 s (net.ipv4.ipfrag_time)"
    );
    assert!(told.evidence[0].ends_with("holds bytes 0 to 63; more were to follow"), "{:?}", told.evidence);
    assert!(!told.remedy.iter().any(|remedy| remedy.contains("sysctl -w")), "30 s are usual");
    let tcpdump = "nsenter --net=/run/netns/s tcpdump -nvi s0 'ip[6:2] & 0x3fff != 0 and src host 10.99.1.2'";
    assert_eq!(told.remedy[1], tcpdump);
}

#[test]
fn full_memory_is_named_with_its_limit() {
    let full = Fragments { memory: Some((4_194_400, 5000)), ..facts() };
    let told = told(&full, "NOT_SPECIFIED", "ip_defrag");
    assert!(told.summary.starts_with("the reassembly memory is full: 4194400 bytes are taken"), "{}", told.summary);
    assert_eq!((told.cause, told.confidence), (Cause::Mtu, Confidence::Derived));
    assert!(told.remedy.iter().any(|remedy| remedy.ends_with("sysctl -w net.ipv4.ipfrag_high_thresh=8388608")));
}

#[test]
fn others_overlap() {
    let told = told(&facts(), "NOT_SPECIFIED", "ip_defrag");
    assert_eq!(told.summary, "the fragments of datagram id 0x0009 from 10.99.1.2 overlap or contradict each other");
    assert_eq!(told.cause, Cause::Checksum);
}

#[test]
fn the_distance_is_named() {
    let near = Fragments { max_dist: Some(1), ..facts() };
    let told = told(&near, "FRAG_TOO_FAR", "ip_defrag");
    assert_eq!(told.sysctl.unwrap()[0].name, MAX_DIST);
    assert!(told.remedy.iter().any(|remedy| remedy.ends_with("sysctl -w net.ipv4.ipfrag_max_dist=64")));
}

#[test]
fn nothing_read_changes_nothing() {
    let told = told(&Fragments::default(), "FRAG_REASM_TIMEOUT", "ip_expire");
    assert_eq!((told.summary.as_str(), told.remedy.len(), told.evidence.len()), ("as it was", 0, 0));
}
