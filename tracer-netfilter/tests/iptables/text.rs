//! Our text of every rule is the line that `iptables -S` prints for it.

use tracer_netfilter::model::{Place, Ruleset, Table};
use tracer_netfilter::text::iptables;
use tracer_netfilter::{Backend, legacy, nft};

use crate::netns::Netns;
use crate::rules;

/// A namespace with these rules, written by one of the tools.
fn with_rules(tool: &str, rules: &[&[&str]]) -> Netns {
    let netns = Netns::new();
    for set in ["s1 hash:ip skbinfo timeout 0", "s2 hash:ip,port", "s6 hash:ip family inet6"] {
        netns.run(&format!("ipset create {set}"));
    }
    let mut input = String::new();
    for table in ["raw", "mangle", "nat", "filter", "security"] {
        let of_table = rules.iter().copied().flatten().filter_map(|rule| rule.strip_prefix(table)?.strip_prefix(' '));
        let lines: String = of_table.map(|rule| format!("-A {rule}\n")).collect();
        let user = if table == "filter" { ":u - [0:0]\n" } else { "" };
        input += &format!("*{table}\n{user}{lines}COMMIT\n");
    }
    netns.feed(&format!("{tool}-restore"), &input);
    netns
}

fn read(netns: &Netns, tool: &str) -> Ruleset {
    netns.inside(|| {
        if tool.ends_with("legacy") {
            let (tables, gaps) = legacy::read();
            return Ruleset { tables, gaps, ..Ruleset::default() };
        }
        let reading = nft::read().unwrap();
        Ruleset { tables: reading.tables, gaps: reading.gaps, ..Ruleset::default() }
    })
}

/// All that `-S` prints of a table, in our words.
fn listing(ruleset: &Ruleset, index: usize) -> Vec<String> {
    let table = &ruleset.tables[index];
    let mut lines = Vec::new();
    let (built_in, user): (Vec<_>, Vec<_>) = (0..table.chains.len()).partition(|at| table.chains[*at].base.is_some());
    lines.extend(built_in.iter().map(|at| iptables::policy_text(&table.chains[*at]).unwrap()));
    lines.extend(user.iter().map(|at| format!("-N {}", table.chains[*at].name)));
    for chain in built_in.into_iter().chain(user) {
        for number in 1..=table.chains[chain].rules.len() as u32 {
            let rule = ruleset.rule(Place { table: index, chain, number }).unwrap().unwrap();
            lines.push(iptables::rule(table, &table.chains[chain], &rule));
        }
    }
    lines
}

fn assert_same(tool: &str, rules: &[&[&str]]) {
    let netns = with_rules(tool, rules);
    let ruleset = read(&netns, tool);
    assert_eq!(ruleset.gaps, Vec::<String>::new());
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (index, table) in ruleset.tables.iter().enumerate() {
        assert!(table.backend == Backend::Legacy || iptables::is_iptables_nft(table), "{table:?}");
        let listed = netns.run(&format!("{tool} -t {} -S", table.name));
        let ours = sorted(listing(&ruleset, index));
        // iptables-nft lists the policies of chains that are not there as well.
        let is_there = |line: &&str| !line.starts_with("-P ") || ours.iter().any(|ours| ours == line);
        let theirs = sorted(listed.lines().filter(is_there).map(str::to_owned).collect());
        assert_eq!(ours.len(), theirs.len(), "{ours:#?}\n{theirs:#?}");
        compared += theirs.len();
        wrong.extend(theirs.into_iter().zip(ours).filter(|(theirs, ours)| theirs != ours));
    }
    assert!(wrong.is_empty(), "{tool}: {} of {compared}: {wrong:#?}", wrong.len());
    let count: usize = rules.iter().map(|rules| rules.len()).sum();
    assert!(compared >= count, "{compared} of {count}");
}

/// Chains stand in another order in each backend; rules of one chain stay in theirs.
fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort_by_key(|line| line.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>());
    lines
}

#[test]
fn iptables_legacy() {
    assert_same("iptables-legacy", &[rules::COMMON, rules::IPV4]);
}

#[test]
fn ip6tables_legacy() {
    assert_same("ip6tables-legacy", &[rules::COMMON, rules::IPV6]);
}

#[test]
fn iptables_nft() {
    assert_same("iptables-nft", &[rules::COMMON, rules::IPV4]);
}

#[test]
fn ip6tables_nft() {
    assert_same("ip6tables-nft", &[rules::COMMON, rules::IPV6]);
}
