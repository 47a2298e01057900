//! Rules that lead to an address and port: those of a Service, of a published port, of whoever translates.
//!
//! Rule: a rule counts only if its text names the destination; what leads to its chain is followed for [`MOST_STEPS`]
//! steps, to the address and port that a client asks for. Rulesets are read only where a packet was refused, and kept
//! for as long as `Recent` keeps what is costly.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tracer_netfilter::live;
use tracer_netfilter::model::{RawRule, Ruleset, Table};
use tracer_netfilter::{Backend, Chain, Rule, text};

use crate::host::Netns;
use crate::node::Scene;
use crate::node::recent::Recent;

/// Jumps that are followed back from the rule that translates: endpoint, Service, all Services.
const MOST_STEPS: usize = 4;
/// Rules that are rendered at most in one search.
const MOST_RULES: usize = 256;

/// A rule that leads to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    /// What a client asks for to get there, as far as rules tell; the address may be missing.
    pub asked: Option<SocketAddr>,
    /// The port alone, where any address will do.
    pub port: Option<u16>,
    /// The line of the rule that translates.
    pub text: String,
    /// Shows it: `iptables -t nat -S CHAIN`, `nft list chain …`, `ipvsadm -Ln`.
    pub show: String,
    /// Its comment, or that of a rule on the way: kube-proxy names the Service there.
    pub comment: Option<String>,
}

/// Rulesets as they were read, by namespace.
#[derive(Debug, Default)]
pub(super) struct Cache(Recent<u32, Option<Arc<Ruleset>>>);

impl Cache {
    /// The first of these namespaces with a rule that leads there, and the rule.
    pub(super) fn find(
        &mut self,
        scene: &mut Scene<'_>,
        namespaces: &[&Netns],
        deadline: Instant,
        protocol: u8,
        destination: SocketAddr,
    ) -> Option<(u32, Lead)> {
        namespaces.iter().take_while(|_| Instant::now() < deadline).find_map(|netns| {
            let read = |scene: &mut Scene<'_>| scene.inside_of(netns, || Arc::new(live::ruleset())).ok();
            let ruleset = scene.recent(&mut self.0, "the rules that lead there", netns.inode, read).flatten()?;
            lead(&ruleset, protocol, destination).map(|lead| (netns.inode, lead))
        })
    }
}

fn lead(ruleset: &Ruleset, protocol: u8, destination: SocketAddr) -> Option<Lead> {
    let octets = match destination.ip() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut budget = MOST_RULES;
    for table in &ruleset.tables {
        for (index, chain) in table.chains.iter().enumerate() {
            for (number, raw) in (1..).zip(&chain.rules) {
                // Cheap, so that only what may be meant is decoded.
                if !contains(bytes(raw), &octets) {
                    continue;
                }
                budget = budget.checked_sub(1)?;
                let Some(rule) = decoded(ruleset, table, index, number) else { continue };
                let line = line(table, chain, &rule);
                if !translates_to(&line, protocol, destination) {
                    continue;
                }
                let mut lead =
                    Lead { asked: None, port: None, text: line.clone(), show: show(table, chain), comment: None };
                lead.comment = rule.comment.or_else(|| service_in(&chain.name));
                follow(ruleset, table, index, &line, destination, &mut lead, &mut budget);
                return Some(lead);
            }
        }
    }
    None
}

/// Goes back along jumps until a rule tells the address that clients ask for.
fn follow(
    ruleset: &Ruleset,
    table: &Table,
    chain: usize,
    line: &str,
    to: SocketAddr,
    lead: &mut Lead,
    budget: &mut usize,
) {
    let (mut target, mut line) = (chain, line.to_owned());
    for _ in 0..MOST_STEPS {
        let asked = asked_by(&line);
        lead.port = lead.port.or(asked.1);
        if let Some(address) = asked.0.filter(|address| *address != to.ip()) {
            lead.asked = Some(SocketAddr::new(address, asked.1.or(lead.port).unwrap_or(to.port())));
            return;
        }
        let Some((from, rule, above)) = jump_to(ruleset, table, target, budget) else { return };
        lead.comment = lead.comment.take().or(rule.comment);
        (target, line) = (from, above);
    }
}

/// The rule that jumps to a chain, its chain and its line; of several the first that asks for an address.
fn jump_to(ruleset: &Ruleset, table: &Table, target: usize, budget: &mut usize) -> Option<(usize, Rule, String)> {
    let name = &table.chains.get(target)?.name;
    let mut first = None;
    for (index, chain) in table.chains.iter().enumerate() {
        for (number, raw) in (1..).zip(&chain.rules) {
            let may = match raw {
                RawRule::Legacy { jump, .. } => *jump == Some(target),
                RawRule::Nft { attributes, .. } => contains(attributes, name.as_bytes()),
            };
            if !may {
                continue;
            }
            *budget = budget.checked_sub(1)?;
            let Some(rule) = decoded(ruleset, table, index, number) else { continue };
            let line = line(table, chain, &rule);
            if !line.split([' ', '"']).any(|word| word == name) {
                continue;
            }
            if asked_by(&line).0.is_some() {
                return Some((index, rule, line));
            }
            first.get_or_insert((index, rule, line));
        }
    }
    first
}

fn decoded(ruleset: &Ruleset, table: &Table, chain: usize, number: u32) -> Option<Rule> {
    let index = ruleset.tables.iter().position(|other| std::ptr::eq(other, table))?;
    ruleset.rule(tracer_netfilter::model::Place { table: index, chain, number })?.ok()
}

const fn bytes(raw: &RawRule) -> &[u8] {
    match raw {
        RawRule::Nft { attributes, .. } => attributes,
        RawRule::Legacy { entry, .. } => entry,
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    !wanted.is_empty() && bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn line(table: &Table, chain: &Chain, rule: &Rule) -> String {
    let no_names = |_| None;
    let speaks_iptables = table.backend == Backend::Legacy || text::iptables::is_iptables_nft(table);
    let exact = speaks_iptables.then(|| text::iptables::exact(table, chain, rule, &no_names)).flatten();
    exact.unwrap_or_else(|| text::nft::stateless_rule(table, chain, rule, &|_| None))
}

fn show(table: &Table, chain: &Chain) -> String {
    let word = text::nft::sh_word;
    if table.backend == Backend::Legacy || text::iptables::is_iptables_nft(table) {
        return format!("{} -t {} -S {}", text::iptables::tool(table), table.name, word(&chain.name));
    }
    format!("nft list chain {} {} {}", table.family.as_str(), word(&table.name), word(&chain.name))
}

/// Whether a rule's line translates destinations to this one, and not for another protocol.
fn translates_to(line: &str, protocol: u8, to: SocketAddr) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let other = if protocol == super::diag::TCP { "udp" } else { "tcp" };
    let is_other = words.windows(2).any(|pair| matches!(pair[0], "-p" | "l4proto" | "protocol") && pair[1] == other)
        || words.windows(2).any(|pair| pair == [other, "dport"]);
    let goal = words.windows(2).find_map(|pair| match pair {
        ["--to-destination", goal] => Some(*goal),
        ["to", goal] if words.contains(&"dnat") => Some(*goal),
        _ => None,
    });
    let Some(goal) = goal.filter(|_| !is_other) else { return false };
    let port = asked_by(line).1;
    match goal.parse::<SocketAddr>() {
        Ok(goal) => goal == to,
        // Without a port it stays as it is.
        Err(_) => goal.parse::<IpAddr>().is_ok_and(|goal| goal == to.ip() && port.is_none_or(|port| port == to.port())),
    }
}

/// The one address and port that a line asks for as a packet's destination.
fn asked_by(line: &str) -> (Option<IpAddr>, Option<u16>) {
    let words: Vec<&str> = line.split_whitespace().collect();
    let after = |names: &[&str]| {
        let at = words.iter().position(|word| names.contains(word))?;
        // `! -d …` and `daddr != …` ask for all others.
        let is_not = at.checked_sub(1).and_then(|before| words.get(before)) == Some(&"!");
        words.get(at + 1).copied().filter(|word| !is_not && *word != "!=")
    };
    let address = after(&["-d", "daddr"]).and_then(|word| {
        let (address, length) = word.split_once('/').unwrap_or((word, "host"));
        matches!(length, "host" | "32" | "128").then(|| address.parse().ok()).flatten()
    });
    (address, after(&["--dport", "dport"]).and_then(|word| word.parse().ok()))
}

/// kube-proxy's chains of nf_tables name the Service: `endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80`.
fn service_in(chain: &str) -> Option<String> {
    let mut parts = chain.strip_prefix("endpoint-")?.split_once('-')?.1.split("__").next()?.split('/');
    let (namespace, name, port) = (parts.next()?, parts.next()?, parts.nth(1).unwrap_or_default());
    Some(if port.is_empty() { format!("{namespace}/{name}") } else { format!("{namespace}/{name}:{port}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn lines_that_translate_to_an_address() {
        let tcp = |line: &str, goal: &str| translates_to(line, 6, to(goal));
        let iptables = "-A KUBE-SEP-X -p tcp -m comment --comment \"default/web:http\" -m tcp -j DNAT --to-destination";
        assert!(tcp(&format!("{iptables} 10.244.1.5:8080"), "10.244.1.5:8080"));
        assert!(!tcp(&format!("{iptables} 10.244.1.5:8080"), "10.244.1.5:80"));
        assert!(!tcp(&format!("{iptables} 10.244.1.5:8080"), "10.244.1.50:8080"));
        assert!(tcp("-A P -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to-destination 10.0.0.1", "10.0.0.1:443"));
        assert!(!tcp("-A P -d 10.96.0.1/32 -p tcp --dport 443 -j DNAT --to-destination 10.0.0.1", "10.0.0.1:80"));
        assert!(tcp("-A P -p tcp -j DNAT --to-destination [fd00::1]:80", "[fd00::1]:80"));
        assert!(!tcp("-A P -p udp -m udp --dport 53 -j DNAT --to-destination 10.0.0.1:53", "10.0.0.1:53"));
        assert!(tcp("meta l4proto tcp dnat to 10.180.0.1:80", "10.180.0.1:80"));
        assert!(tcp("ip daddr 10.96.0.1 tcp dport 443 dnat to 10.180.0.1:80", "10.180.0.1:80"));
        assert!(!tcp("ip daddr 10.0.0.1 tcp dport 443 drop", "10.0.0.1:443"));
    }

    #[test]
    fn what_a_line_asks_for() {
        let line = "-A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-X";
        assert_eq!(asked_by(line), (Some("10.96.0.1".parse().unwrap()), Some(443)));
        assert_eq!(asked_by("ip6 daddr fd96::1 tcp dport 443 jump x").0, "fd96::1".parse().ok());
        for other in ["-A X -d 10.0.0.0/8 -j Y", "-A X ! -d 10.0.0.1/32 -j Y", "ip daddr != 10.0.0.1 jump y", "-d", ""]
        {
            assert_eq!(asked_by(other), (None, None), "{other}");
        }
    }

    #[test]
    fn the_service_in_a_chains_name() {
        let name = "endpoint-5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80";
        assert_eq!(service_in(name).as_deref(), Some("ns1/svc1:p80"));
        assert_eq!(service_in("endpoint-5OJB2KTY-ns1/svc1/tcp/__10.180.0.1/80").as_deref(), Some("ns1/svc1"));
        assert_eq!(service_in("KUBE-SEP-X"), None);
    }
}
