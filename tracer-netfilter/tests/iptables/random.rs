//! Many rules put together at random, for each of the tools.

use crate::text::assert_same;

/// Parts that go with any protocol and family.
const MATCHES: &[&str] = &[
    "-m mark --mark 0x400/0x400",
    "-m mark ! --mark 0x1",
    "-m comment --comment \"default/kubernetes:https cluster IP\"",
    "-m comment --comment \"cali:-_a9/ZK\"",
    "-m comment --comment plain",
    "-m conntrack --ctstate RELATED,ESTABLISHED",
    "-m conntrack ! --ctstate INVALID",
    "-m limit --limit 10/min",
    "-m limit --limit 3/sec --limit-burst 10",
    "-m addrtype --src-type LOCAL",
    "-m addrtype ! --dst-type LOCAL",
    "-m statistic --mode random --probability 0.33333333349",
    "-m pkttype --pkt-type multicast",
    "-m connmark --mark 0x8000/0x8000",
];

const PROTOCOLS: &[&str] = &[
    "",
    "-p tcp",
    "! -p tcp",
    "-p 47",
    "-p tcp --dport 443",
    "-p tcp ! --sport 1024:65535 --dport 22",
    "-p tcp --tcp-flags SYN,RST SYN",
    "-p tcp -m multiport --dports 80,443,8000:8080",
    "-p udp --dport 53",
    "-p udp ! --dport 1:9",
    "-p sctp --sport 7",
];

const TARGETS: &[&str] = &[
    "-j ACCEPT",
    "-j DROP",
    "-j RETURN",
    "-j u",
    "-g u",
    "",
    "-j REJECT",
    "-j LOG --log-prefix \"[UFW BLOCK] \"",
    "-j NFLOG --nflog-group 100 --nflog-prefix x",
    "-j MARK --set-xmark 0x4000/0x4000",
    "-j CONNMARK --restore-mark",
    "-j NFQUEUE --queue-num 7 --queue-bypass",
];

const IPV4: &[&str] = &["-s 10.0.0.0/8", "! -s 10.1.2.3", "-d 192.168.0.0/23", "! -d 169.254.169.254/32", "-f"];
const IPV6: &[&str] = &["-s fd00::/8", "! -s fd00::1", "-d 2001:db8::/33", "! -d fe80::/10"];
const DEVICES: &[&str] = &["-i eth0", "! -i lo", "-o cali+", "! -o docker0"];

/// xorshift, so that every run has the same rules.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// Nothing, as often as not.
    fn perhaps<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        if self.below(2) == 0 { self.one_of(choices) } else { "" }
    }
}

fn rules(count: usize, addresses: &[&str]) -> Vec<String> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut rule = || {
        let mut parts = vec![random.perhaps(addresses), random.perhaps(DEVICES), random.one_of(PROTOCOLS)];
        for _ in 0..random.below(3) {
            let one = random.one_of(MATCHES);
            // One of a kind; of comments there may be more.
            let kind = one.split(' ').nth(1).unwrap();
            if kind == "comment" || !parts.iter().any(|part| part.split(' ').nth(1) == Some(kind)) {
                parts.push(one);
            }
        }
        parts.push(random.one_of(TARGETS));
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("filter FORWARD {}", parts.join(" "))
    };
    (0..count).map(|_| rule()).filter(|rule| rule.contains(" -")).collect()
}

fn check(tool: &str, addresses: &[&str]) {
    let rules = rules(250, addresses);
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    assert_same(tool, &[&rules]);
}

#[test]
fn iptables_legacy() {
    check("iptables-legacy", IPV4);
}

#[test]
fn ip6tables_legacy() {
    check("ip6tables-legacy", IPV6);
}

#[test]
fn iptables_nft() {
    check("iptables-nft", IPV4);
}

#[test]
fn ip6tables_nft() {
    check("ip6tables-nft", IPV6);
}
