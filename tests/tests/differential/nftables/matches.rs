//! What rules of nft ask: each function one match, with values that packets are likely to have.

use tracer_netfilter::model::Hook;
use tracer_tests::Family;

use super::Site;
use super::sets::ports;
use crate::random::Random;
use crate::universe::{DSCPS, HOPS, MACS, MARKS, MASKS, PORTS, any, network, range};

/// None to three matches, each with a space behind it.
pub(super) fn some(random: &mut Random, site: Site) -> String {
    let mut asked = String::new();
    // One rule asks for one transport: nft refuses what can't be.
    let transport = *random.pick(&["tcp", "tcp", "udp", "sctp", "icmp", "th"]);
    for _ in 0..random.below(4) {
        asked += &one(random, site, transport);
        asked.push(' ');
    }
    asked
}

fn one(random: &mut Random, site: Site, transport: &str) -> String {
    let family = site.style.family;
    if site.style.is_unsure && random.percent(20) {
        return unsure(random, site);
    }
    // 0 to 2, and whatever does not fit the site: an address.
    match random.below(20) {
        3..=5 if transport != "icmp" => port(random, transport),
        6 => concatenation(random, family),
        7 | 8 => mark(random),
        9 => device(random, site),
        10 | 11 if site.is_tracked => connection(random, family),
        3 | 5 | 12 if transport == "tcp" => tcp(random),
        13 => network_header(random, family),
        14 if transport == "th" => protocol(random, family),
        4 | 12 | 15 => other_transport(random, family, transport),
        16 => about(random, site),
        17 => raw(random, family),
        18 if site.table != "netdev" => route(random, site),
        19 if family == Family::V6 => extension(random),
        _ => address(random, family),
    }
}

/// `!= ` in one of four.
fn unless(random: &mut Random) -> &'static str {
    if random.percent(25) { "!= " } else { "" }
}

/// One of the operators that both sides of a number know.
fn operator(random: &mut Random) -> &'static str {
    const ALL: [&str; 6] = ["", "!= ", "< ", "> ", "<= ", ">= "];
    ALL[random.below(ALL.len())]
}

fn address(random: &mut Random, family: Family) -> String {
    let (ip, side, not) = (family.pick("ip", "ip6"), random.pick(&["saddr", "daddr"]), unless(random));
    match random.below(7) {
        0 => format!("{ip} {side} {not}{}", any(random, family)),
        1 | 2 => format!("{ip} {side} {not}{}", network(random, family)),
        3 => format!("{ip} {side} {not}{}", range(random, family)),
        4 => format!("{ip} {side} {not}@{}", random.pick(&["hosts", "networks"])),
        5 => {
            let (one, other) =
                family.pick(("10.99.1.0/24", "10.99.2.2-10.99.2.3"), ("fd99:1::/64", "fd99:2::2-fd99:2::3"));
            format!("{ip} {side} {not}{{ {one}, {other} }}")
        }
        _ => family
            .pick(format!("ip {side} & 255.255.0.3 == 10.99.0.2"), format!("ip6 {side} & ffff:ffff::3 == fd99:1::2")),
    }
}

fn port(random: &mut Random, header: &str) -> String {
    let (side, not) = (random.pick(&["sport", "dport"]), unless(random));
    let (first, last) = random.ordered(&PORTS);
    match random.below(6) {
        0 | 1 => format!("{header} {side} {not}{first}"),
        2 if first < last => format!("{header} {side} {not}{first}-{last}"),
        3 => format!("{header} {side} {not}{{ {} }}", ports(random)),
        4 => format!("{header} {side} {not}@ports"),
        _ => format!("{header} {side} {}{first}", operator(random)),
    }
}

fn concatenation(random: &mut Random, family: Family) -> String {
    let (ip, not) = (family.pick("ip", "ip6"), unless(random));
    match random.below(4) {
        0 => format!("{ip} {} . th dport {not}@pairs", random.pick(&["saddr", "daddr"])),
        1 => format!("{ip} {} . meta l4proto . th dport {not}@triples", random.pick(&["saddr", "daddr"])),
        2 => format!("meta l4proto . th dport {not}{{ tcp . 22, udp . 53, tcp . 8080, sctp . 80 }}"),
        _ => format!(
            "{ip} saddr . {ip} daddr {not}{{ {} . {}, {} . {} }}",
            family.pick("10.99.1.2", "fd99:1::2"),
            family.pick("10.99.2.0/24", "fd99:2::/64"),
            family.pick("10.99.1.3-10.99.1.80", "fd99:1::3-fd99:1::80"),
            family.pick("10.99.2.2-10.99.2.3", "fd99:2::2-fd99:2::3"),
        ),
    }
}

fn mark(random: &mut Random) -> String {
    let (value, mask) = (random.pick(&MARKS), random.pick(&MASKS));
    match random.below(5) {
        0 => format!("meta mark {}{value:#x}", unless(random)),
        1 => format!("meta mark and {mask:#x} {} {:#x}", random.pick(&["==", "!="]), value & mask),
        2 => "meta mark { 0x1, 0x10-0x20, 0x400 }".to_owned(),
        3 => format!("meta mark {}{value:#x}", random.pick(&["< ", "> "])),
        _ => "meta mark and 0x10 == 0x10".to_owned(),
    }
}

fn device(random: &mut Random, site: Site) -> String {
    let not = unless(random);
    let keys: &[&str] = match site.hook {
        Hook::Forward | Hook::Postrouting => &["iif", "oif"],
        Hook::Output => &["oif"],
        _ => &["iif"],
    };
    let key = random.pick(keys);
    match random.below(4) {
        0 => format!("{key}name {not}{}", random.pick(&["\"r1\"", "\"r2\"", "\"r*\"", "\"lo\""])),
        1 => format!("{key}name {not}{{ \"lo\", \"r2\" }}"),
        2 => format!("{key} {not}{}", random.pick(&["r1", "r2"])),
        _ => format!("{key}type {not}{}", random.pick(&["ether", "loopback"])),
    }
}

fn connection(random: &mut Random, family: Family) -> String {
    let not = unless(random);
    match random.below(8) {
        0..=2 => {
            let states = random.some(&["new", "invalid", "established", "related", "untracked"], 3);
            format!("ct state {not}{{ {} }}", states.join(", "))
        }
        3 => format!("ct state {not}{}", random.pick(&["new", "invalid", "established,related"])),
        4 => format!("ct direction {not}{}", random.pick(&["original", "reply"])),
        5 => format!("ct mark {not}{:#x}", random.pick(&MARKS)),
        6 => format!("ct original {} saddr {not}{}", family.pick("ip", "ip6"), network(random, family)),
        _ => format!("ct l3proto {}", random.pick(&["ipv4", "ipv6"])),
    }
}

fn tcp(random: &mut Random) -> String {
    match random.below(9) {
        0 => format!("tcp flags {}{}", unless(random), random.pick(&["syn", "ack", "rst"])),
        1 => format!("tcp flags & (syn|ack) {} syn", random.pick(&["==", "!="])),
        2 => format!("tcp flags & (fin|syn|rst|ack) == {}", random.pick(&["syn", "ack", "rst"])),
        3 => "tcp flags { syn, ack, syn|ack }".to_owned(),
        4 => format!(
            "tcp option {} {}",
            random.pick(&["maxseg", "window", "sack-perm", "timestamp"]),
            random.pick(&["exists", "missing"])
        ),
        5 => format!("tcp option maxseg size {}", random.pick(&["536", "1000-1500", "> 600", "!= 1460"])),
        6 => format!("tcp window {}4096", operator(random)),
        7 => format!("tcp doff {}6", operator(random)),
        _ => format!("tcp sequence {}1", unless(random)),
    }
}

fn network_header(random: &mut Random, family: Family) -> String {
    let operator = operator(random);
    let not = unless(random);
    let (hops, dscp) = (random.pick(&HOPS), random.pick(&DSCPS));
    match (family, random.below(7)) {
        (Family::V4, 0) => format!("ip ttl {operator}{hops}"),
        (Family::V4, 1) => format!("ip dscp {not}{dscp}"),
        (Family::V4, 2) => format!("ip length {}", random.pick(&["< 41", "40-100", "> 500", "!= 44"])),
        (Family::V4, 3) => format!("ip frag-off & 0x1fff {} 0", random.pick(&["==", "!="])),
        (Family::V4, 4) => format!("ip version {not}4"),
        (Family::V4, 5) => format!("ip hdrlength {operator}5"),
        (Family::V4, _) => format!("ip protocol {not}{{ tcp, icmp }}"),
        (Family::V6, 0 | 1) => format!("ip6 hoplimit {operator}{hops}"),
        (Family::V6, 2) => format!("ip6 dscp {not}{dscp}"),
        (Family::V6, 3) => format!("ip6 length {}", random.pick(&["< 41", "20-100", "> 500", "!= 24"])),
        (Family::V6, 4) => format!("ip6 version {not}6"),
        (Family::V6, _) => format!("ip6 nexthdr {not}{}", random.pick(&["tcp", "udp", "hopopt"])),
    }
}

fn protocol(random: &mut Random, family: Family) -> String {
    let not = unless(random);
    match random.below(3) {
        // Not 253: nft 1.0.6 can't list `meta l4proto 253 th sport @ports`.
        0 => format!("meta l4proto {not}{}", random.pick(&["tcp", "udp", "sctp"])),
        1 => format!("meta l4proto {not}{{ tcp, udp, {} }}", family.pick("icmp", "icmpv6")),
        _ => format!("meta protocol {not}{}", random.pick(&["ip", "ip6"])),
    }
}

fn other_transport(random: &mut Random, family: Family, transport: &str) -> String {
    let not = unless(random);
    match (transport, random.below(2)) {
        ("icmp", 0) => format!("{} code {not}0", family.pick("icmp", "icmpv6")),
        ("icmp", _) => family.pick(
            format!("icmp type {not}{}", random.pick(&["echo-request", "echo-reply", "timestamp-request"])),
            format!("icmpv6 type {not}{}", random.pick(&["echo-request", "echo-reply", "destination-unreachable"])),
        ),
        ("udp", _) => format!("udp length {}", random.pick(&["8", "> 24", "9-108", "!= 8"])),
        ("sctp", _) => format!("sctp vtag {not}9"),
        ("tcp", _) => tcp(random),
        _ => raw(random, family),
    }
}

/// What the stack knows of a packet.
fn about(random: &mut Random, site: Site) -> String {
    let not = unless(random);
    match random.below(6) {
        0 => format!("meta length {}", random.pick(&["< 61", "40-100", "> 500", "!= 44"])),
        1 => format!("meta pkttype {not}{}", random.pick(&["host", "broadcast", "multicast"])),
        2 if site.hook == Hook::Output => format!("meta skuid {not}{}", random.pick(&["0", "1000"])),
        3 if site.hook == Hook::Output => format!("meta skgid {not}0"),
        4 if site.table == "inet" => format!("meta nfproto {not}{}", random.pick(&["ipv4", "ipv6"])),
        5 if matches!(site.hook, Hook::Prerouting | Hook::Input | Hook::Forward | Hook::Ingress) => {
            format!("ether saddr {not}02:77:00:00:01:{:02x}", random.pick(&MACS))
        }
        _ => format!("meta length {not}60"),
    }
}

/// Bytes by their place.
fn raw(random: &mut Random, family: Family) -> String {
    match random.below(4) {
        0 => format!("@th,16,16 {}{}", unless(random), random.pick(&PORTS)),
        1 => format!("@nh,{},8 {}64", family.pick(64, 56), operator(random)),
        2 => format!("@th,0,8 & 0x0f == {}", random.pick(&[0, 8, 3])),
        _ => format!("@nh,{},4 {}", family.pick(0, 0), family.pick(4, 6)),
    }
}

fn route(random: &mut Random, site: Site) -> String {
    let not = unless(random);
    match random.below(3) {
        0 if site.hook == Hook::Prerouting => format!("fib saddr . iif oif {}", random.pick(&["missing", "exists"])),
        1 => format!("fib {} type {{ local, multicast }}", random.pick(&["saddr", "daddr"])),
        _ => format!(
            "fib {} type {not}{}",
            random.pick(&["saddr", "daddr"]),
            random.pick(&["local", "unicast", "broadcast"])
        ),
    }
}

fn extension(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("exthdr hbh {}", random.pick(&["exists", "missing"])),
        1 => format!("exthdr dst {}", random.pick(&["exists", "missing"])),
        2 => format!("exthdr frag {}", random.pick(&["exists", "missing"])),
        _ => "hbh nexthdr 60".to_owned(),
    }
}

/// What hangs on chance, on what was before, or on the clock.
fn unsure(random: &mut Random, site: Site) -> String {
    let ip = site.style.family.pick("ip", "ip6");
    let all = [
        "numgen random mod 2 0",
        "numgen inc mod 2 1",
        "limit rate 1/hour burst 2 packets",
        "limit rate over 1/hour burst 2 packets",
        "quota 300 bytes",
        "quota over 300 bytes",
        "meta hour \"00:00\"-\"12:00\"",
        "meta cpu 0",
        "sctp chunk init exists",
    ];
    match random.below(all.len() + 1) {
        at if at < all.len() => all[at].to_owned(),
        _ => format!("jhash {ip} saddr mod 2 seed 0x1 0"),
    }
}
