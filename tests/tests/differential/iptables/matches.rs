//! What rules of iptables ask: each function one match, with values that packets are likely to have.

use tracer_tests::Family;

use super::{Group, sets};
use crate::random::Random;
use crate::style::Style;
use crate::universe::{DSCPS, HOPS, MACS, MARKS, MASKS, PORTS, network, range};

/// About two matches, each with a space before it; `is_narrow`: surely one.
pub(super) fn some(random: &mut Random, style: Style, group: Group, is_narrow: bool) -> String {
    let mut asked = String::new();
    if random.percent(60) {
        asked += &header(random, style, group);
    }
    if random.percent(50) || is_narrow && asked.is_empty() {
        asked += &protocol(random, style);
    }
    for _ in 0..random.below(3) {
        asked += &module(random, style, group);
    }
    if random.percent(10) {
        asked += " -m comment --comment \"what for: \\\"x\\\"\"";
    }
    asked
}

/// Addresses and devices.
fn header(random: &mut Random, style: Style, group: Group) -> String {
    let not = random.not();
    match random.below(6) {
        0 | 1 => format!(" {not}-s {}", network(random, style.family)),
        2 | 3 => format!(" {not}-d {}", network(random, style.family)),
        4 if group.has_input() => format!(" {not}-i {}", random.pick(&["r1", "r2", "r+", "lo"])),
        5 if group.has_output() => format!(" {not}-o {}", random.pick(&["r1", "r2", "r+", "lo"])),
        _ => String::new(),
    }
}

/// A protocol and what is asked of its header.
fn protocol(random: &mut Random, style: Style) -> String {
    match random.below(12) {
        0..=3 => format!(" -p tcp{}", tcp(random)),
        4..=6 => format!(" -p udp{}", ports(random, "udp")),
        7 => format!(" -p sctp{}", ports(random, "sctp")),
        8 | 9 => icmp(random, style.family),
        10 => format!(" {}-p {}", random.not(), random.pick(&["tcp", "udp", "sctp", "253"])),
        _ => format!(" -p {}{}", random.pick(&["tcp", "udp"]), multiport(random)),
    }
}

fn tcp(random: &mut Random) -> String {
    let not = random.not();
    match random.below(7) {
        0..=2 => ports(random, "tcp"),
        3 => format!(
            " -m tcp {not}--tcp-flags {}",
            random.pick(&["SYN,ACK SYN", "ALL SYN", "SYN,RST,ACK,FIN SYN", "FIN,PSH,URG ALL", "ACK ACK", "RST RST"])
        ),
        4 => format!(" -m tcp {not}--syn"),
        5 => format!(" -m tcp {not}--tcp-option {}", random.pick(&[2, 3, 4, 8])),
        _ => format!(" -m tcpmss {not}--mss {}", random.pick(&["536", "1460", "500:600", "0:1400"])),
    }
}

fn ports(random: &mut Random, module: &str) -> String {
    let (not, side) = (random.not(), random.pick(&["--sport", "--dport"]));
    let (first, last) = random.ordered(&PORTS);
    match random.below(3) {
        0 => format!(" -m {module} {not}{side} {first}:{last}"),
        1 => format!(" -m {module} {not}{side} {first}"),
        _ => format!(" -m {module} --sport 1:65535 {not}--dport {first}"),
    }
}

fn multiport(random: &mut Random) -> String {
    let (not, side) = (random.not(), random.pick(&["--sports", "--dports", "--ports"]));
    let mut list = random.some(&PORTS, 5).iter().map(u32::to_string).collect::<Vec<_>>();
    if random.percent(40) {
        list.push("2000:9000".to_owned());
    }
    format!(" -m multiport {not}{side} {}", list.join(","))
}

fn icmp(random: &mut Random, family: Family) -> String {
    let not = random.not();
    match family {
        Family::V4 => format!(" -p icmp -m icmp {not}--icmp-type {}", random.pick(&["8", "0", "13/0", "3", "any"])),
        Family::V6 => format!(" -p icmpv6 -m icmp6 {not}--icmpv6-type {}", random.pick(&["128", "129", "140/0", "1"])),
    }
}

/// A match that stands by itself.
fn module(random: &mut Random, style: Style, group: Group) -> String {
    let not = random.not();
    if style.is_unsure && random.percent(25) {
        return unsure(random);
    }
    match random.below(16) {
        0 | 1 => format!(" -m mark {not}--mark {:#x}/{:#x}", random.pick(&MARKS), random.pick(&MASKS)),
        2 if style.is_tracked && group.is_tracked() => connection(random),
        3 => {
            format!(" -m iprange {not}{} {}", random.pick(&["--src-range", "--dst-range"]), range(random, style.family))
        }
        4 => length(random),
        5 => hops(random, style.family),
        6 => dscp(random),
        7 => format!(" -m addrtype {not}{}", address_type(random, style.family, group)),
        8 if group.has_input() && group.table != "nat" => {
            format!(" -m mac {not}--mac-source 02:77:00:00:01:{:02x}", random.pick(&MACS))
        }
        9 => format!(" -m pkttype {not}--pkt-type {}", random.pick(&["unicast", "broadcast", "multicast"])),
        10 if group.chain == "PREROUTING" => format!(" -m rpfilter{}", random.pick(&["", " --loose", " --invert"])),
        11 if !group.has_input() => format!(
            " -m owner {not}{}",
            random.pick(&["--uid-owner 0", "--uid-owner 1000", "--gid-owner 0", "--socket-exists"])
        ),
        12 => format!(" -m set {not}--match-set {}", sets::matching(random, style.family)),
        13 => physical(random, group),
        14 => bytes(random, style.family),
        15 if style.family == Family::V6 => extension(random),
        _ => String::new(),
    }
}

fn connection(random: &mut Random) -> String {
    let not = random.not();
    match random.below(6) {
        0..=2 => {
            let states = random.some(&["NEW", "INVALID", "ESTABLISHED", "RELATED", "UNTRACKED"], 3).join(",");
            format!(" -m conntrack {not}--ctstate {states}")
        }
        3 => format!(" -m state {not}--state {}", random.pick(&["NEW", "INVALID", "ESTABLISHED,RELATED"])),
        4 => format!(" -m conntrack --ctdir {}", random.pick(&["ORIGINAL", "REPLY"])),
        _ => format!(" -m connmark {not}--mark {:#x}/{:#x}", random.pick(&MARKS), random.pick(&MASKS)),
    }
}

fn length(random: &mut Random) -> String {
    let not = random.not();
    format!(
        " -m length {not}--length {}",
        random.pick(&["0:40", "41:100", "60", "100:200", "500:65535", "0:60", "80:"])
    )
}

fn hops(random: &mut Random, family: Family) -> String {
    let (module, option) = family.pick(("ttl", "ttl"), ("hl", "hl"));
    let (side, value) = (*random.pick(&["eq", "lt", "gt"]), random.pick(&HOPS));
    let not = if side == "eq" { random.not() } else { "" };
    format!(" -m {module} {not}--{option}-{side} {value}")
}

fn dscp(random: &mut Random) -> String {
    let not = random.not();
    match random.below(2) {
        0 => format!(" -m dscp {not}--dscp {:#04x}", random.pick(&DSCPS)),
        _ => format!(
            " -m tos {not}--tos {:#04x}/{:#04x}",
            random.pick(&DSCPS) << 2,
            random.pick(&[0xff_u32, 0xfc, 0xe0])
        ),
    }
}

fn address_type(random: &mut Random, family: Family, group: Group) -> String {
    // IPv6 has no broadcast.
    let kinds = ["LOCAL", "UNICAST", "MULTICAST", family.pick("BROADCAST", "ANYCAST"), "LOCAL,UNICAST"];
    let kind = random.pick(&kinds);
    let limit = match random.below(4) {
        0 if group.has_input() => " --limit-iface-in",
        0 if matches!(group.chain, "OUTPUT" | "POSTROUTING") => " --limit-iface-out",
        _ => "",
    };
    format!("{} {kind}{limit}", random.pick(&["--src-type", "--dst-type"]))
}

/// No packet comes by a bridge here.
fn physical(random: &mut Random, group: Group) -> String {
    let not = random.not();
    match random.below(3) {
        0 if group.has_input() => format!(" -m physdev {not}--physdev-in r1"),
        1 => format!(" -m physdev {not}--physdev-is-bridged"),
        _ => format!(" -m physdev {not}--physdev-is-in"),
    }
}

/// What looks at plain bytes.
fn bytes(random: &mut Random, family: Family) -> String {
    let not = random.not();
    match random.below(2) {
        0 => family.pick(
            format!(" -m u32 {not}--u32 \"6&0xff={}\"", random.pick(&["6", "17", "1:17"])),
            format!(" -m u32 {not}--u32 \"3&0xff={}\"", random.pick(&["6", "17", "0:17"])),
        ),
        _ => format!(
            " -m string --algo {} {not}--string {}",
            random.pick(&["bm", "kmp"]),
            random.pick(&["whydrop", "nothing"])
        ),
    }
}

fn extension(random: &mut Random) -> String {
    let not = random.not();
    match random.below(5) {
        0 => format!(" -m ipv6header --soft {not}--header {}", random.pick(&["hop", "dst", "hop,dst", "frag"])),
        1 => format!(" -m hbh {not}--hbh-len {}", random.pick(&[8, 16])),
        2 => " -m hbh".to_owned(),
        3 => " -m dst".to_owned(),
        _ => " -m frag".to_owned(),
    }
}

/// What hangs on chance, on what was before, or on the clock.
fn unsure(random: &mut Random) -> String {
    let all = [
        " -m statistic --mode random --probability 0.5",
        " -m statistic --mode nth --every 2 --packet 0",
        " -m limit --limit 1/hour --limit-burst 2",
        " -m hashlimit --hashlimit-name a --hashlimit-above 1/hour --hashlimit-burst 2 --hashlimit-mode srcip",
        " -m recent --name b --rcheck",
        " -m quota --quota 300",
        " -m connlimit --connlimit-above 0",
        " -m time --datestart 2020-01-01 --datestop 2021-01-01",
        " -m cpu --cpu 0",
        // Longer than 60 bytes: ld len; jgt 60; ret 65535; ret 0.
        " -m bpf --bytecode \"4,128 0 0 0,37 0 1 60,6 0 0 65535,6 0 0 0\"",
    ];
    (*random.pick(&all)).to_owned()
}
