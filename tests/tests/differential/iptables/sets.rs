//! Sets of ipset, the same for all rulesets of a family, and how rules ask for them.

use std::fmt::Write as _;

use tracer_tests::Family;

use crate::random::Random;
use crate::universe::{PORTS, any, network};

/// Name, type, and how a rule may name its dimensions.
const KINDS: [(&str, &str, usize); 8] = [
    ("ip", "hash:ip", 1),
    ("net", "hash:net", 1),
    ("ip-port", "hash:ip,port", 2),
    ("net-port", "hash:net,port", 2),
    ("ip-port-ip", "hash:ip,port,ip", 3),
    ("ip-port-net", "hash:ip,port,net", 3),
    ("net-iface", "hash:net,iface", 2),
    ("port", "bitmap:port range 0-65535", 1),
];

/// The text that `ipset restore` takes.
pub(crate) fn sets(random: &mut Random, family: Family) -> String {
    let inet = family.pick("inet", "inet6");
    let mut text = String::new();
    for (name, kind, _) in KINDS {
        let family = if name == "port" { String::new() } else { format!(" family {inet}") };
        let _ = writeln!(text, "create {name} {kind}{family}");
    }
    for (name, ..) in KINDS {
        for _ in 0..=random.below(5) {
            let member = member(random, family, name);
            let _ = writeln!(text, "add {name} {member} -exist");
        }
    }
    text += "create list list:set\nadd list ip\nadd list net\n";
    text
}

fn member(random: &mut Random, family: Family, name: &str) -> String {
    let address = any(random, family);
    let port = random.pick(&PORTS);
    let protocol = random.pick(&["tcp:", "udp:", "sctp:", ""]);
    let nomatch = if random.percent(30) { " nomatch" } else { "" };
    match name {
        "ip" => address.to_string(),
        "net" => format!("{}{nomatch}", network(random, family)),
        "ip-port" => format!("{address},{protocol}{port}"),
        "net-port" => format!("{},{protocol}{port}{nomatch}", network(random, family)),
        "ip-port-ip" => format!("{address},{protocol}{port},{}", any(random, family)),
        "ip-port-net" => format!("{address},{protocol}{port},{}{nomatch}", network(random, family)),
        "net-iface" => format!("{},{}{nomatch}", network(random, family), random.pick(&["r1", "r2"])),
        _ => port.to_string(),
    }
}

/// `NAME src,dst…` behind `--match-set`.
pub(super) fn matching(random: &mut Random, _family: Family) -> String {
    let at = random.below(KINDS.len() + 1);
    let (name, _, dimensions) = KINDS.get(at).copied().unwrap_or(("list", "", 1));
    let sides: Vec<_> = (0..dimensions).map(|_| *random.pick(&["src", "dst"])).collect();
    format!("{name} {}", sides.join(","))
}
