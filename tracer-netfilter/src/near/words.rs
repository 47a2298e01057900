//! What kept a rule from a packet, in one sentence.

use std::net::IpAddr;

use super::Asked;
use crate::evaluate::Failing;
use crate::model::{Expression, Family, Rule};
use crate::owner::PolicyDirection;
use crate::xt::Match;

/// What the rule wants and the packet has not.
pub(super) struct Wanted<'a> {
    asked: &'a Asked<'a>,
    rule: &'a Rule,
    /// The words for the peers in the rule's comment, one a set, in the order of the sets.
    peers: Vec<&'a str>,
    is_source: bool,
    protocol: Option<String>,
    ports: Option<String>,
    others: Vec<String>,
    /// Only another rule's mark is missing.
    is_about_marks: bool,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(asked: &'a Asked<'a>, rule: &'a Rule, direction: PolicyDirection) -> Self {
        let (is_source, before) = match direction {
            PolicyDirection::Ingress => (true, "ALLOW-FROM-"),
            PolicyDirection::Egress => (false, "ALLOW-TO-"),
        };
        let peers = rule.comment.as_deref().and_then(|comment| comment.strip_prefix(before));
        // `podlabel-app:front-AND-ns-shop-ON-UDP-TO-PORT-7777`, `podlabel-app:front-IN-ns-shop-ON-…`
        let named = |text: &'a str| text.split("-ON-").next().and_then(|text| text.split("-IN-ns-").next());
        let peers = peers.and_then(named).map(|text| text.split("-AND-").collect());
        Self {
            asked,
            rule,
            peers: peers.unwrap_or_default(),
            is_source,
            protocol: None,
            ports: None,
            others: Vec::new(),
            is_about_marks: false,
        }
    }

    pub(super) fn add(&mut self, failing: &Failing) {
        let Some(expression) = self.rule.expressions.get(failing.expression) else { return };
        match expression {
            Expression::Match(Match::Mark(_) | Match::ConnectionMark(_)) => self.is_about_marks = true,
            Expression::Match(found) => self.add_match(found, failing.expression),
            _ if failing.what.contains("mark") => self.is_about_marks = true,
            Expression::Lookup { .. } => self.add_lookup(failing),
            Expression::Compare { data, .. } => self.add_comparison(&failing.what, data),
            Expression::Range { from, to, .. } if failing.what.ends_with("dport") => {
                self.ports = port(from).zip(port(to)).map(|(from, to)| format!("{from}-{to}"));
            }
            _ => self.others.push(format!("{} is another one than the rule's", failing.what)),
        }
    }

    fn add_match(&mut self, found: &Match, at: usize) {
        let text = found.text(Family::Ip);
        if let Some(index) = found.set() {
            let set = self.asked.world.ipset(index).map_or_else(|_| format!("#{index}"), |set| set.name.clone());
            let is_source = text.contains(" src");
            let label = self.label(at, is_source).map(|label| format!(" ({label})")).unwrap_or_default();
            let is_in = if text.contains("! --match-set") { "is" } else { "is not" };
            self.others.push(format!("{} {is_in} in the set {set}{label}", self.end(is_source)));
        } else if let Some(ports) = after(&text, "--dport ").or_else(|| after(&text, "--dports ")) {
            self.ports = Some(ports.to_owned());
        } else if let (Match::Header(_), Some(protocol)) = (found, after(&text, "-p ").and_then(protocol_number))
            && Some(protocol) != self.asked.packet.protocol
        {
            self.protocol = Some(name(protocol));
        } else {
            self.others.push(format!("`{text}` does not hold"));
        }
    }

    /// What the comment calls the set of the match at this place.
    fn label(&self, at: usize, is_source: bool) -> Option<&'a str> {
        let own = |expression: &Expression| matches!(expression, Expression::Match(found @ Match::Set(_)) if found.text(Family::Ip).contains(" src") == is_source);
        let before = self.rule.expressions.iter().take(at).filter(|expression| own(expression)).count();
        let all = self.rule.expressions.iter().filter(|expression| own(expression)).count();
        (is_source == self.is_source && all == self.peers.len()).then(|| self.peers.get(before).copied()).flatten()
    }

    fn add_lookup(&mut self, failing: &Failing) {
        let end = match failing.what.as_str() {
            what if what.ends_with("saddr") => "the source ",
            what if what.ends_with("daddr") => "the destination ",
            what if what.ends_with("dport") && failing.sentence.is_none() => {
                self.ports = Some("another port".to_owned());
                return;
            }
            _ => "",
        };
        match &failing.sentence {
            Some(sentence) => self.others.push(format!("{end}{}", sentence.replace(" in set ", " in the set "))),
            None => self.others.push(format!("{} is not in the rule's set", failing.what)),
        }
    }

    fn add_comparison(&mut self, what: &str, data: &[u8]) {
        match (what, data) {
            (what, [_, _]) if what.ends_with("dport") => self.ports = port(data).map(|port| port.to_string()),
            ("meta l4proto" | "ip protocol" | "ip6 nexthdr", [number, ..]) => self.protocol = Some(name(*number)),
            (what, _) if what.ends_with("saddr") => {
                self.others.push(format!("{} is not an address that the rule is for", self.end(true)));
            }
            (what, _) if what.ends_with("daddr") => {
                self.others.push(format!("{} is not an address that the rule is for", self.end(false)));
            }
            _ => self.others.push(format!("{what} is another one than the rule's")),
        }
    }

    /// `the source 10.244.1.5`.
    fn end(&self, is_source: bool) -> String {
        let (word, address) = if is_source {
            ("source", self.asked.packet.source)
        } else {
            ("destination", self.asked.packet.destination)
        };
        address.map_or_else(|| format!("the {word}"), |address: IpAddr| format!("the {word} {address}"))
    }

    /// How many things would have to be different, and which.
    pub(super) fn told(self) -> Option<(usize, String)> {
        let mut told = self.others.clone();
        told.extend(self.port());
        (!told.is_empty() && !self.is_about_marks).then(|| (told.len(), told.join(", and ")))
    }

    /// `tcp dport 5432 wanted, 5433 was used`.
    fn port(&self) -> Option<String> {
        let packet = self.asked.packet;
        let used = packet.protocol.map_or_else(|| "another protocol".to_owned(), name);
        let port = packet.destination_port;
        Some(match (&self.protocol, &self.ports) {
            (None, None) => return None,
            (Some(wanted), None) => format!("{wanted} wanted, {used} was used"),
            (Some(wanted), Some(ports)) => match port {
                Some(port) => format!("{wanted} dport {ports} wanted, {used} dport {port} was used"),
                None => format!("{wanted} dport {ports} wanted, {used} was used"),
            },
            (None, Some(ports)) => match port {
                Some(port) => format!("{used} dport {ports} wanted, {port} was used"),
                None => format!("{used} dport {ports} wanted"),
            },
        })
    }
}

/// The word behind an option.
fn after<'a>(text: &'a str, option: &str) -> Option<&'a str> {
    text.split_once(option)?.1.split(' ').next()
}

fn port(data: &[u8]) -> Option<u16> {
    data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn name(protocol: u8) -> String {
    match protocol {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        other => format!("protocol {other}"),
    }
}

fn protocol_number(word: &str) -> Option<u8> {
    Some(match word {
        "icmp" => 1,
        "tcp" => 6,
        "udp" => 17,
        "ipv6-icmp" | "icmpv6" => 58,
        "sctp" => 132,
        other => other.parse().ok()?,
    })
}
