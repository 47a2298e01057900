//! What there is to know an owner by: the rule, its comments, the chains that led to it, and the packet.

use crate::model::{Chain, Expression, Family, Place, Rule, Ruleset, Table, Verdict};
use crate::packet::Packet;
use crate::text::nft::{sh_word, stateless_rule};
use crate::walk::Candidate;

/// More rules than a chain of an owner has that is worth reading.
const MAX_RULES: u32 = 2000;

/// One rule or chain on the way.
#[derive(Clone, Debug)]
pub(super) struct Stop<'a> {
    pub(super) chain: &'a str,
    pub(super) comments: Vec<String>,
}

pub(super) struct Case<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) candidate: &'a Candidate,
    pub(super) packet: &'a Packet,
    pub(super) table: &'a Table,
    pub(super) chain: &'a Chain,
    /// `None`: the policy of the chain, or a rule that is not understood.
    pub(super) rule: Option<Rule>,
    /// Of the rule itself.
    pub(super) comments: Vec<String>,
    /// The jumps that led there, from the base chain on; the rule itself is last.
    pub(super) path: Vec<Stop<'a>>,
}

/// All comments of a rule; x_tables allows several.
fn comments(rule: &Rule) -> Vec<String> {
    let mut found: Vec<String> = rule.comment.iter().cloned().collect();
    for expression in &rule.expressions {
        if let Expression::Match(xt) = expression
            && let Some(text) = xt.text(Family::Ip).strip_prefix("-m comment --comment ")
        {
            let text = unquoted(text);
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

/// Undoes the quotes of `iptables -S`.
fn unquoted(text: &str) -> String {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.map_or_else(|| text.to_owned(), |inner| inner.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\"))
}

impl<'a> Case<'a> {
    pub(super) fn new(ruleset: &'a Ruleset, candidate: &'a Candidate, packet: &'a Packet) -> Option<Self> {
        let place = candidate.place;
        let (table, chain) = (ruleset.table(place)?, ruleset.chain(place)?);
        let rule = ruleset.rule(place).and_then(Result::ok);
        let path = candidate.path.iter().filter_map(|place| stop(ruleset, *place)).collect();
        let comments = rule.as_ref().map(comments).unwrap_or_default();
        Some(Self { ruleset, candidate, packet, table, chain, rule, comments, path })
    }

    pub(super) const fn is_policy(&self) -> bool {
        self.candidate.place.number == 0
    }

    /// The chain on the way that `is` holds for, the last first, as a noun phrase to name it by.
    pub(super) fn chain_on_path(&self, is: impl Fn(&str) -> bool) -> Option<&str> {
        let own = std::iter::once(self.chain.name.as_str());
        own.chain(self.path.iter().rev().map(|stop| stop.chain)).find(|name| is(name))
    }

    /// Whether the table has a chain with such a name.
    pub(super) fn table_has(&self, is: impl Fn(&str) -> bool) -> bool {
        self.table.chains.iter().any(|chain| is(&chain.name))
    }

    /// A comment of the rule, or of a jump on the way (the last first), that `read` makes something of.
    pub(super) fn comment<T>(&self, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let on_path = self.path.iter().rev().flat_map(|stop| stop.comments.iter());
        self.comments.iter().chain(on_path).find_map(|comment| read(comment))
    }

    /// Comments of the rules that set marks which decided.
    pub(super) fn marks(&self) -> impl Iterator<Item = Stop<'a>> + '_ {
        self.candidate.marks.iter().filter_map(|place| stop(self.ruleset, *place))
    }

    /// The rules of a chain, decoded, up to position `until` (not included).
    pub(super) fn rules(&self, chain: usize, until: u32) -> impl Iterator<Item = Rule> + '_ {
        let place = Place { table: self.candidate.place.table, chain, number: 0 };
        let rules = (1..until.min(MAX_RULES)).map_while(move |number| self.ruleset.rule(Place { number, ..place }));
        rules.filter_map(Result::ok)
    }

    /// Rules that jump to `chain`, in chains whose names start with `prefix`: not all 100,000 of a table are looked at.
    pub(super) fn jumps_to(&self, chain: &str, prefix: &str) -> Vec<Stop<'a>> {
        let mut found = Vec::new();
        let chains = self.table.chains.iter().enumerate().filter(|(_, from)| from.name.starts_with(prefix));
        for (index, from) in chains {
            for rule in self.rules(index, u32::MAX) {
                if jump(&rule) == Some(chain) {
                    found.push(Stop { chain: &from.name, comments: comments(&rule) });
                }
            }
        }
        found
    }

    pub(super) fn comments_of(rule: &Rule) -> Vec<String> {
        comments(rule)
    }

    /// `tcp`, `udp`, …; `None` for what has no ports.
    pub(super) const fn protocol(&self) -> Option<&'static str> {
        match self.packet.protocol {
            Some(6) => Some("tcp"),
            Some(17) => Some("udp"),
            Some(33) => Some("dccp"),
            Some(132) => Some("sctp"),
            _ => None,
        }
    }

    /// `10250/tcp`.
    pub(super) fn port(&self) -> Option<String> {
        Some(format!("{}/{}", self.packet.destination_port?, self.protocol()?))
    }

    pub(super) fn source(&self) -> String {
        self.packet.source.map_or_else(|| "SOURCE".to_owned(), |address| address.to_string())
    }

    pub(super) fn destination(&self) -> String {
        self.packet.destination.map_or_else(|| "DESTINATION".to_owned(), |address| address.to_string())
    }

    pub(super) const fn is_ipv6(&self) -> bool {
        matches!(self.table.family, Family::Ip6) || self.packet.is_ipv6()
    }

    /// `iptables` or `ip6tables`.
    pub(super) const fn iptables(&self) -> &'static str {
        if self.is_ipv6() { "ip6tables" } else { "iptables" }
    }

    /// `-p tcp --dport 80` as iptables has it; the protocol alone, or nothing, where there is no port.
    pub(super) fn iptables_port(&self) -> String {
        match (self.protocol(), self.packet.destination_port) {
            (Some(protocol), Some(port)) => format!(" -p {protocol} --dport {port}"),
            (Some(protocol), None) => format!(" -p {protocol}"),
            _ => String::new(),
        }
    }

    /// Whether one of `words` stands in the rule's text, in the terms of iptables or of nft.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        let Some(rule) = &self.rule else { return false };
        let text = stateless_rule(self.table, self.chain, rule, &|_| None);
        words.iter().any(|word| text.contains(word))
    }

    /// Only packets that connection tracking can make nothing of.
    pub(super) fn is_about_invalid(&self) -> bool {
        self.says(&["INVALID", "ct state invalid"])
    }
}

fn stop(ruleset: &Ruleset, place: Place) -> Option<Stop<'_>> {
    let chain = ruleset.chain(place)?;
    let comments = ruleset.rule(place).and_then(Result::ok).as_ref().map(comments).unwrap_or_default();
    Some(Stop { chain: &chain.name, comments })
}

/// The chain that a rule jumps or goes to.
pub(super) fn jump(rule: &Rule) -> Option<&str> {
    rule.expressions.iter().find_map(|expression| match expression {
        Expression::Verdict(Verdict::Jump(chain) | Verdict::Goto(chain)) => Some(chain.as_str()),
        _ => None,
    })
}

/// `kubectl -n NAMESPACE VERB networkpolicy NAME`, or the same for another kind.
pub(super) fn kubectl(namespace: Option<&str>, what: &str, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("kubectl -n {} {what} {}", sh_word(namespace), sh_word(name)),
        None => format!("kubectl {what} {}", sh_word(name)),
    }
}

/// `ns/name` in two.
pub(super) fn namespaced(text: &str) -> Option<(&str, &str)> {
    text.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
}
