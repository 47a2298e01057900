//! Reading x_tables: nothing is changed by it, and chains, policies, rules and counters are those of `iptables -S -v`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracer_netfilter::model::{ChainKind, Counter, Expression, Hook, Place, Policy, Rule, Ruleset, Table, Verdict};
use tracer_netfilter::{Backend, Family, legacy};

use crate::namespace::Namespace;

const TABLES: [&str; 5] = ["raw", "mangle", "nat", "filter", "security"];

fn read(netns: &Namespace) -> Vec<Table> {
    let (tables, gaps) = netns.inside(legacy::read);
    assert_eq!(gaps, Vec::<String>::new());
    tables
}

/// A rule of a table.
fn rule(table: &Table, chain: &str, number: u32) -> Rule {
    let ruleset = Ruleset { tables: vec![table.clone()], ..Ruleset::default() };
    ruleset.rule(Place { table: 0, chain: table.find(chain).unwrap(), number }).unwrap().unwrap()
}

/// What the rules of a chain come to; `None` for one that has no target.
fn verdicts(table: &Table, chain: &str) -> Vec<Option<Verdict>> {
    let verdict = |expression: &Expression| match expression {
        Expression::Verdict(verdict) => Some(verdict.clone()),
        _ => None,
    };
    let numbers = 1..=table.chain(chain).unwrap().rules.len() as u32;
    numbers.map(|number| rule(table, chain, number).expressions.iter().find_map(verdict)).collect()
}

#[test]
fn reading_makes_no_table() {
    let netns = Namespace::new();
    let names = || {
        ["ip_tables_names", "ip6_tables_names", "arp_tables_names"]
            .map(|file| netns.words(&format!("cat /proc/thread-self/net/{file}")))
    };
    assert_eq!(names(), ["", "", ""], "a new namespace has none");
    assert_eq!(read(&netns), []);
    assert_eq!(names(), ["", "", ""], "and still has none");
    netns.words("iptables-legacy -t raw -S");
    assert_eq!(read(&netns).len(), 1);
    assert_eq!(names(), ["raw\n", "", ""], "nothing beside what another has made");
}

#[test]
fn built_in_chains_stand_where_the_kernel_hooks_them() {
    let netns = Namespace::new();
    for (tool, table) in ["iptables", "ip6tables"].iter().flat_map(|tool| TABLES.map(|table| (tool, table))) {
        netns.words(&format!("{tool}-legacy -t {table} -S"));
    }
    netns.words("iptables-legacy -P FORWARD DROP");
    let tables = read(&netns);
    let found: Vec<_> = tables.iter().map(|table| (table.backend, table.family, table.name.as_str())).collect();
    let wanted: Vec<_> = [Family::Ip, Family::Ip6]
        .into_iter()
        .flat_map(|family| TABLES.map(|name| (Backend::Legacy, family, name)))
        .collect();
    assert_eq!(found, wanted);
    let bases = |table: &Table| -> Vec<_> {
        let chains = table.chains.iter();
        chains.map(|chain| chain.base.clone().map(|base| (base.hook, base.priority, base.kind)).unwrap()).collect()
    };
    let (filter, nat) = (ChainKind::Filter, ChainKind::Nat);
    assert_eq!(bases(&tables[0]), [(Hook::Prerouting, -300, filter), (Hook::Output, -300, filter)]);
    assert_eq!(
        bases(&tables[2]),
        [
            (Hook::Prerouting, -100, nat),
            (Hook::Input, 100, nat),
            (Hook::Output, -100, nat),
            (Hook::Postrouting, 100, nat)
        ]
    );
    assert_eq!(bases(&tables[1]).len(), 5);
    assert_eq!(bases(&tables[9]), [(Hook::Input, 50, filter), (Hook::Forward, 50, filter), (Hook::Output, 50, filter)]);
    let policy = |chain: &str| tables[3].chain(chain).unwrap().base.as_ref().unwrap().policy;
    assert_eq!((policy("INPUT"), policy("FORWARD")), (Policy::Accept, Policy::Drop));
}

#[test]
fn rules_jump_where_iptables_says_and_tails_are_no_rules() {
    let netns = Namespace::new();
    netns.run_with(
        "iptables-legacy-restore -c",
        "*filter\n:INPUT DROP [7:700]\n:a - [0:0]\n:empty - [0:0]\n:ERROR - [0:0]\n\
         [3:180] -A INPUT -j a\n-A INPUT -g a\n-A INPUT\n-A INPUT -j ACCEPT\n-A INPUT -j QUEUE\n\
         -A a -j RETURN\n-A a -m comment --comment first -m comment --comment second -j empty\n-A a -j ERROR\n\
         -A a -j RETURN\n-A ERROR -j DROP\nCOMMIT\n",
    );
    let tables = read(&netns);
    let [table] = tables.as_slice() else { panic!("{tables:?}") };
    let chain = |name: &str| name.to_owned();
    assert_eq!(
        verdicts(table, "INPUT"),
        [
            Some(Verdict::Jump(chain("a"))),
            Some(Verdict::Goto(chain("a"))),
            None,
            Some(Verdict::Accept),
            Some(Verdict::Queue(0))
        ]
    );
    assert_eq!(
        verdicts(table, "a"),
        [
            Some(Verdict::Return),
            Some(Verdict::Jump(chain("empty"))),
            Some(Verdict::Jump(chain("ERROR"))),
            Some(Verdict::Return)
        ],
        "the last RETURN but one is the user's own"
    );
    assert_eq!(verdicts(table, "empty"), []);
    assert_eq!(verdicts(table, "ERROR"), [Some(Verdict::Drop)]);
    assert_eq!(table.chain("INPUT").unwrap().base.as_ref().unwrap().counter, Some(Counter { packets: 7, bytes: 700 }));
    assert_eq!(rule(table, "INPUT", 1).counter, Some(Counter { packets: 3, bytes: 180 }));
    assert_eq!(rule(table, "a", 2).comment.as_deref(), Some("first"));
}

#[test]
fn a_counter_is_read_again_as_long_as_the_rule_is_the_same() {
    let netns = Namespace::new();
    netns.words("ip link set lo up");
    netns.words("iptables-legacy -N user");
    netns.words("iptables-legacy -A INPUT -p icmp -j user");
    let table = read(&netns).remove(0);
    let again = |chain: &str, number| netns.inside(|| legacy::reread(&table, chain, number).unwrap());
    assert_eq!(again("INPUT", 1), Some(Counter::default()));
    netns.words("ping -c 1 127.0.0.1");
    assert_eq!(again("INPUT", 1), Some(Counter { packets: 2, bytes: 168 }), "a request and its answer, 84 bytes each");
    assert_eq!(again("INPUT", 0), Some(Counter { packets: 2, bytes: 168 }), "the policy");
    netns.words("iptables-legacy -N other");
    netns.words("iptables-legacy -A OUTPUT -j ACCEPT");
    assert_eq!(again("INPUT", 1).unwrap().packets, 2, "other rules have moved it in the table");
    netns.words("iptables-legacy -I INPUT -p udp -j user");
    assert_eq!(again("INPUT", 1), None, "another rule has its number");
    assert_eq!(again("INPUT", 3), None);
}

#[test]
fn without_the_capability_one_sentence_says_which() {
    let netns = Namespace::new();
    netns.words("iptables-legacy -S");
    let (tables, gaps) = netns.inside(|| {
        drop_net_admin();
        legacy::read()
    });
    assert_eq!(tables, []);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert!(gaps[0].contains("CAP_NET_ADMIN") && gaps[0].contains("iptables"), "{gaps:?}");
}

/// Gives up CAP_NET_ADMIN for the calling thread.
fn drop_net_admin() {
    const CAP_NET_ADMIN: u32 = 12;
    let header = [0x2008_0522_u32, 0];
    let mut sets = [0_u32; 6];
    // SAFETY: header and sets are what `capget` and `capset` of version 3 take, and outlive the calls.
    unsafe {
        assert_eq!(libc::syscall(libc::SYS_capget, header.as_ptr(), sets.as_mut_ptr()), 0);
        sets[0] &= !(1 << CAP_NET_ADMIN);
        assert_eq!(libc::syscall(libc::SYS_capset, header.as_ptr(), sets.as_ptr()), 0);
    }
}

#[test]
fn a_hundred_thousand_rules_are_read_at_once() {
    let netns = Namespace::new();
    let rule = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        format!("-A KUBE-SVC -d 10.{a}.{b}.{c}/32 -p tcp -m tcp --dport 80 -m comment --comment ns/svc -j DROP\n")
    };
    let rules: String = (0..100_000).map(rule).collect();
    let input = format!("*filter\n:INPUT ACCEPT [0:0]\n:KUBE-SVC - [0:0]\n{rules}COMMIT\n");
    netns.run_with("iptables-legacy-restore", &input);
    let (tables, took) = netns.inside(|| {
        let start = Instant::now();
        let (tables, _) = legacy::read();
        (tables, start.elapsed())
    });
    assert_eq!(tables[0].chain("KUBE-SVC").unwrap().rules.len(), 100_000);
    println!("100,000 rules read in {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}, in a build without optimisation");
}

#[test]
fn a_table_that_changes_while_it_is_read_is_read_whole() {
    let netns = Namespace::new();
    let write = |count: usize| {
        let rules = "-A INPUT -j ACCEPT\n".repeat(count);
        netns.run_with("iptables-legacy-restore", &format!("*filter\n{rules}COMMIT\n"));
    };
    write(10);
    let is_done = AtomicBool::new(false);
    let counts: Vec<usize> = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut counts = Vec::new();
            while !is_done.load(Ordering::Relaxed) {
                // A table that never holds still is a gap, which would fail here.
                counts.extend(read(&netns).first().map(|table| table.chain("INPUT").unwrap().rules.len()));
            }
            counts
        });
        (0..60).for_each(|round| write(if round % 2 == 0 { 3_000 } else { 10 }));
        is_done.store(true, Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(counts.contains(&10) && counts.contains(&3_000), "both were seen");
    assert!(counts.iter().all(|count| matches!(count, 10 | 3_000)), "{counts:?}");
}
