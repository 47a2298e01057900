//! A new connection that found its place in the table taken: no port was left to translate it to.
//!
//! Rules: `certain` needs that a failed insertion was counted with the drop and that no port is free; the rule that
//! translates did not drop, so it stands in the evidence and never as the rule to blame.

use super::super::super::observation::Observation;
use super::{command, end, family, moved, named, no_rule, open};
use crate::decode::protocol::{ICMP, ICMPV6, TCP, UDP};
use crate::event::{Cause, Confidence, Explanation};
use crate::netfilter::{Becomes, Pressure, Ruling, Translation, Used};

/// Ports that the kernel tries of a range before it gives up: 128 in a row, then 64, 32 and 16 from elsewhere
/// (`NF_NAT_MAX_ATTEMPTS`, `net/netfilter/nf_nat_core.c`, 5.0 to 6.18).
const ATTEMPTS: u32 = 240;
const IN_A_ROW: u32 = 128;

/// What is said if the connection was not read.
pub(super) fn without_entry(pressure: &Pressure, ruling: &Ruling) -> Explanation {
    let summary = "address translation found no free port for a new connection";
    let mut explanation = Explanation::new(Cause::NatExhausted, Confidence::Derived, summary);
    explanation.evidence = vec![moved(pressure.insert_failed, "insert_failed", pressure), no_rule(ruling)];
    explanation.unknown = open(ruling, ["which address and ports: the packet's connection was not read".to_owned()]);
    explanation
}

pub(super) fn explanation(
    translation: &Translation,
    pressure: &Pressure,
    ruling: &Ruling,
    drop: &Observation<'_>,
) -> Explanation {
    let Some(becomes) = &translation.becomes else { return raced(translation, pressure, ruling, drop) };
    let range = Range { translation, becomes };
    let is_used_up = range.used().is_some_and(|used| used.ports >= range.size());
    let confidence = if is_used_up && pressure.is_delta { Confidence::Certain } else { Confidence::Derived };
    let mut explanation = Explanation::new(Cause::NatExhausted, confidence, range.summary());
    explanation.evidence = vec![moved(pressure.insert_failed, "insert_failed", pressure)];
    explanation.evidence.extend(range.evidence());
    explanation.evidence.push(no_rule(ruling));
    explanation.remedy = range.remedy(drop);
    let unread = becomes.used.as_ref().err().cloned();
    let no_rule = becomes.rules.is_empty().then(|| "which rule translates it: none that was read does".to_owned());
    explanation.unknown = open(ruling, unread.into_iter().chain(no_rule));
    explanation
}

/// Two packets of one new connection at the same time: the second finds the first one's entry.
fn raced(translation: &Translation, pressure: &Pressure, ruling: &Ruling, drop: &Observation<'_>) -> Explanation {
    let (from, to) = (translation.original, translation.remote);
    let connection = format!("{} {} > {}", named(translation.protocol), end(from.0, from.1), end(to.0, to.1));
    let summary = format!("the new connection {connection} was put into the connection table by another packet first");
    let mut explanation = Explanation::new(Cause::Unknown, Confidence::Inferred, summary);
    explanation.evidence = vec![
        moved(pressure.insert_failed, "insert_failed", pressure),
        "no address of the connection is translated".to_owned(),
        no_rule(ruling),
    ];
    explanation.remedy = vec![
        command(drop, "conntrack -S"),
        "a client that sends two packets from one new socket at once does that (DNS for A and AAAA): let it use one socket for each (resolv.conf: options single-request-reopen)".to_owned(),
    ];
    explanation.unknown = open(ruling, ["whether two packets raced: only the failed insertion is counted".to_owned()]);
    explanation
}

/// The ports that a source may have towards one end.
struct Range<'a> {
    translation: &'a Translation,
    becomes: &'a Becomes,
}

impl Range<'_> {
    fn used(&self) -> Option<&Used> {
        self.becomes.used.as_deref().ok()
    }

    fn size(&self) -> u32 {
        let (first, last) = self.becomes.ports;
        u32::from(last) - u32::from(first) + 1
    }

    const fn is_icmp(&self) -> bool {
        matches!(self.translation.protocol, ICMP | ICMPV6)
    }

    /// `port`, or what ICMP has in its place.
    fn unit(&self, number: u32) -> &'static str {
        match (self.is_icmp(), number) {
            (true, 1) => "id",
            (true, _) => "ids",
            (false, 1) => "port",
            (false, _) => "ports",
        }
    }

    /// `10.99.2.1:40000-40001 towards udp 10.99.2.2:9999`.
    fn place(&self) -> String {
        let Translation { protocol, remote, .. } = self.translation;
        let (first, last) = self.becomes.ports;
        let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
        let to = if self.is_icmp() { remote.0.to_string() } else { end(remote.0, remote.1) };
        format!("{} towards {} {to}", end(self.becomes.address, ports), named(*protocol))
    }

    fn summary(&self) -> String {
        let (source, size, place) = (self.translation.original.0, self.size(), self.place());
        match self.used() {
            Some(used) if used.ports >= size && size == 1 => {
                format!("the only {} of {place} is in use, so {source} can't be translated", self.unit(1))
            }
            Some(used) if used.ports >= size => {
                format!("all {size} {} of {place} are in use, so {source} can't be translated", self.unit(size))
            }
            Some(used) => format!(
                "no free {} was found to translate {source} to: {} of {size} {} of {place} are in use",
                self.unit(1),
                used.ports,
                self.unit(size)
            ),
            None => format!("no free {} was found to translate {source} to, of {place}", self.unit(1)),
        }
    }

    fn evidence(&self) -> Vec<String> {
        let Becomes { rules, is_given, address, .. } = self.becomes;
        let mut facts: Vec<String> = match &**rules {
            [] => Vec::new(),
            [rule] => vec![format!("{} translates it: {}", rule.place, rule.text)],
            rules => rules.iter().map(|rule| format!("{} may translate it: {}", rule.place, rule.text)).collect(),
        };
        if let [rule] = &**rules
            && let Some((first, last)) = rule.range.addresses
            && first != last
        {
            facts.push(format!("of the rule's addresses {first}-{last} the kernel took {address}"));
        }
        if !is_given && !self.is_icmp() {
            let ((first, last), port) = (self.becomes.ports, self.translation.original.1);
            facts.push(format!("no rule says which ports: for source port {port} the kernel takes {first}-{last}"));
        }
        let Some(used) = self.used() else { return facts };
        let least = if used.is_whole { "" } else { "at least " };
        let (size, place) = (self.size(), self.place());
        facts.push(format!("{least}{} of {size} {} of {place} are in use", used.ports, self.unit(size)));
        if used.ports < size && size > IN_A_ROW {
            facts.push(format!("the kernel tries no more than {ATTEMPTS} {} of a range", self.unit(2)));
        }
        facts.extend(used.users.iter().map(|(source, entries)| format!("{source} has {entries} of them")));
        if used.unreplied > 0 {
            facts.push(format!("{} of them saw no answer", used.unreplied));
        }
        facts
    }

    fn remedy(&self, drop: &Observation<'_>) -> Vec<String> {
        let mut remedy = vec![command(drop, &format!("conntrack -L{}", self.selection()))];
        let rule = self.becomes.rules.first();
        let rule = rule.map_or_else(|| "the rule that translates".to_owned(), |rule| rule.place.clone());
        remedy.push(if self.becomes.is_given {
            format!("give {rule} more ports, or a range of addresses")
        } else {
            format!("give {rule} a range of addresses (--to-source FIRST-LAST, snat to FIRST-LAST)")
        });
        let is_random = self.becomes.rules.iter().any(|rule| rule.range.is_random);
        if !is_random && self.size() > IN_A_ROW {
            remedy.push(format!("let {rule} begin its search anywhere (--random-fully, fully-random)"));
        }
        remedy.push("let clients keep connections to there open and use them again".to_owned());
        let timeout = match self.translation.protocol {
            UDP => Some("udp_timeout=10"),
            TCP => Some("tcp_timeout_time_wait=30"),
            _ => None,
        };
        remedy.extend(timeout.map(|set| command(drop, &format!("sysctl -w net.netfilter.nf_conntrack_{set}"))));
        remedy.push(command(drop, &format!("conntrack -D{}", self.selection())));
        remedy
    }

    /// The entries in question, as conntrack(8) selects them.
    fn selection(&self) -> String {
        let Translation { protocol, remote, .. } = self.translation;
        let port = if self.is_icmp() { String::new() } else { format!(" --reply-port-src {}", remote.1) };
        let to = self.becomes.address;
        format!("{} -p {} --reply-src {}{port} --reply-dst {to}", family(to), named(*protocol), remote.0)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracer_netfilter::translation::SourceRange;

    use super::super::super::super::scenarios::packet;
    use super::super::tests::ruling;
    use super::*;
    use crate::netfilter::{Connections, Translator};

    const PRESSURE: Pressure = Pressure {
        count: 4,
        max: 100,
        buckets: 64,
        is_max_own: false,
        insert_failed: 1,
        drop: 1,
        early_drop: 0,
        invalid: 0,
        is_delta: true,
    };

    fn translation(ports: u32, range: Option<(u16, u16)>) -> Translation {
        let rule = Translator {
            place: "iptables-nft nat/POSTROUTING rule 1".into(),
            text: "-A POSTROUTING -j MASQUERADE".into(),
            range: SourceRange { ports: range, ..SourceRange::default() },
        };
        let users = vec![([10, 99, 1, 2].into(), ports)];
        let used = Used { ports, is_whole: true, unreplied: 1, users };
        Translation {
            protocol: UDP,
            original: ([10, 99, 1, 2].into(), 4000),
            remote: ([10, 99, 2, 2].into(), 53),
            becomes: Some(Becomes {
                address: [10, 99, 2, 1].into(),
                ports: range.unwrap_or((1024, 65535)),
                is_given: range.is_some(),
                rules: vec![rule],
                used: Ok(Arc::new(used)),
            }),
        }
    }

    fn told(translation: &Translation, pressure: Pressure) -> Explanation {
        let ruling = ruling(pressure, Connections::Clash(translation.clone()));
        explanation(translation, &pressure, &ruling, &packet("udp"))
    }

    #[test]
    fn ports_that_are_all_in_use_are_told_with_their_users() {
        let told = told(&translation(2, Some((40000, 40001))), PRESSURE);
        assert_eq!((told.cause, told.confidence), (Cause::NatExhausted, Confidence::Certain));
        let place = "10.99.2.1:40000-40001 towards udp 10.99.2.2:53";
        assert_eq!(told.summary, format!("all 2 ports of {place} are in use, so 10.99.1.2 can't be translated"));
        assert!(told.evidence.contains(&format!("2 of 2 ports of {place} are in use")), "{:?}", told.evidence);
        assert!(told.evidence.contains(&"10.99.1.2 has 2 of them".to_owned()));
        assert!(told.rule.is_none(), "the rule that translates did not drop");
        let delete = "conntrack -D -p udp --reply-src 10.99.2.2 --reply-port-src 53 --reply-dst 10.99.2.1";
        assert_eq!(told.remedy.last().map(String::as_str), Some(delete));
        assert!(told.remedy[1].contains("more ports"), "{}", told.remedy[1]);
    }

    #[test]
    fn a_large_range_may_be_given_up_before_it_is_used_up() {
        let told = told(&translation(60000, None), PRESSURE);
        assert_eq!(told.confidence, Confidence::Derived);
        assert!(told.summary.contains("60000 of 64512 ports"), "{}", told.summary);
        assert!(told.evidence.iter().any(|fact| fact.contains("no more than 240 ports")));
        assert!(told.evidence.iter().any(|fact| fact.contains("for source port 4000 the kernel takes 1024-65535")));
        assert!(told.remedy.iter().any(|remedy| remedy.contains("--random-fully")));
    }

    #[test]
    fn what_moved_before_the_first_look_makes_nothing_certain() {
        let pressure = Pressure { is_delta: false, ..PRESSURE };
        assert_eq!(told(&translation(2, Some((40000, 40001))), pressure).confidence, Confidence::Derived);
    }

    #[test]
    fn a_connection_that_is_not_translated_has_raced() {
        let told = told(&Translation { becomes: None, ..translation(1, None) }, PRESSURE);
        assert_eq!((told.cause, told.confidence), (Cause::Unknown, Confidence::Inferred));
        assert!(told.summary.contains("udp 10.99.1.2:4000 > 10.99.2.2:53"), "{}", told.summary);
    }

    #[test]
    fn what_can_not_be_read_is_said() {
        let mut unread = translation(1, None);
        if let Some(becomes) = &mut unread.becomes {
            becomes.used = Err("the connection table is not shown".into());
            becomes.rules.clear();
        }
        let told = told(&unread, PRESSURE);
        let unknown = told.unknown.unwrap();
        assert!(unknown.contains("not shown") && unknown.contains("which rule"), "{unknown}");
        assert!(told.summary.starts_with("no free port was found"), "{}", told.summary);
    }
}
