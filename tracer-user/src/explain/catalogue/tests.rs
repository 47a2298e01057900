//! The catalogue is complete for the kernels that were read, and its texts fit where they are used.

use std::collections::HashSet;

use super::*;

/// Names of `enum skb_drop_reason` (and subsystem enums), as `bpftool btf dump` prints them, without prefix.
const KERNELS: &[(&str, &str)] = &[
    ("6.1", include_str!("../../../fixtures/reasons-6.1.txt")),
    ("6.12", include_str!("../../../fixtures/reasons-6.12.txt")),
    ("6.18", include_str!("../../../fixtures/reasons-6.18.txt")),
    ("7.2", include_str!("../../../fixtures/reasons-7.2.txt")),
    ("qdisc (7.2)", include_str!("../../../fixtures/reasons-qdisc.txt")),
    ("openvswitch (7.3)", include_str!("../../../fixtures/reasons-openvswitch.txt")),
    ("mac80211 (6.12 and 7.3)", include_str!("../../../fixtures/reasons-mac80211.txt")),
];

#[test]
fn every_reason_of_the_known_kernels_is_described() {
    for (kernel, names) in KERNELS {
        let missing: Vec<&str> = names.lines().filter(|name| reason(name).is_none()).collect();
        assert!(missing.is_empty(), "{kernel}: {missing:?}");
        assert!(names.lines().count() >= 8, "{kernel}: the list is cut off");
    }
}

#[test]
fn a_name_is_found_with_and_without_prefix_and_else_not() {
    assert_eq!(reason("NO_SOCKET").unwrap().name, "NO_SOCKET");
    assert_eq!(reason("SKB_DROP_REASON_NO_SOCKET").unwrap().name, "NO_SOCKET");
    assert!(reason("").is_none() && reason("NOT_A_REASON").is_none() && reason("no_socket").is_none());
}

#[test]
fn names_are_unique() {
    let names: Vec<&str> = GROUPS.iter().flat_map(|group| group.entries).map(|entry| entry.name).collect();
    assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    assert!(names.len() > 240);
}

/// Texts are clauses: they become part of a sentence, or stand in a list.
#[test]
fn texts_are_clauses() {
    for entry in GROUPS.iter().flat_map(|group| group.entries) {
        for text in [entry.meaning, entry.usual_cause, entry.severity_why] {
            assert!(!text.is_empty() && !text.ends_with('.') && !text.contains("  "), "{}: {text:?}", entry.name);
        }
        assert!(
            entry.meaning.starts_with(|c: char| c.is_lowercase() || entry.meaning.starts_with("IP")),
            "{}",
            entry.name
        );
        assert!(entry.usual_cause.starts_with(|c: char| !c.is_lowercase() || entry.usual_cause.contains('_')));
    }
}

#[test]
fn a_problem_always_says_what_to_try() {
    for entry in GROUPS.iter().flat_map(|group| group.entries) {
        let helps = !entry.remedy.is_empty() || entry.severity != Severity::Problem;
        assert!(helps, "{}", entry.name);
    }
}
