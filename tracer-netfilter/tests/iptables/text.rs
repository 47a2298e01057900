//! Our text of every rule is the line that `iptables -S` prints for it.

use std::fmt::Write as _;

use tracer_netfilter::model::{Place, Ruleset};
use tracer_netfilter::text::iptables;
use tracer_netfilter::{Backend, legacy, nft};

use crate::namespace::Namespace;
use crate::rules;

const SETS: [(&str, &str); 3] =
    [("s1", "hash:ip skbinfo timeout 0"), ("s2", "hash:ip,port"), ("s6", "hash:ip family inet6")];

/// The kernel numbers sets in the order in which they are made.
fn set_name(index: u16) -> Option<String> {
    SETS.get(usize::from(index)).map(|(name, _)| (*name).to_owned())
}

/// A namespace with these rules, written by one of the tools.
fn with_rules(tool: &str, rules: &[&[&str]]) -> Namespace {
    let netns = Namespace::new();
    for (name, kind) in SETS {
        netns.words(&format!("ipset create {name} {kind}"));
    }
    let mut input = String::new();
    for table in ["raw", "mangle", "nat", "filter", "security"] {
        let of_table = rules.iter().copied().flatten().filter_map(|rule| rule.strip_prefix(table)?.strip_prefix(' '));
        let lines: Vec<String> = of_table.map(|rule| format!("-A {rule}\n")).collect();
        let user = if table == "filter" { ":u - [0:0]\n" } else { "" };
        write!(input, "*{table}\n{user}{}COMMIT\n", lines.concat()).unwrap();
    }
    netns.run_with(&format!("{tool}-restore"), &input);
    netns
}

fn read(netns: &Namespace, tool: &str) -> Ruleset {
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
            lines.push(iptables::rule(table, &table.chains[chain], &rule, &set_name));
        }
    }
    lines
}

/// Each rule's command, run by a shell, takes it away.
fn assert_deletable(netns: &Namespace, tool: &str, ruleset: &Ruleset) {
    let mut script = "set -e\n".to_owned();
    for (index, table) in ruleset.tables.iter().enumerate() {
        for (at, chain) in table.chains.iter().enumerate() {
            // From the last on, since a few go by their number.
            for number in (1..=chain.rules.len() as u32).rev() {
                let rule = ruleset.rule(Place { table: index, chain: at, number }).unwrap().unwrap();
                let command = iptables::delete_command(table, chain, &rule, &set_name);
                let text = iptables::rule(table, chain, &rule, &set_name);
                let options = command.strip_prefix(&format!("{tool} -t {} -D {} ", table.name, chain.name));
                let is_by_text = options.is_some_and(|options| options.starts_with(['-', '!']));
                assert!(is_by_text || text.contains(" -j HMARK "), "{command}");
                writeln!(script, "{command} || {{ cat <<'END'\n{command}\nEND\nexit 1; }}").unwrap();
            }
            if let Some(command) = iptables::policy_command(table, chain) {
                writeln!(script, "{command}").unwrap();
            }
        }
    }
    netns.run_with("sh", &script);
    for table in &ruleset.tables {
        let left = netns.words(&format!("{tool} -t {} -S", table.name));
        assert!(!left.contains("\n-A ") && !left.contains(" DROP\n"), "{left}");
    }
}

/// Our text of these rules is what the tool prints, and our commands delete them.
pub(crate) fn assert_same(tool: &str, rules: &[&[&str]]) {
    let netns = with_rules(tool, rules);
    let ruleset = read(&netns, tool);
    assert_eq!(ruleset.gaps, Vec::<String>::new());
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (index, table) in ruleset.tables.iter().enumerate() {
        assert!(table.backend == Backend::Legacy || iptables::is_iptables_nft(table), "{table:?}");
        let listed = netns.words(&format!("{tool} -t {} -S", table.name));
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
    assert_deletable(&netns, tool, &ruleset);
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

/// What nft itself lets into a table of iptables.
#[test]
fn rules_that_iptables_can_not_show_are_not_passed_off_as_its_own() {
    let netns = with_rules("iptables-nft", &[&["filter INPUT -p tcp -j ACCEPT"]]);
    netns.words("nft add rule ip filter INPUT ip saddr 10.0.0.1 ct state new counter drop");
    netns.words("nft add rule ip filter INPUT tcp dport { 1, 2 } drop");
    netns.words("nft add rule ip filter INPUT iifname eth0 meta mark set 0x7 comment \"a $HOME\"");
    let ruleset = read(&netns, "iptables-nft");
    let [table] = ruleset.tables.as_slice() else { panic!("{ruleset:?}") };
    assert!(iptables::is_iptables_nft(table));
    let at = table.find("INPUT").unwrap();
    let chain = &table.chains[at];
    let rule = |number| ruleset.rule(Place { table: 0, chain: at, number }).unwrap().unwrap();
    let exact = |number| iptables::exact(table, chain, &rule(number), &set_name);
    assert_eq!(exact(1).as_deref(), Some("-A INPUT -p tcp -j ACCEPT"));
    assert_eq!((exact(2), exact(3)), (None, None));
    let wanted = "-A INPUT -i eth0 -m comment --comment \"a $HOME\" -j MARK --set-xmark 0x7/0xffffffff";
    assert_eq!(exact(4).as_deref(), Some(wanted), "this one iptables could have written so");
    let text = iptables::rule(table, chain, &rule(2), &set_name);
    assert_eq!(text, "-A INPUT -s 10.0.0.1/32 -j DROP (and more, which iptables can't show)");
    let script: Vec<_> =
        [1, 2, 3].map(|number| iptables::delete_command(table, chain, &rule(number), &set_name)).into();
    assert!(script[1].starts_with("nft delete rule ip filter INPUT handle "), "{script:?}");
    netns.run_with("sh -e", &script.join("\n"));
    assert_eq!(read(&netns, "iptables-nft").tables[0].chains[at].rules.len(), 1, "{script:?}");
}

#[test]
fn tables_of_iptables_nft_are_told_from_those_of_nft() {
    let netns = Namespace::new();
    netns.words("ebtables-nft -A FORWARD -j DROP");
    netns.words("ebtables-nft -t nat -A PREROUTING -j ACCEPT");
    netns.words("arptables-nft -A INPUT -j DROP");
    for table in ["raw", "mangle", "nat", "filter", "security"] {
        netns.words(&format!("iptables-nft -t {table} -A OUTPUT -j ACCEPT"));
    }
    netns.words("nft add table ip6 filter");
    netns.words("nft add chain ip6 filter INPUT { type filter hook input priority 5 ; }");
    netns.words("nft add table ip6 nat");
    netns.words("nft add chain ip6 nat prerouting { type nat hook prerouting priority -100 ; }");
    netns.words("nft add table inet filter");
    netns.words("nft add chain inet filter INPUT { type filter hook input priority 0 ; }");
    let ruleset = read(&netns, "nft");
    let found = |wanted: bool| -> Vec<_> {
        let tables = ruleset.tables.iter().filter(|table| iptables::is_iptables_nft(table) == wanted);
        tables.map(|table| (iptables::tool(table), table.family.as_str(), table.name.as_str())).collect()
    };
    let mut theirs = found(true);
    theirs.sort_unstable();
    assert_eq!(
        theirs,
        [
            ("arptables-nft", "arp", "filter"),
            ("ebtables-nft", "bridge", "filter"),
            ("ebtables-nft", "bridge", "nat"),
            ("iptables-nft", "ip", "filter"),
            ("iptables-nft", "ip", "mangle"),
            ("iptables-nft", "ip", "nat"),
            ("iptables-nft", "ip", "raw"),
            ("iptables-nft", "ip", "security"),
        ]
    );
    assert_eq!(found(false).len(), 3);
}
