//! Random rulesets for one packet: 10.77.0.1 > 10.77.0.2, UDP to port 5001.

pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of.get(self.below(of.len())).copied().unwrap_or_default()
    }
}

const CONDITIONS: &[&str] = &[
    "",
    "ip saddr 10.77.0.1",
    "ip saddr != 10.77.0.1",
    "ip daddr 10.77.0.0/24",
    "ip saddr 10.78.0.0/16",
    "ip saddr @bad",
    "ip saddr != @bad",
    "ip saddr { 10.77.0.0-10.77.0.9, 192.0.2.0/24 }",
    "ip saddr . udp dport { 10.77.0.1 . 5001, 10.77.0.1 . 5002 }",
    "ip saddr . udp dport @pairs",
    "udp dport 5001",
    "udp dport 5000-6000",
    "udp dport != 5001",
    "udp dport { 53, 123 }",
    "udp dport < 5001",
    "udp sport >= 20000",
    "udp length 12",
    "tcp dport 5001",
    "meta l4proto { tcp, udp }",
    "meta l4proto icmp",
    "ip ttl < 65",
    "ip ttl 63",
    "ip dscp 0",
    "ip frag-off & 0x1fff == 0",
    "ip length 32",
    "meta length > 40",
    "meta protocol ip",
    "@th,16,16 5001",
    "@th,64,32 0x64726f70",
    "@th,96,8 1",
    "@nh,64,8 & 0xf0 == 0x40",
    "meta mark 0",
    "meta mark 0x1",
    "meta mark and 0x3 == 0x2",
    "meta mark and 0x4 != 0",
    "meta mark { 0x1, 0x2, 0x10-0x20 }",
    "ct mark 0",
    "ct mark and 0x1 == 0x1",
    "ct state new",
    "ct state established,related",
    "ct state != invalid",
    "ct direction original",
    "ct original ip saddr 10.77.0.1",
    "ip protocol udp ct original proto-dst 5001",
    "ct status snat",
    "iifname \"wdin\"",
    "iifname \"wd*\"",
    "iifname != \"wdin\"",
    "iif 2",
    "oifname != \"x\"",
    "meta iifkind \"veth\"",
    "iiftype ether",
    "oiftype ether",
    "meta pkttype host",
    "meta pkttype { broadcast, multicast }",
    "meta skuid 0",
    "fib daddr type local",
    "fib saddr . iif oif exists",
    "fib saddr . iif oif missing",
    "limit rate 1000/second",
    "ip option lsrr exists",
];

const CHANGES: &[&str] = &[
    "meta mark set 0x1",
    "meta mark set meta mark or 0x2",
    "meta mark set meta mark and 0xfffffffe",
    "meta mark set meta mark xor 0x7",
    "meta mark set udp dport map { 5001 : 0x3, 5002 : 0x4 }",
    "meta mark set ip saddr map @marks",
    "ct mark set meta mark",
    "ct mark set 0x1",
    "meta mark set ct mark",
    "meta mark set ct mark or 0x4",
    "counter",
];

const VERDICTS: &[&str] = &["counter drop", "counter drop", "counter drop", "accept", "return", "jump", "goto", "vmap"];
const MAPS: &[&str] = &[
    "udp dport vmap { 5001 : VERDICT, 5002 : drop }",
    "ip saddr . udp dport vmap { 10.77.0.1 . 5001 : VERDICT }",
    "meta mark vmap { 0x0 : VERDICT, 0x1-0x4 : return }",
    "ct state vmap { new : VERDICT, established : accept }",
];
/// Chains that others jump to, only to later ones.
const CHAINS: usize = 3;

fn rule(random: &mut Random, chain: usize) -> String {
    let condition = random.pick(CONDITIONS);
    let more = if random.below(3) == 0 { random.pick(CONDITIONS) } else { "" };
    if random.below(3) == 0 {
        return format!("{condition} {more} {}", random.pick(CHANGES));
    }
    let target = chain + random.below(CHAINS + 1 - chain.min(CHAINS));
    let target = (target < CHAINS).then(|| format!("c{target}"));
    let verdict = match (random.pick(VERDICTS), target) {
        ("vmap", Some(target)) => {
            let verdict = if random.below(2) == 0 { format!("jump {target}") } else { format!("goto {target}") };
            random.pick(MAPS).replace("VERDICT", &verdict)
        }
        (jump @ ("jump" | "goto"), Some(target)) => format!("{jump} {target}"),
        ("jump" | "goto" | "vmap", None) => "accept".to_owned(),
        (verdict, _) => verdict.to_owned(),
    };
    format!("{condition} {more} {verdict}")
}

fn rules(random: &mut Random, chain: usize, count: usize) -> String {
    (0..count).map(|_| rule(random, chain)).collect::<Vec<_>>().join("\n")
}

/// A ruleset of two tables, with three base chains at the input hook.
pub(super) fn ruleset(random: &mut Random) -> String {
    let sets = "  set bad { type ipv4_addr; flags interval; elements = { 10.77.0.0/30, 203.0.113.0/24 }\n }\n  \
                set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.77.0.0/24 . 5000-5009 }\n }\n  \
                map marks { type ipv4_addr : mark; elements = { 10.77.0.1 : 0x2 }\n }\n";
    let mut text = Vec::new();
    for (table, bases) in [("ip one", &[-10, 10][..]), ("inet two", &[0])] {
        text.push(format!("table {table} {{\n{sets}"));
        for chain in (0..CHAINS).rev() {
            text.push(format!("  chain c{chain} {{\n{}\n  }}", rules(random, chain + 1, 3)));
        }
        for (index, priority) in bases.iter().enumerate() {
            let body = rules(random, 0, 6);
            text.push(format!("  chain base{index} {{\n type filter hook input priority {priority}\n{body}\n }}"));
        }
        text.push("}".to_owned());
    }
    text.join("\n") + "\n"
}
