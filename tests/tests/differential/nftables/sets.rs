//! Named sets and maps of a table. Verdict maps count each element, so that a drop by one is seen.

use std::fmt::Write as _;

use tracer_tests::Family;

use crate::random::Random;
use crate::universe::{MARKS, PORTS, any, network, range};

pub(crate) struct Objects {
    family: Family,
    text: String,
    verdict_maps: usize,
}

impl Objects {
    pub(super) fn new(random: &mut Random, family: Family) -> Self {
        let kind = family.pick("ipv4_addr", "ipv6_addr");
        let mut text = String::new();
        let hosts = list(random, |random| any(random, family).to_string());
        let _ = writeln!(text, "set hosts {{ type {kind}; elements = {{ {hosts} }} }}");
        let networks =
            list(random, |random| if random.percent(70) { network(random, family) } else { range(random, family) });
        let _ =
            writeln!(text, "set networks {{ type {kind}; flags interval; auto-merge; elements = {{ {networks} }} }}");
        let ports = ports(random);
        let _ =
            writeln!(text, "set ports {{ type inet_service; flags interval; auto-merge; elements = {{ {ports} }} }}");
        let pairs = pairs(random, family).join(", ");
        let _ = writeln!(text, "set pairs {{ type {kind} . inet_service; flags interval; elements = {{ {pairs} }} }}");
        let triples = list(random, |random| {
            format!("{} . {} . {}", any(random, family), random.pick(&["tcp", "udp", "sctp"]), random.pick(&PORTS))
        });
        let _ = writeln!(text, "set triples {{ type {kind} . inet_proto . inet_service; elements = {{ {triples} }} }}");
        let _ = writeln!(text, "set seen {{ type {kind}; flags dynamic; size 1000; }}");
        let _ = writeln!(text, "map marks {{ type inet_service : mark; elements = {{ {} }} }}", marks(random));
        Self { family, text, verdict_maps: 0 }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A new map from an address, a port, or both to verdicts: how a rule asks it.
    pub(super) fn verdict_map(&mut self, random: &mut Random, later: &[String]) -> String {
        self.verdict_maps += 1;
        let (name, family) = (format!("verdicts{}", self.verdict_maps), self.family);
        let (kind, ip) = family.pick(("ipv4_addr", "ip"), ("ipv6_addr", "ip6"));
        let (types, key, keys) = match random.below(3) {
            0 => (
                "inet_service".to_owned(),
                "th dport".to_owned(),
                random.some(&PORTS, 4).iter().map(u32::to_string).collect(),
            ),
            1 => (kind.to_owned(), format!("{ip} saddr"), vec![network(random, family)]),
            _ => (format!("{kind} . inet_service"), format!("{ip} daddr . th dport"), pairs(random, family)),
        };
        let elements: Vec<String> =
            keys.iter().map(|key| format!("{key} counter : {}", verdict(random, later))).collect();
        let elements = elements.join(", ");
        let _ = writeln!(
            self.text,
            "map {name} {{ type {types} : verdict; flags interval; counter; elements = {{ {elements} }} }}"
        );
        format!("{key} vmap @{name}")
    }
}

fn verdict(random: &mut Random, later: &[String]) -> String {
    match random.below(6) {
        0 | 1 => "drop".to_owned(),
        2 | 3 if !later.is_empty() => format!("{} {}", random.pick(&["jump", "goto"]), random.pick(later)),
        4 => "accept".to_owned(),
        5 => "return".to_owned(),
        _ => "continue".to_owned(),
    }
}

/// One to four of what is made, each once.
fn list(random: &mut Random, make: impl Fn(&mut Random) -> String) -> String {
    let mut all: Vec<_> = (0..=random.below(4)).map(|_| make(random)).collect();
    all.sort();
    all.dedup();
    all.join(", ")
}

pub(super) fn ports(random: &mut Random) -> String {
    let mut all: Vec<_> = random.some(&PORTS, 4).iter().map(u32::to_string).collect();
    if random.percent(40) {
        all.push("2000-9000".to_owned());
        all.retain(|port| port != "8080");
    }
    all.join(", ")
}

/// Addresses or networks with ports or ranges: no two hold the same port.
fn pairs(random: &mut Random, family: Family) -> Vec<String> {
    let ports = random.some(&["22", "53-80", "443", "1000-10000", "10250"], 3);
    let all = ports.iter().map(|port| {
        let address = if random.percent(50) { network(random, family) } else { any(random, family).to_string() };
        format!("{address} . {port}")
    });
    all.collect()
}

pub(super) fn marks(random: &mut Random) -> String {
    let all = random.some(&PORTS, 5);
    all.iter().map(|port| format!("{port} : {:#x}", random.pick(&MARKS))).collect::<Vec<_>>().join(", ")
}
