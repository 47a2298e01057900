//! Sets of ipset, compared with what the kernel says of them: `ipset list` and `ipset test`, and rules with real packets.
//!
//! Needs root, `ipset` and `iptables-legacy`; uses only network namespaces that it makes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![expect(clippy::format_push_string, clippy::format_collect, reason = "commands read best as they are written")]

#[path = "ipset/elements.rs"]
mod elements;
mod namespace;

use std::collections::HashMap;
use std::net::{Ipv4Addr, UdpSocket};

use elements::{Elements, device, packet};
use namespace::{Namespace, Random, is_root};
use tracer_netfilter::Truth;
use tracer_netfilter::ipset::{self, IpSet, IpSetError, Options};
use tracer_netfilter::packet::Known;

/// Type, options of `create`, parts, IPv6, whether members may have `nomatch`.
type Case = (&'static str, &'static str, &'static [&'static str], bool, bool);

const CASES: [Case; 22] = [
    ("bitmap:ip", "range 10.0.0.0/16", &["ip"], false, false),
    ("bitmap:ip", "range 10.0.0.0/14 netmask 30", &["ip"], false, false),
    ("bitmap:ip,mac", "range 10.0.0.0/16", &["ip", "mac"], false, false),
    ("bitmap:port", "range 1-9", &["bare"], false, false),
    ("hash:ip", "", &["ip"], false, false),
    ("hash:ip", "netmask 23", &["ip"], false, false),
    ("hash:ip", "family inet6", &["ip"], true, false),
    ("hash:ip", "family inet6 netmask 38", &["ip"], true, false),
    ("hash:net", "", &["net"], false, true),
    ("hash:net", "family inet6", &["net"], true, true),
    ("hash:ip,port", "", &["ip", "port"], false, false),
    ("hash:ip,port", "family inet6", &["ip", "port"], true, false),
    ("hash:ip,port,ip", "", &["ip", "port", "ip"], false, false),
    ("hash:ip,port,net", "", &["ip", "port", "net"], false, true),
    ("hash:ip,port,net", "family inet6", &["ip", "port", "net"], true, true),
    ("hash:net,port", "", &["net", "port"], false, true),
    ("hash:net,port", "family inet6", &["net", "port"], true, true),
    ("hash:net,iface", "", &["net", "iface"], false, true),
    ("hash:net,iface", "family inet6", &["net", "iface"], true, true),
    ("hash:net,net", "", &["net", "net"], false, true),
    ("hash:net,port,net", "", &["net", "port", "net"], false, true),
    ("hash:ip,mac", "", &["ip", "mac"], false, false),
];

/// Runs ipset commands, each on its own; what it prints of `test` comes back as element and answer.
fn ask(namespace: &Namespace, commands: &str) -> HashMap<String, bool> {
    let printed = namespace.feed("ipset -", commands);
    let answers = printed.lines().filter_map(|line| {
        let line = line.trim_start_matches("ipset> ").trim_start_matches("Warning: ");
        let (element, rest) = line.split_once(" is ")?;
        Some((element.to_owned(), rest.starts_with("in set")))
    });
    answers.collect()
}

fn compare(namespace: &Namespace, random: &mut Random, case: Case) -> Option<(usize, usize)> {
    let (kind, options, parts, is_ipv6, may_except) = case;
    if !namespace.succeeds(&format!("ipset create s {kind} {options}")) {
        return None;
    }
    let mut elements = Elements { random, is_ipv6, parts: parts.to_vec() };
    let mut commands = String::new();
    // Few where each stands for many addresses.
    for _ in 0..if options.contains("netmask") || kind == "bitmap:port" { 4 } else { 120 } {
        let member = elements.member();
        let nomatch = if may_except && elements.random.below(3) == 0 { " nomatch" } else { "" };
        commands += &format!("add -! s {member}{nomatch}\n");
    }
    if kind == "bitmap:ip,mac" {
        commands += "add -! s 10.0.1.1\nadd -! s 10.0.2.2\nadd -! s 10.0.3.3\n";
    }
    // Goes on after members that the type refuses.
    namespace.feed("ipset -", &commands);

    let set = namespace.inside(|| ipset::read("s").unwrap());
    let listed = namespace.run("ipset list s");
    let mut listed: Vec<_> = listed.lines().skip_while(|line| *line != "Members:").skip(1).collect();
    let mut printed: Vec<_> = set.members().iter().map(ToString::to_string).collect();
    listed.sort_unstable();
    printed.sort_unstable();
    assert_eq!(printed, listed, "{kind} {options}");

    let asked: Vec<_> = (0..600).map(|_| elements.asked()).collect();
    // Apart, because the answers leave "physdev:" out.
    let answers = [false, true].map(|is_physical| {
        let of_kind = asked.iter().filter(|(.., options)| options.is_physical == is_physical);
        ask(namespace, &of_kind.map(|(text, ..)| format!("test s {text}\n")).collect::<String>())
    });
    let mut inside = 0;
    for (text, packet, directions, options_of_match) in &asked {
        let answers = &answers[usize::from(options_of_match.is_physical)];
        let is_in = answers.get(&text.replace("physdev:", "")).unwrap_or_else(|| panic!("{kind}: no answer on {text}"));
        let found = set.find(packet, directions, *options_of_match);
        assert_eq!(found.truth, Truth::from(*is_in), "{kind} {options}: {text} {directions:?} {set:#?}");
        inside += usize::from(*is_in);
    }
    namespace.run("ipset destroy s");
    Some((inside, asked.len()))
}

#[test]
fn lookups_answer_as_the_kernel_does() {
    let namespace = Namespace::new();
    let mut random = Random(0x5eed_1234_abcd_0001);
    for case in CASES {
        match compare(&namespace, &mut random, case) {
            None => eprintln!("this kernel has no {}", case.0),
            Some((inside, all)) => {
                eprintln!("{} {}: {inside} of {all} are in", case.0, case.1);
                assert!(inside > 10 && inside < all - 10, "{} {}: too one-sided to prove anything", case.0, case.1);
            }
        }
    }
}

#[test]
fn extensions_are_printed_as_ipset_does() {
    let namespace = Namespace::new();
    namespace.feed(
        "ipset restore",
        "create s hash:net timeout 0 counters comment skbinfo\n\
         add s 10.0.0.0/8 comment \"first, of all\" skbmark 0x10/0xff skbprio 1:10 skbqueue 3\n\
         add s 10.1.0.0/16 nomatch timeout 0 packets 7 bytes 4711\n\
         add s 10.1.2.3 skbmark 0x20\n\
         create t hash:ip,port\nadd t 1.2.3.4,icmp:echo-request\nadd t 1.2.3.4,icmp:11/1\nadd t 1.2.3.4,99:0\n\
         create u hash:ip,port family inet6\nadd u ::1,icmpv6:neighbour-solicitation\nadd u ::1,icmpv6:200/1\n\
         create l list:set comment\nadd l t\nadd l s comment \"the nets\"\n",
    );
    for name in ["s", "t", "u"] {
        let set = namespace.inside(|| ipset::read(name).unwrap());
        let listed = namespace.run(&format!("ipset list {name} | sed '1,/Members/d' | sort"));
        let mut printed: Vec<_> = set.members().iter().map(ToString::to_string).collect();
        printed.sort_unstable();
        assert_eq!(printed, listed.lines().collect::<Vec<_>>(), "set {name}");
    }
    let list = namespace.inside(|| ipset::read("l").unwrap());
    assert_eq!(list.sets().iter().map(|listed| listed.name.as_str()).collect::<Vec<_>>(), ["t", "s"]);
    assert_eq!(list.sets()[1].extensions.as_ref().unwrap().comment.as_deref(), Some("the nets"));
    assert_eq!(list.sets()[1].set.as_ref().unwrap().len(), 3);

    let source = "10.1.200.1".parse().unwrap();
    let excepted = packet(source, source, 6, (1, 2));
    assert_eq!(
        list.sets()[1].set.as_ref().unwrap().evidence(&excepted, &[true], Options::default()).unwrap(),
        "10.1.200.1 is not in set s (10.1.0.0/16 timeout 0 nomatch packets 7 bytes 4711)"
    );
    let held = packet("10.1.2.3".parse().unwrap(), source, 6, (1, 2));
    assert_eq!(
        list.evidence(&held, &[true, false], Options::default()).unwrap(),
        "10.1.2.3 is in set l by its member s (10.1.2.3 timeout 0 packets 0 bytes 0 skbmark 0x20)"
    );
}

#[test]
fn sets_are_found_by_index_and_missing_ones_are_told() {
    let namespace = Namespace::new();
    assert_eq!(namespace.inside(ipset::names), Ok(vec![]));
    namespace.run("ipset create one hash:ip");
    namespace.run("ipset create two hash:ip timeout 5");
    namespace.run("ipset add two 1.1.1.1 timeout 600");
    namespace.inside(|| {
        assert_eq!(ipset::names(), Ok(vec!["one".to_owned(), "two".to_owned()]));
        assert_eq!(ipset::by_index(1).as_deref(), Ok("two"));
        assert_eq!(ipset::by_index(9), Err(IpSetError::Gone));
        assert_eq!(ipset::read("three"), Err(IpSetError::Gone));
        let two = ipset::read("two").unwrap();
        assert_eq!((two.timeout, two.len(), two.index), (Some(5), 1, Some(1)));
        assert!(two.members()[0].extensions.as_ref().unwrap().timeout.is_some_and(|left| (590..=600).contains(&left)));
    });
}

#[test]
fn a_large_set_is_read_whole() {
    let namespace = Namespace::new();
    let mut commands = "create s hash:net maxelem 200000\n".to_owned();
    for number in 0..100_000u32 {
        commands += &format!("add s {}/32\n", Ipv4Addr::from_bits(0x0a00_0000 | number << 1));
    }
    namespace.feed("ipset restore", &commands);
    let started = std::time::Instant::now();
    let set = namespace.inside(|| ipset::read("s").unwrap());
    eprintln!("100,000 members in {:?}", started.elapsed());
    assert_eq!(set.len(), 100_000);
    let asked = |number: u32| {
        let address = Ipv4Addr::from_bits(0x0a00_0000 | number).into();
        set.test(&packet(address, address, 6, (1, 1)), &[true])
    };
    assert_eq!((asked(199_998), asked(199_999), asked(0)), (Truth::Yes, Truth::No, Truth::Yes));
}

/// Rules of one set each, and how a rule's directions and options are asked here.
fn rules() -> [(&'static str, &'static [bool], Options, &'static str); 9] {
    let plain = Options::default();
    let nomatch = Options { returns_nomatch: true, ..plain };
    [
        ("nets", &[true], plain, "--match-set nets src"),
        ("nets", &[false, false], plain, "--match-set nets dst,dst"),
        ("nets", &[false], nomatch, "--match-set nets dst --return-nomatch"),
        ("ports", &[false, true], plain, "--match-set ports dst,src"),
        ("ports", &[false], plain, "--match-set ports dst"),
        ("devices", &[false, false], plain, "--match-set devices dst,dst"),
        ("devices", &[false, true], plain, "--match-set devices dst,src"),
        ("all", &[false, true], plain, "--match-set all dst,src"),
        ("all", &[false], nomatch, "--match-set all dst --return-nomatch"),
    ]
}

#[test]
fn rules_match_real_packets_as_predicted() {
    let namespace = Namespace::new();
    namespace.run("ip link set lo up");
    namespace.run("ip addr add 10.0.0.0/8 dev lo");
    let mut random = Random(0x1ce_b00d);
    let mut members = "create nets hash:net\ncreate ports hash:ip,port\ncreate devices hash:net,iface\n".to_owned();
    let mut elements = Elements { random: &mut random, is_ipv6: false, parts: vec![] };
    for _ in 0..40 {
        let nomatch = if elements.random.below(2) == 0 { " nomatch" } else { "" };
        members += &format!("add nets {}{nomatch}\n", elements.net());
        members += &format!("add ports {},udp:{}\n", elements.address(), 5000 + elements.random.below(8));
        let wildcard = if elements.random.below(4) == 0 { "l wildcard" } else { "lo" };
        let physical = if elements.random.below(4) == 0 { "physdev:" } else { "" };
        members += &format!("add devices {},{physical}{wildcard}{nomatch}\n", elements.net());
    }
    members += "create all list:set\nadd all ports\nadd all nets\nadd all devices\n";
    namespace.feed("ipset -! restore", &members);
    for (.., rule) in rules() {
        namespace.run(&format!("iptables-legacy -A OUTPUT -p udp -m set {rule}"));
    }
    let sets: HashMap<&str, IpSet> = namespace.inside(|| {
        ["nets", "ports", "devices", "all"].map(|name| (name, ipset::read(name).unwrap())).into_iter().collect()
    });
    let mut before = [0u64; 9];
    let mut matched = [0; 9];
    for _ in 0..150 {
        let (source, destination) = (elements.address(), elements.address());
        let port = 5000 + elements.random.below(8) as u16;
        namespace.inside(|| {
            let socket = UdpSocket::bind((source, port)).unwrap();
            socket.send_to(b"x", (destination, 9)).unwrap();
        });
        let mut packet = packet(source, destination, 17, (port, 9));
        packet.output = device("lo");
        packet.input = Known::Absent;
        let listed = namespace.run("iptables-legacy -L OUTPUT -nvx | sed 1,2d");
        let counted = listed.lines().map(|line| line.split_whitespace().next().unwrap().parse::<u64>().unwrap());
        for (at, ((name, directions, options, rule), after)) in rules().into_iter().zip(counted).enumerate() {
            let truth = sets[name].find(&packet, directions, options).truth;
            assert_eq!(truth, Truth::from(after > before[at]), "{rule}: {source} to {destination}, port {port}");
            matched[at] += u32::from(after > before[at]);
            before[at] = after;
        }
    }
    eprintln!("matched of 150: {matched:?}");
    // Too few directions, and an input device on the way out: never.
    assert_eq!((matched[4], matched[6]), (0, 0));
    assert!([0, 1, 2, 3, 5, 7, 8].iter().all(|at| (1..150).contains(&matched[*at])));
}

#[test]
fn only_root_can_ask() {
    assert!(is_root() || ipset::names().is_err());
}
