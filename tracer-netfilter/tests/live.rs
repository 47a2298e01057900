//! What addresses and routes are to a node, compared with what rules of the kernel say of real packets: `addrtype` and
//! `rpfilter` of iptables-legacy, `fib` of nft.
//!
//! Needs root, `ip`, `nft`, `iptables-legacy` and `ip6tables-legacy`; uses only network namespaces that it makes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[path = "live/frame.rs"]
mod frame;
mod namespace;

use std::net::IpAddr;

use frame::{Frame, Wire};
use namespace::Namespace;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::world::{RouteAnswer, RouteQuestion, World as _};
use tracer_netfilter::{Backend, Truth};

const UNICAST: u8 = 1;
const LOCAL: u8 = 2;
const MULTICAST: u8 = 5;
/// `RTN_` values and addrtype's names of them.
const TYPES: [(u8, &str); 8] = [
    (UNICAST, "UNICAST"),
    (LOCAL, "LOCAL"),
    (3, "BROADCAST"),
    (4, "ANYCAST"),
    (MULTICAST, "MULTICAST"),
    (6, "BLACKHOLE"),
    (7, "UNREACHABLE"),
    (8, "PROHIBIT"),
];

/// A node with two links, `wa` and `wb`, to a neighbour; the router for each is the neighbour.
fn node() -> (Namespace, Namespace) {
    let (node, neighbour) = (Namespace::new(), Namespace::new());
    node.run("ip link set lo up; sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv4.ip_forward=1");
    for (at, link) in ["wa", "wb"].into_iter().enumerate() {
        node.run(&format!("ip link add name {link} type veth peer name {link} netns {}", neighbour.name()));
        neighbour.run(&format!("ip link set {link} up"));
        node.run(&format!(
            "sysctl -qw net.ipv6.conf.{link}.accept_dad=0; ip addr add 10.{at}.0.1/24 dev {link}; \
             ip addr add fd0{at}::1/64 dev {link} nodad; ip link set {link} up"
        ));
    }
    node.run(
        "set -e
         ip addr add 10.0.0.5/32 dev wa; ip route add default via 10.0.0.254
         ip route add local 10.77.0.0/16 dev lo; ip route add broadcast 10.78.0.1 dev wb table local
         ip route add blackhole 10.79.0.0/16 table local
         ip route add 10.9.0.0/16 via 10.1.0.254; ip route add blackhole 10.8.0.0/16
         ip route add unreachable 10.7.0.0/16; ip route add prohibit 10.6.0.0/16; ip route add throw 10.5.0.0/16
         ip route add 10.4.0.0/16 nexthop via 10.1.0.254 nexthop via 10.0.0.254
         ip route add default via 10.1.0.254 table 100; ip route add 10.200.0.0/16 dev wb table 101
         ip route add throw 10.9.9.0/24 table 101; ip route add default via 10.1.0.254 table 101
         ip rule add fwmark 0x7/0xf table 100 pref 1000
         ip rule add from 192.168.5.0/24 to 10.203.0.0/16 prohibit pref 1100
         ip rule add from 192.168.5.0/24 to 10.204.0.0/16 goto 1400 pref 1150
         ip rule add from 192.168.5.0/24 table 101 pref 1200
         ip rule add from 192.168.6.0/24 table main suppress_prefixlength 0 pref 1300
         ip rule add from 192.168.6.0/24 table 101 pref 1310
         ip rule add not from 0.0.0.0/1 table 102 pref 1400; ip route add unreachable 10.205.0.0/16 table 102
         ip addr add fe80::1/64 dev wa nodad; ip -6 route add default via fd00::254 dev wa; ip -6 route add fd09::/16 via fd01::254 dev wb
         ip -6 route add blackhole fd08::/16; ip -6 route add unreachable fd07::/16
         ip -6 route add prohibit fd06::/16; ip -6 route add local fd77::/16 dev lo
         ip -6 route add default via fd01::254 dev wb table 100
         ip -6 rule add fwmark 7 table 100 pref 1000; ip -6 rule add from fdff::/16 table 100 pref 1100",
    );
    (node, neighbour)
}

/// A rule that counts, and what is predicted of it.
type Predict = Box<dyn Fn(&Live, &Frame) -> Truth + Send + Sync>;

fn truth<E: std::fmt::Debug>(answer: Result<bool, E>) -> Truth {
    Truth::from(answer.unwrap())
}

fn addrtype_rules(is_ipv6: bool) -> Vec<(String, Predict)> {
    let mut rules: Vec<(String, Predict)> = Vec::new();
    for (number, name) in TYPES {
        if is_ipv6 && !matches!(name, "LOCAL" | "ANYCAST" | "UNREACHABLE") {
            continue;
        }
        for is_limited in [false, true] {
            let limit = if is_limited { " --limit-iface-in" } else { "" };
            let predict = move |live: &Live, frame: &Frame| {
                let kind = live.address_kind(frame.source, if is_limited { frame.input } else { 0 });
                let is_of = |kind: u8| match (is_ipv6, name) {
                    (true, "UNREACHABLE") => matches!(kind, 6..=9),
                    _ => kind == number,
                };
                truth(kind.map(is_of))
            };
            rules.push((format!("-m addrtype --src-type {name}{limit}"), Box::new(predict)));
        }
    }
    rules
}

/// As `fib` and `rpfilter` ask: the way back.
fn back(frame: &Frame, mark: u32, output: u32) -> RouteQuestion {
    RouteQuestion { destination: frame.source, source: Some(frame.destination), mark, output, input: 0 }
}

fn is_link_local(frame: &Frame) -> bool {
    matches!(frame.source, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn legacy_rules(is_ipv6: bool) -> Vec<(String, Predict)> {
    let mut rules = addrtype_rules(is_ipv6);
    for is_loose in [false, true] {
        let option = if is_loose { " --loose" } else { "" };
        let predict = move |live: &Live, frame: &Frame| {
            let answer =
                live.route(&back(frame, 0, if is_loose && !is_link_local(frame) { 0 } else { frame.input })).unwrap();
            Truth::from(answer.kind == UNICAST && (is_loose || answer.output == frame.input))
        };
        rules.push((format!("-m rpfilter{option}"), Box::new(predict)));
    }
    rules
}

fn nft_rules(is_ipv6: bool, devices: [(&'static str, u32); 2]) -> Vec<(String, Predict)> {
    let mut rules: Vec<(String, Predict)> = Vec::new();
    let is_way = move |answer: RouteAnswer| {
        answer.kind == UNICAST || (!is_ipv6 && matches!(answer.kind, 3 | MULTICAST)) && answer.output != 0
    };
    for (name, device) in devices {
        for is_marked in [false, true] {
            let predict = move |live: &Live, frame: &Frame| {
                let mark = if is_marked { frame.mark } else { 0 };
                let answer =
                    live.route(&back(frame, mark, if is_link_local(frame) { frame.input } else { 0 })).unwrap();
                Truth::from(is_way(answer) && answer.output == device)
            };
            let key = if is_marked { "saddr . mark" } else { "saddr" };
            rules.push((format!("fib {key} oif \"{name}\""), Box::new(predict)));
        }
        let predict = move |live: &Live, frame: &Frame| {
            let question = RouteQuestion {
                destination: frame.destination,
                source: Some(frame.source),
                mark: 0,
                output: 0,
                input: 0,
            };
            let answer = live.route(&question).unwrap();
            Truth::from(is_way(answer) && answer.output == device)
        };
        rules.push((format!("fib daddr oif \"{name}\""), Box::new(predict)));
    }
    let predict = move |live: &Live, frame: &Frame| {
        let answer =
            live.route(&back(frame, 0, if is_ipv6 && !is_link_local(frame) { 0 } else { frame.input })).unwrap();
        Truth::from(is_way(answer) && answer.output == frame.input)
    };
    rules.push(("fib saddr . iif oif exists".into(), Box::new(predict)));
    for (number, name) in TYPES {
        let predict = move |live: &Live, frame: &Frame| {
            if is_link_local(frame) || frame.destination.to_string() == "fdff::9" {
                return Truth::unknown("fib heeds the input device, and policies of the other address");
            }
            truth(live.address_kind(frame.source, 0).map(|kind| kind == number))
        };
        rules.push((format!("fib saddr type {}", name.to_lowercase()), Box::new(predict)));
    }
    rules
}

/// How often each rule has matched: the legacy ones, then those of nft.
fn counters(node: &Namespace, is_ipv6: bool) -> Vec<u64> {
    let tables = if is_ipv6 { "ip6tables-legacy" } else { "iptables-legacy" };
    let legacy = node.run(&format!("{tables} -t raw -L PREROUTING -nvx | sed 1,2d"));
    let legacy = legacy.lines().map(|line| line.split_whitespace().next().unwrap().parse().unwrap());
    let nft = node.run("nft list chain inet t c");
    let counted = nft.lines().filter_map(|line| line.split_once("counter packets ")?.1.split(' ').next()?.parse().ok());
    legacy.chain(counted).collect()
}

fn compare(is_ipv6: bool, sources: &[&str], destinations: &[&str]) {
    let (node, neighbour) = node();
    let links = ["wa", "wb"].map(|link| (link, node.number(&format!("cat /sys/class/net/{link}/ifindex"))));
    let legacy = legacy_rules(is_ipv6);
    let tables = if is_ipv6 { "ip6tables-legacy" } else { "iptables-legacy" };
    for (rule, _) in &legacy {
        node.run(&format!("{tables} -t raw -A PREROUTING -p udp {rule}"));
    }
    let nft = nft_rules(is_ipv6, links);
    let expressions: String =
        nft.iter().flat_map(|(rule, _)| ["udp dport 4789 ", rule, " counter\n"].map(str::to_owned)).collect();
    let complaint = node.feed(
        "nft -f -",
        &format!(
            "table inet t {{\nchain m {{ type filter hook prerouting priority -310; udp sport 7 meta mark set 7; }}\n\
             chain c {{ type filter hook prerouting priority -290;\n{expressions} }}\n}}\n"
        ),
    );
    assert_eq!(complaint.trim(), "");
    let rules: Vec<_> = legacy.into_iter().chain(nft).collect();
    let mut before = counters(&node, is_ipv6);
    assert_eq!(before.len(), rules.len(), "every rule was taken");
    let mut matched = vec![0; rules.len()];
    let mut sent = 0;
    for (number, source) in sources.iter().enumerate() {
        for (at, destination) in destinations.iter().enumerate() {
            let (link, input) = links[(number + at) % 2];
            let mark = if (number + at) % 3 == 0 { 7 } else { 0 };
            let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
            let to = node.run(&format!("cat /sys/class/net/{link}/address"));
            let frame = Frame { source, destination, mark, input };
            neighbour.inside(|| Wire::open(link).send(&frame.bytes(to.trim())));
            let after = counters(&node, is_ipv6);
            let says: Vec<_> = node.inside(|| {
                let live = Live::new();
                rules.iter().map(|(_, predict)| predict(&live, &frame)).collect()
            });
            for (index, (rule, _)) in rules.iter().enumerate() {
                let is_match = after[index] > before[index];
                let is_open = matches!(says[index], Truth::Unknown(_));
                assert!(is_open || says[index] == Truth::from(is_match), "{rule}: {frame:?} from {link}");
                matched[index] += u32::from(is_match);
            }
            before = after;
            sent += 1;
        }
    }
    for ((rule, _), matched) in rules.iter().zip(matched) {
        eprintln!("{matched:3} of {sent}: {rule}");
    }
}

#[test]
fn addresses_and_routes_of_ipv4_are_as_rules_see_them() {
    let sources = [
        "10.0.0.1",
        "10.0.0.5",
        "10.0.0.77",
        "10.0.0.255",
        "10.0.0.0",
        "10.1.0.1",
        "10.1.0.9",
        "10.77.3.4",
        "10.78.0.1",
        "10.79.0.1",
        "10.9.1.1",
        "10.9.9.1",
        "10.8.1.1",
        "10.7.1.1",
        "10.6.1.1",
        "10.5.1.1",
        "10.4.1.1",
        "8.8.8.8",
        "10.200.1.1",
        "10.203.1.1",
        "10.204.1.1",
        "10.205.1.1",
        "224.0.0.5",
        "239.1.2.3",
        "0.1.2.3",
        "0.0.0.0",
        "255.255.255.255",
    ];
    compare(false, &sources, &["10.0.0.1", "192.168.5.9", "192.168.6.9", "8.8.4.4"]);
}

#[test]
fn addresses_and_routes_of_ipv6_are_as_rules_see_them() {
    let sources = [
        "fd00::1",
        "fd00::",
        "fd00::77",
        "fd01::1",
        "fd01::9",
        "fd77::5",
        "fd09::1",
        "fd08::1",
        "fd07::1",
        "fd06::1",
        "2001:db8::1",
        "fd01::254",
        "fe80::1",
        "fe80::77",
    ];
    compare(true, &sources, &["fd00::1", "fdff::9", "2001:db8::9"]);
}

#[test]
fn devices_are_read_with_what_rules_ask_of_them() {
    let node = Namespace::new();
    node.run("ip link add name br0 type bridge; ip link add name wp type veth peer name wq; ip link set wp master br0 group 7");
    let index = |name: &str| node.number(&format!("cat /sys/class/net/{name}/ifindex"));
    let (bridge, port) = (index("br0"), index("wp"));
    node.inside(|| {
        let live = Live::new();
        let device = live.device(port).unwrap();
        assert_eq!((device.index, device.name.as_str(), device.hardware), (port, "wp", Some(1)));
        assert_eq!((device.group, device.kind.as_deref(), device.master), (Some(7), Some("veth"), Some(bridge)));
        let loopback = live.device(1).unwrap();
        assert_eq!((loopback.hardware, loopback.kind.as_deref(), loopback.master), (Some(772), Some(""), Some(0)));
        let error = live.device(9999).unwrap_err();
        assert!(error.starts_with("the device with index 9999: ") && error.contains("No such device"), "{error}");
    });
}

#[test]
fn sets_and_elements_are_asked_for_once() {
    let node = Namespace::new();
    node.run("ipset create one hash:ip; ipset create two hash:net; ipset add two 10.0.0.0/8");
    node.run("nft 'table ip t { set s { type ipv4_addr; elements = { 1.2.3.4, 5.6.7.8 }; }; }'");
    node.run("iptables-legacy -A INPUT -j ACCEPT");
    node.inside(|| {
        let rules = live::ruleset();
        assert!(rules.gaps.is_empty(), "{:?}", rules.gaps);
        let backends: Vec<_> = rules.tables.iter().map(|table| table.backend).collect();
        assert_eq!(backends, [Backend::Nft, Backend::Legacy]);
        let live = Live::new();
        assert_eq!(live.ipset(1).unwrap().name, "two");
        assert_eq!(live.elements(&rules.tables[0], "s").unwrap().len(), 2);
        node.run("ipset destroy two; nft add element ip t s { 9.9.9.9 }");
        assert_eq!(live.ipset(1).unwrap().len(), 1, "as it was");
        assert_eq!(live.elements(&rules.tables[0], "s").unwrap().len(), 2, "as it was");
        let error = Live::new().ipset(1).unwrap_err();
        assert!(error.starts_with("the ipset with index 1: there is no such set"), "{error}");
    });
}
