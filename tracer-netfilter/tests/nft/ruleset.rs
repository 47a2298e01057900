//! Tables, chains and rules.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tracer_netfilter::model::{
    ChainKind, Counter, Expression, Family, Hook, Place, Policy, RawRule, Rule, Ruleset, SetFlags,
};
use tracer_netfilter::netlink::NetlinkError;
use tracer_netfilter::nft;

use super::oracle;
use super::{Namespace, read, table};

const EXPRESSIONS: &str = include_str!("expressions.nft");

/// Every rule, decoded, by family, table, chain and handle.
fn rules(ruleset: &Ruleset) -> BTreeMap<String, Rule> {
    let mut all = BTreeMap::new();
    for (t, table) in ruleset.tables.iter().enumerate() {
        for (c, chain) in table.chains.iter().enumerate() {
            for number in 1..=chain.rules.len() as u32 {
                let rule = ruleset.rule(Place { table: t, chain: c, number }).expect("there is one").expect("decoded");
                let handle = rule.handle.expect("nf_tables has them");
                all.insert(format!("{} {} {} {handle}", table.family.as_str(), table.name, chain.name), rule);
            }
        }
    }
    all
}

/// The lines that nft prints for each rule: `ip filter INPUT 5 4` (handle, and that of the rule before), then one
/// expression a line in brackets.
fn nft_lines(debug: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut rule = None;
    for line in debug.lines() {
        if let Some(expression) = line.strip_prefix("  [ ") {
            let lines = rule.clone().and_then(|rule| all.get_mut(&rule)).expect("a rule is above");
            lines.push(expression.strip_suffix(" ]").expect("closed").trim_end().to_owned());
        } else {
            let words: Vec<&str> = line.split(' ').collect();
            let is_rule = words.len() >= 4 && words[3].parse::<u64>().is_ok() && !line.starts_with(['\t', ' ', '#']);
            rule = is_rule.then(|| words[..4].join(" "));
            if let Some(rule) = &rule {
                all.insert(rule.clone(), Vec::new());
            }
        }
    }
    all
}

/// Compares every expression of every rule with nft's reading; gives the number of rules.
fn compare(namespace: &Namespace) -> usize {
    let expected = nft_lines(&namespace.run("nft --debug=netlink list ruleset"));
    let got = rules(&read(namespace));
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (place, rule) in &got {
        let lines: Vec<String> = rule.expressions.iter().map(oracle::line).collect();
        let expected = &expected[place];
        assert_eq!(lines.len(), expected.len(), "{place}: {lines:?} instead of {expected:?}");
        for (line, expected) in lines.iter().zip(expected) {
            // An extension that is decoded says less, and libnftnl says more of checksums.
            let is_part = ["match", "target", "payload write"].iter().any(|start| line.starts_with(start));
            let is_same = line == expected || is_part && expected.starts_with(line.as_str());
            assert!(is_same, "{place}: `{line}` instead of `{expected}`");
        }
    }
    got.len()
}

#[test]
fn every_expression_is_read_as_nft_reads_it() {
    let namespace = Namespace::new();
    namespace.nft(EXPRESSIONS);
    assert!(compare(&namespace) > 120, "the script has as many rules");
}

#[test]
fn rules_of_iptables_nft_are_read_as_nft_reads_them() {
    let namespace = Namespace::new();
    namespace.run(
        "iptables-nft -A INPUT -p tcp --dport 22 -m conntrack --ctstate NEW -m comment --comment 'hello there' \
         -m comment --comment second -j REJECT --reject-with tcp-reset
         iptables-nft -A INPUT -p tcp -m multiport --dports 1,2:3 -j LOG --log-prefix x
         iptables-nft -A INPUT -i eth0 -m limit --limit 3/min -j MARK --set-mark 5
         iptables-nft -A INPUT -s 1.2.3.4/20 ! -d 5.6.7.8 -j NFLOG --nflog-group 3
         iptables-nft -P FORWARD DROP
         iptables-nft -t nat -A PREROUTING -p tcp -j DNAT --to 1.2.3.4:80
         ip6tables-nft -A INPUT -p icmpv6 --icmpv6-type 135 -j ACCEPT
         arptables-nft -A INPUT -s 1.2.3.4 -j DROP
         ebtables-nft -A FORWARD -p IPv4 --ip-src 1.2.3.4 -j DROP",
    );
    assert_eq!(compare(&namespace), 8);

    let ruleset = read(&namespace);
    let filter = &ruleset.tables.iter().find(|table| table.family == Family::Ip && table.name == "filter");
    let filter = filter.expect("iptables-nft made it");
    let forward = filter.chain("FORWARD").and_then(|chain| chain.base.as_ref()).expect("a base chain");
    assert_eq!((forward.hook, forward.priority, forward.policy), (Hook::Forward, 0, Policy::Drop));
    let rules = rules(&ruleset);
    let commented = rules.values().find(|rule| rule.comment.is_some()).expect("one has a comment");
    assert_eq!(commented.comment.as_deref(), Some("hello there"), "the first of two");
    assert_eq!(commented.number, 1);
    assert_eq!(commented.counter, Some(Counter::default()));
}

#[test]
fn what_libnftnl_does_not_print_is_read_too() {
    let namespace = Namespace::new();
    namespace.nft(EXPRESSIONS);
    let ruleset = read(&namespace);
    let four = table(&ruleset, "four");
    assert_eq!(four.comment.as_deref(), Some("a table"));
    let all = rules(&ruleset);
    let expressions = || all.values().flat_map(|rule| &rule.expressions);
    assert!(
        expressions()
            .any(|part| matches!(part, Expression::SynProxy { mss: 1460, wscale: 9, flags } if flags & 3 == 3))
    );
    assert!(expressions().all(|part| !matches!(part, Expression::Unknown { .. })), "none is unknown");
    assert!(
        expressions().any(|part| matches!(part, Expression::Conntrack { key: tracer_netfilter::model::CtKey::Id, .. }))
    );
    let commented: Vec<_> = all.values().filter_map(|rule| rule.comment.as_deref()).collect();
    assert_eq!(commented, ["by address"]);
    let counted: Vec<_> = all.values().filter_map(|rule| rule.counter).collect();
    assert_eq!(counted, [Counter { packets: 5, bytes: 60 }], "not that of an element");
}

#[test]
fn tables_and_chains_keep_all_that_decides_about_them() {
    let namespace = Namespace::new();
    namespace.run("ip link add one type veth peer name two");
    namespace.nft(
        "table inet asleep { flags dormant; comment \"not now\"; chain in { type filter hook input priority 7; } }
         table inet awake {
             chain regular { }
             chain out { type route hook output priority -150; policy drop; }
             chain nat { type nat hook postrouting priority srcnat; }
             chain early { type filter hook ingress device one priority 0; }
         }
         table netdev cards {
             chain in { type filter hook ingress devices = { one, two } priority -500; }
             chain out { type filter hook egress device two priority 5; policy drop; }
         }
         table bridge b { chain f { type filter hook forward priority -200; } }
         table arp a { chain o { type filter hook output priority 3; policy drop; } }",
    );
    let ruleset = read(&namespace);
    assert!(ruleset.gaps.is_empty(), "{:?}", ruleset.gaps);
    assert!(ruleset.generation.is_some());
    let asleep = table(&ruleset, "asleep");
    assert!(asleep.dormant && asleep.comment.as_deref() == Some("not now") && asleep.handle.is_some());
    let awake = table(&ruleset, "awake");
    assert!(!awake.dormant && awake.owner.is_none());
    assert!(awake.chain("regular").expect("made").base.is_none());

    let shape = |table_name: &str, chain: &str| {
        let base = table(&ruleset, table_name).chain(chain).expect("made").base.clone().expect("a base chain");
        (base.hook, base.priority, base.kind, base.policy, base.devices.join(" "))
    };
    let none = String::new;
    assert_eq!(shape("awake", "out"), (Hook::Output, -150, ChainKind::Route, Policy::Drop, none()));
    assert_eq!(shape("awake", "nat"), (Hook::Postrouting, 100, ChainKind::Nat, Policy::Accept, none()));
    assert_eq!(shape("awake", "early"), (Hook::Ingress, 0, ChainKind::Filter, Policy::Accept, "one".to_owned()));
    assert_eq!(shape("cards", "in"), (Hook::Ingress, -500, ChainKind::Filter, Policy::Accept, "two one".to_owned()));
    assert_eq!(shape("cards", "out"), (Hook::Egress, 5, ChainKind::Filter, Policy::Drop, "two".to_owned()));
    assert_eq!(shape("b", "f"), (Hook::Forward, -200, ChainKind::Filter, Policy::Accept, none()));
    assert_eq!(shape("a", "o"), (Hook::Output, 3, ChainKind::Filter, Policy::Drop, none()));
}

#[test]
fn the_counter_of_a_policy_is_kept() {
    let namespace = Namespace::new();
    namespace.run("printf '*filter\\n:INPUT DROP [7:70]\\nCOMMIT\\n' | iptables-nft-restore --counters");
    let ruleset = read(&namespace);
    let base = table(&ruleset, "filter").chain("INPUT").and_then(|chain| chain.base.clone()).expect("a base chain");
    assert_eq!((base.policy, base.counter), (Policy::Drop, Some(Counter { packets: 7, bytes: 70 })));
}

#[test]
fn the_owner_of_a_table_is_kept() {
    let namespace = Namespace::new();
    // The table goes away with its owner.
    namespace.run("(echo 'add table ip owned { flags owner; }'; sleep 3) | nft -i >/dev/null 2>&1 & sleep 1");
    let ruleset = read(&namespace);
    assert!(table(&ruleset, "owned").owner.is_some_and(|port| port != 0));
}

#[test]
fn without_the_capability_the_error_says_which() {
    let namespace = Namespace::new();
    let refused = namespace.inside(|| {
        // SAFETY: the system call itself changes only this thread, which ends behind this.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, 65_534, 65_534, 65_534) };
        assert_eq!(changed, 0);
        (nft::read(), nft::generation())
    });
    assert_eq!(refused, (Err(NetlinkError::Denied), Err(NetlinkError::Denied)));
    assert!(NetlinkError::Denied.to_string().contains("CAP_NET_ADMIN"));
}

#[test]
fn sets_keep_their_shape() {
    let namespace = Namespace::new();
    namespace.nft(
        "table inet t {
             set plain { type ipv4_addr; comment \"bad hosts\"; }
             set parts { type ipv4_addr . inet_proto . inet_service; flags interval; }
             map verdicts { type inet_service : verdict; }
             map marks { type ipv6_addr : mark; flags interval; }
             set busy { type ipv4_addr; flags dynamic, timeout; timeout 1h; }
             chain c { tcp dport { 1, 2 } accept; }
         }",
    );
    let ruleset = read(&namespace);
    let set = |name: &str| table(&ruleset, "t").set(name).expect("made").clone();
    let plain = set("plain");
    assert_eq!((plain.comment.as_deref(), plain.key_length, plain.flags), (Some("bad hosts"), 4, SetFlags(0)));
    assert_eq!((plain.key_type, plain.data_type, plain.handle.is_some()), (7, None, true));
    let parts = set("parts");
    assert_eq!((parts.parts.as_slice(), parts.key_length), ([4, 1, 2].as_slice(), 12));
    assert!(parts.flags.interval() && parts.flags.concatenation());
    let verdicts = set("verdicts");
    assert!(verdicts.flags.map() && verdicts.data_type == Some(0xffff_ff00));
    let marks = set("marks");
    assert_eq!((marks.key_length, marks.data_length, marks.flags.interval()), (16, Some(4), true));
    assert!(set("busy").flags.dynamic() && set("busy").flags.timeout());
    assert!(set("__set0").flags.anonymous() && set("__set0").flags.constant());
}

#[test]
fn a_namespace_without_any_table_has_nothing_but_a_generation() {
    let namespace = Namespace::new();
    let ruleset = read(&namespace);
    assert!(ruleset.tables.is_empty() && ruleset.gaps.is_empty());
    let generation = namespace.inside(nft::generation).expect("it can be asked");
    assert!(generation.is_some(), "nf_tables is in this kernel");
    assert_eq!(ruleset.generation, generation);
    namespace.nft("table ip t { }");
    assert_ne!(namespace.inside(nft::generation).expect("it can be asked"), generation, "a change is counted");
}

#[test]
fn a_counter_is_read_again_by_the_handle_of_its_rule() {
    let namespace = Namespace::new();
    namespace
        .nft("table ip t { chain in { type filter hook input priority 0; icmp type echo-request counter; accept; } }");
    let ruleset = read(&namespace);
    let t = table(&ruleset, "t");
    let handle = |number: usize| match &t.chain("in").expect("made").rules[number] {
        RawRule::Nft { handle, .. } => *handle,
        RawRule::Legacy { .. } => unreachable!("nf_tables has none"),
    };
    let again = |handle: u64| namespace.inside(|| nft::reread(t, "in", handle)).expect("it can be asked");
    assert_eq!(again(handle(0)), Some(Counter::default()));
    namespace.run("ip link set lo up && ping -c 3 -i 0.01 -s 56 127.0.0.1");
    assert_eq!(again(handle(0)), Some(Counter { packets: 3, bytes: 3 * 84 }));
    assert_eq!(again(handle(1)), None, "it has no counter");
    assert_eq!(again(999), None, "there is no such rule");
    namespace.nft("delete table ip t");
    assert_eq!(again(handle(0)), None, "it is gone");
}

#[test]
fn what_is_read_while_rules_change_belongs_together() {
    let namespace = Namespace::new();
    let is_done = AtomicBool::new(false);
    // Each version of the ruleset has as many rules in one chain as in the other.
    let version = |rules: usize| {
        let rules = "counter; ".repeat(rules);
        format!("table ip t {{ }}\ndelete table ip t\ntable ip t {{ chain a {{ {rules} }}\nchain b {{ {rules} }} }}\n")
    };
    namespace.nft(&version(1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60 {
                namespace.nft(&version(1 + round % 7 * 50));
            }
            is_done.store(true, Ordering::Relaxed);
        });
        let (mut readings, mut quiet) = (0, 0);
        while !is_done.load(Ordering::Relaxed) {
            let ruleset = read(&namespace);
            readings += 1;
            if ruleset.gaps.is_empty() {
                let count = |chain: &str| table(&ruleset, "t").chain(chain).expect("always there").rules.len();
                assert_eq!(count("a"), count("b"));
                quiet += 1;
            }
        }
        assert!(quiet > 0, "{readings} readings, none of one moment");
    });
}

#[test]
fn a_hundred_thousand_rules_are_read() {
    const CHAINS: usize = 10_000;
    const RULES: usize = 10;
    let namespace = Namespace::new();
    let mut script = "table ip big {\n".to_owned();
    for chain in 0..CHAINS {
        let rule = |rule: usize| {
            format!("ip saddr 10.{}.{}.{rule} tcp dport {} counter accept;", chain / 256, chain % 256, 1000 + rule)
        };
        let rules: String = (0..RULES).map(rule).collect();
        script.extend(["chain c", &chain.to_string(), " { ", &rules, " }\n"]);
    }
    namespace.nft(&(script + "}\n"));
    let start = Instant::now();
    let ruleset = read(&namespace);
    let took = start.elapsed();
    assert!(ruleset.gaps.is_empty(), "{:?}", ruleset.gaps);
    let big = table(&ruleset, "big");
    assert_eq!(big.chains.iter().map(|chain| chain.rules.len()).sum::<usize>(), CHAINS * RULES);
    println!("{} rules in {CHAINS} chains read in {took:?}", CHAINS * RULES);
}

#[test]
fn a_hundred_thousand_rules_of_one_chain_are_read() {
    const RULES: usize = 100_000;
    let namespace = Namespace::new();
    let rule = |rule: usize| format!("ip saddr 10.1.{}.{} tcp dport 80 counter accept\n", rule / 256 % 256, rule % 256);
    let rules: String = (0..RULES).map(rule).collect();
    namespace.nft(&format!("table ip big {{ chain one {{ {rules} }} }}\n"));
    let start = Instant::now();
    let ruleset = read(&namespace);
    let took = start.elapsed();
    assert!(ruleset.gaps.is_empty(), "{:?}", ruleset.gaps);
    assert_eq!(table(&ruleset, "big").chain("one").expect("made").rules.len(), RULES);
    println!("{RULES} rules in one chain read in {took:?}");
}
