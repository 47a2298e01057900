//! Matches against the real thing: their text against what iptables prints of the same rules, and what they say of packets
//! against what the kernel counts.
//!
//! Each rule is made by the real tool in a namespace of this test's own and read back as bytes from the kernel, by
//! getsockopt and by netlink. Needs root, `iptables` and `ipset`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod cases;
mod connections;
mod frames;
mod meaning;
#[path = "../namespace/mod.rs"]
mod namespace;
mod netlink;
mod sockopt;

use namespace::{inside, shell};
use tracer_netfilter::Family;

/// A table that allows every match, and a chain in it that no hook limits.
const TABLE: &str = "mangle";
const CHAIN: &str = "T";

fn tool(family: Family, backend: &str) -> String {
    format!("ip{}tables-{backend} -w -t {TABLE}", if family == Family::Ip6 { "6" } else { "" })
}

/// Makes the sets that rules look into, the chain, and the rules; gives what the tool prints of those.
fn make(family: Family, backend: &str) -> Vec<String> {
    let tool = tool(family, backend);
    let address = if family == Family::Ip6 { "inet6" } else { "inet" };
    shell(&format!("ipset create other hash:ip && ipset create plain hash:ip family {address} counters")).unwrap();
    shell(&format!("ipset create pair hash:ip,port,ip family {address}")).unwrap();
    shell(&format!("{tool} -N {CHAIN}")).unwrap();
    shell(&format!("{tool} -N RATES")).unwrap();
    for name in ["RE1", "RE2"] {
        let rates = format!("RATEEST --rateest-name {name} --rateest-interval 250ms --rateest-ewmalog 500ms");
        shell(&format!("{tool} -A RATES -j {rates}")).unwrap();
    }
    netlink::add_counter("plain_name");
    netlink::add_counter("odd name");
    let rules: Vec<_> = cases::of(family, backend).collect();
    let failed: Vec<_> = rules.iter().filter_map(|rule| shell(&format!("{tool} -A {CHAIN} {rule}")).err()).collect();
    assert!(failed.is_empty(), "{} of {} rules were refused:\n{}", failed.len(), rules.len(), failed.join("\n"));
    let listing = shell(&format!("{tool} -S {CHAIN}")).unwrap();
    let lines: Vec<_> = listing.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect();
    assert_eq!(lines.len(), rules.len());
    lines
}

fn check_legacy(family: Family) {
    inside(|| {
        let printed = make(family, "legacy");
        let read = sockopt::rules(family, TABLE, CHAIN);
        assert_eq!(read.len(), printed.len());
        let mut wrong = Vec::new();
        for (rule, line) in read.iter().zip(&printed) {
            let matches = rule.matches.iter().map(|part| part.text_naming(family, &sockopt::set_name));
            let parts: Vec<_> =
                std::iter::once(rule.header.text()).chain(matches).filter(|part| !part.is_empty()).collect();
            let ours = format!("-A {CHAIN} {}", parts.join(" "));
            if ours != *line {
                wrong.push(format!("  {line}\n  {ours}\n"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {} differ (iptables, ours):\n{}",
            wrong.len(),
            printed.len(),
            wrong.join("\n")
        );
    });
}

/// What iptables-nft makes expressions of nf_tables of is not ours; the matches it keeps must stand in its line.
fn check_nft(family: Family) {
    inside(|| {
        let printed = make(family, "nft");
        let read = netlink::rules(family, TABLE, CHAIN);
        assert_eq!(read.len(), printed.len());
        let kept = read.iter().flatten().count();
        assert!(kept * 2 > printed.len(), "only {kept} matches were kept");
        let mut wrong = Vec::new();
        for (rule, line) in read.iter().zip(&printed) {
            let texts = rule.iter().map(|part| part.text_naming(family, &sockopt::set_name));
            wrong.extend(
                texts
                    .filter(|text| !format!("{line} ").contains(&format!(" {text} ")))
                    .map(|text| format!("  {line}\n  {text}\n")),
            );
        }
        assert!(wrong.is_empty(), "{} of {kept} differ (iptables, ours):\n{}", wrong.len(), wrong.join("\n"));
    });
}

#[test]
fn rules_of_iptables_legacy_read_as_iptables_prints_them() {
    check_legacy(Family::Ip);
}

#[test]
fn rules_of_ip6tables_legacy_read_as_ip6tables_prints_them() {
    check_legacy(Family::Ip6);
}

#[test]
fn matches_of_iptables_nft_read_as_iptables_prints_them() {
    check_nft(Family::Ip);
}

#[test]
fn matches_of_ip6tables_nft_read_as_ip6tables_prints_them() {
    check_nft(Family::Ip6);
}
