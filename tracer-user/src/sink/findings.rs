//! What text output says at its end: each different explanation once, with its evidence and what to try.
//!
//! Rule: one entry for what decided (rule, setting, route, program), not for each flow or sentence; the ones that most
//! packets were dropped for come first.

use std::collections::HashMap;
use std::fmt::Write;

use crate::event::{Cause, Counter, Explanation};

use super::style::{Style, hanging, printable, thousands};

/// Different explanations remembered; the rest is only counted.
const MOST_KEPT: usize = 256;
/// Different explanations printed.
const MOST_PRINTED: usize = 5;

/// Sentences of an entry that are told beside its title.
const MOST_ALSO: usize = 2;

/// The explanations of the lines so far, with their packets.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// By namespace, as commands to try name the namespace, and by what decided there.
    entries: HashMap<(u32, String), Entry>,
    /// Sentences in all entries.
    kept: usize,
    others: u64,
    counted: u64,
}

/// What one thing was said to have done: each different sentence, with its packets.
#[derive(Debug, Default)]
struct Entry(HashMap<String, (u64, Explanation)>);

impl Entry {
    fn packets(&self) -> u64 {
        self.0.values().map(|(packets, _)| packets).sum()
    }

    /// The sentences, the ones with most packets first.
    fn sorted(&self) -> Vec<&(u64, Explanation)> {
        let mut all: Vec<_> = self.0.values().collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.summary.cmp(&b.1.summary)));
        all
    }
}

/// What decided, where it is named: sentences about it differ by port, length or address only. Else the sentence.
fn decided_by(explanation: &Explanation) -> String {
    named(explanation).unwrap_or_else(|| explanation.summary.clone())
}

/// The rule, program, setting or route that decided, as text that is the same for all that it decided.
pub(crate) fn named(explanation: &Explanation) -> Option<String> {
    let Explanation { cause, rule, program, sysctl, route, .. } = explanation;
    if let Some(rule) = rule {
        let (backend, family) = (rule.backend, rule.family);
        return Some(format!(
            "{cause:?} {backend:?} {family:?} {} {} {:?} {}",
            rule.table, rule.chain, rule.number, rule.text
        ));
    }
    if let Some(program) = program {
        return Some(format!("{cause:?} {program:?}"));
    }
    match (cause, sysctl, route) {
        (Cause::ReversePath, Some(sysctl), route) => Some(format!("{sysctl:?} {route:?}")),
        (Cause::Mtu | Cause::RouteReject, sysctl, Some(route)) => Some(format!("{cause:?} {sysctl:?} {route:?}")),
        _ => None,
    }
}

impl Findings {
    /// Adds what was said of `count` packets in a namespace.
    pub(super) fn add(&mut self, netns: u32, count: u64, explanation: &Explanation) {
        let key = (netns, decided_by(explanation));
        let said = self.entries.get_mut(&key).and_then(|entry| entry.0.get_mut(&explanation.summary));
        if let Some((packets, last)) = said {
            *packets += count;
            // The last one knows most: counters have risen since.
            last.clone_from(explanation);
        } else if self.kept < MOST_KEPT {
            self.kept += 1;
            let entry = self.entries.entry(key).or_default();
            entry.0.insert(explanation.summary.clone(), (count, explanation.clone()));
        } else {
            self.others += count;
        }
    }

    /// Adds what was said of a counter.
    pub(super) fn add_counter(&mut self, counter: &Counter) {
        self.counted = self.counted.saturating_add(counter.delta);
        self.add(counter.netns.inode, counter.delta, &counter.explanation);
    }

    /// Packets that are known by counters only.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// The entries, each line ended.
    pub(super) fn print(&self, style: Style) -> String {
        let mut all: Vec<_> = self.entries.values().map(|entry| (entry.packets(), entry.sorted())).collect();
        let first = |said: &[&(u64, Explanation)]| said.first().map(|(_, explanation)| explanation.summary.clone());
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| first(&a.1).cmp(&first(&b.1))));
        let mut out = String::new();
        for (packets, said) in all.iter().take(MOST_PRINTED) {
            let Some(((_, explanation), others)) = said.split_first() else { continue };
            out.push('\n');
            out.push_str(&entry(*packets, &also(others), explanation, style));
        }
        let rest = all.iter().skip(MOST_PRINTED).map(|(packets, _)| packets).sum::<u64>() + self.others;
        if rest > 0 {
            let _ = writeln!(out, "\n{} packets more have other explanations: see their lines above.", thousands(rest));
        }
        out
    }
}

/// What else was said of the same: the first sentences, and how many more there are.
fn also(others: &[&(u64, Explanation)]) -> Vec<String> {
    let told = others.iter().take(MOST_ALSO);
    let mut also: Vec<_> =
        told.map(|(packets, other)| format!("{} ({}×)", other.summary, thousands(*packets))).collect();
    if let Some(rest) = others.get(MOST_ALSO..).filter(|rest| !rest.is_empty()) {
        let packets = rest.iter().map(|(packets, _)| packets).sum();
        also.push(format!("{} packets more in this way: see their lines above", thousands(packets)));
    }
    also
}

/// One explanation: its sentence, the others of the same, what was seen, what is open, what to try.
pub(crate) fn entry(packets: u64, also: &[String], explanation: &Explanation, style: Style) -> String {
    let title = format!("{} ({}×, {})", printable(&explanation.summary), thousands(packets), explanation.confidence);
    let mut out = format!("{}\n", style.bold(&title));
    for other in also {
        let _ = writeln!(out, "  also:  {}", printable(other));
    }
    for fact in &explanation.evidence {
        let _ = writeln!(out, "  seen:  {}", printable(fact));
    }
    if let Some(unknown) = &explanation.unknown {
        let _ = writeln!(out, "  open:  {}", printable(unknown));
    }
    for step in &explanation.remedy {
        let _ = writeln!(out, "  try:   {}", hanging(step, 9));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Backend, Confidence, Route, Rule, RulesetFamily};

    #[test]
    fn an_entry_says_what_was_seen_what_is_open_and_what_to_try() {
        let mut explanation = Explanation::new(Cause::NoSocket, Confidence::Derived, "nobody listens\x1b[2J");
        explanation.evidence.push("fact".into());
        explanation.remedy.push("ss -lnp".into());
        explanation.unknown = Some("who".into());
        let text = entry(1234, &[], &explanation, Style { colour: false });
        assert_eq!(text, "nobody listens\\u{1b}[2J (1,234×, derived)\n  seen:  fact\n  open:  who\n  try:   ss -lnp\n");
    }

    #[test]
    fn one_rule_is_one_entry_however_many_ports_it_dropped() {
        let of = |port: u16, text: &str| {
            let mut said = Explanation::new(Cause::NetfilterRule, Confidence::Certain, format!("a rule drops {port}"));
            said.rule = Some(Rule {
                backend: Backend::Nftables,
                family: RulesetFamily::Inet,
                table: "filter".into(),
                chain: "out".into(),
                number: Some(1),
                handle: Some(4),
                text: text.into(),
                comment: None,
                path: Vec::new(),
                packets: Some(u64::from(port)),
            });
            said
        };
        let mut findings = Findings::default();
        for (port, count) in [(1, 2), (2, 5), (3, 1), (4, 1), (2, 5)] {
            findings.add(7, count, &of(port, "drop"));
        }
        findings.add(7, 1, &of(1, "tcp dport 1 drop"));
        findings.add(8, 1, &of(1, "drop"));
        let text = findings.print(Style { colour: false });
        let titles: Vec<_> = text.split("\n\n").map(|entry| entry.trim().lines().next().unwrap()).collect();
        assert_eq!(
            titles,
            ["a rule drops 2 (14×, certain)", "a rule drops 1 (1×, certain)", "a rule drops 1 (1×, certain)"]
        );
        let also: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  also:  ")).collect();
        assert_eq!(
            also,
            ["a rule drops 1 (2×)", "a rule drops 3 (1×)", "1 packets more in this way: see their lines above"]
        );
    }

    #[test]
    fn different_next_hops_stay_apart() {
        let mut findings = Findings::default();
        for hop in ["10.0.0.1", "10.0.0.2"] {
            let mut said = Explanation::new(Cause::Neighbour, Confidence::Certain, format!("{hop} did not answer"));
            said.route = Some(Route { text: "10.0.0.0/24 dev eth0".into(), table: None });
            findings.add(7, 1, &said);
        }
        assert_eq!(findings.print(Style { colour: false }).matches("did not answer (1×").count(), 2);
    }
}
