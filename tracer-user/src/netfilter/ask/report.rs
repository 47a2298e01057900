//! How the answer about a packet is shown: a line a hook, or one JSON object.

use std::fmt::Write;

use schemars::JsonSchema;
use serde::Serialize;
use tracer_netfilter::walk::Outcome;

use super::{Answer, Step, Stop};
use crate::event::Rule;
use crate::netfilter::Suspect;
use crate::sink::printable;

/// The answer, as `-o json` prints it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename = "explain")]
pub struct Report {
    /// The packet that was asked about, in words.
    packet: String,
    /// What was not said about it and was taken to be so.
    taken: Vec<String>,
    outcome: Word,
    /// The hooks that it passes, in order, to the one where it ends.
    hooks: Vec<HookReport>,
    /// What could not be read of the rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gaps: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Word {
    /// Let through.
    Accepted,
    /// It ends here for sure.
    Dropped,
    /// It hangs on something that can't be known beforehand.
    Open,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct HookReport {
    hook: &'static str,
    outcome: Word,
    /// No rule was looked at.
    empty: bool,
    /// The destination that a rule gives the packet (DNAT).
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<String>,
    /// Rules and policies that end the packet here, or may.
    rules: Vec<RuleReport>,
    /// What was not known.
    unknown: Vec<String>,
    /// Each base chain and rule that was looked at (`-v`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepReport>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct RuleReport {
    summary: String,
    rule: Rule,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    evidence: Vec<String>,
    remedy: Vec<String>,
    /// What it hangs on; empty if it surely drops the packet.
    unknown: Vec<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
struct StepReport {
    /// Of jumps.
    depth: u8,
    /// Family, table and chain: `inet filter/input`.
    chain: String,
    /// Of the rule in its chain; 0 where a base chain begins.
    number: u32,
    text: String,
    /// What the rule came to; empty where a base chain begins.
    says: String,
}

impl Report {
    /// `entry`: how a command is run in the namespace, if it needs that.
    pub fn new(packet: &str, taken: &[String], answer: &Answer, entry: Option<&str>) -> Self {
        let unread = if answer.gaps.is_empty() { Outcome::Accepted } else { Outcome::Open };
        let outcome = answer.stops.iter().map(|stop| stop.outcome).fold(unread, worse);
        let packet = packet.split_whitespace().collect::<Vec<_>>().join(" ");
        let hooks = answer.stops.iter().map(|stop| HookReport::new(stop, entry)).collect();
        Self { packet, taken: taken.to_vec(), outcome: word(outcome), hooks, gaps: answer.gaps.clone() }
    }

    /// The text of it, each line ended.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for hook in &self.hooks {
            hook.print(&mut out);
        }
        for gap in &self.gaps {
            let _ = writeln!(out, "open:  {}", printable(gap));
        }
        let _ = writeln!(out, "{}", self.conclusion());
        if !self.taken.is_empty() {
            let _ = writeln!(out, "Taken to be so, for nothing else was said: {}.", self.taken.join(", "));
        }
        out
    }

    fn conclusion(&self) -> String {
        let at = self.hooks.last().map(|hook| format!(" at {}", hook.hook)).unwrap_or_default();
        let may_drop = self.hooks.iter().any(|hook| !hook.rules.is_empty());
        match self.outcome {
            Word::Accepted => "The packet is let through.".to_owned(),
            Word::Dropped if self.is_perhaps_before() => format!("The packet is dropped{at}, if not by a rule above."),
            Word::Dropped => format!("The packet is dropped{at}."),
            Word::Open if may_drop => "Open: the packet is let through unless a rule above drops it.".to_owned(),
            Word::Open => {
                "Open: none of the rules that were looked at drops the packet, but not all is known.".to_owned()
            }
        }
    }

    /// Something may drop the packet before what surely does.
    fn is_perhaps_before(&self) -> bool {
        self.hooks.iter().flat_map(|hook| &hook.rules).any(|rule| !rule.unknown.is_empty())
    }
}

impl HookReport {
    fn new(stop: &Stop, entry: Option<&str>) -> Self {
        let rules = stop.ruling.suspects.iter().map(|suspect| RuleReport::new(suspect, entry)).collect();
        Self {
            hook: stop.hook.as_str(),
            outcome: word(stop.outcome),
            empty: stop.is_empty,
            destination: stop.destination.clone(),
            rules,
            unknown: stop.ruling.unknown.clone(),
            steps: stop.steps.iter().map(StepReport::new).collect(),
        }
    }

    fn print(&self, out: &mut String) {
        if !self.steps.is_empty() {
            let _ = writeln!(out, "{}:", self.hook);
        }
        for step in &self.steps {
            step.print(out);
        }
        if self.rules.is_empty() {
            let says = match (self.outcome, self.empty) {
                (Word::Accepted, true) => "no rules",
                (Word::Accepted, false) => "let through",
                (Word::Open, _) => "open",
                (Word::Dropped, _) => "dropped",
            };
            let _ = writeln!(out, "{:<12}{says}", self.hook);
        }
        for rule in &self.rules {
            rule.print(self.hook, out);
        }
        if let Some(destination) = &self.destination {
            let _ = writeln!(out, "  then:  it goes to {destination} (DNAT)");
        }
        for open in &self.unknown {
            let _ = writeln!(out, "  open:  {}", printable(open));
        }
    }
}

impl RuleReport {
    fn new(suspect: &Suspect, entry: Option<&str>) -> Self {
        Self {
            summary: format!("{} {} it", suspect.place(), suspect.verb()),
            rule: suspect.rule.clone(),
            owner: suspect.owner.as_ref().map(|owner| owner.name.to_owned()),
            evidence: suspect.evidence(),
            remedy: suspect.remedy(entry),
            unknown: suspect.unknown.clone(),
        }
    }

    fn print(&self, hook: &str, out: &mut String) {
        let perhaps = if self.unknown.is_empty() { "" } else { "perhaps " };
        let _ = writeln!(out, "{hook:<12}{perhaps}{}", printable(&self.summary));
        let _ = writeln!(out, "  rule:  {}", printable(&self.rule.text));
        for fact in &self.evidence {
            let _ = writeln!(out, "  seen:  {}", printable(fact));
        }
        if !self.unknown.is_empty() {
            let _ = writeln!(out, "  open:  it hangs on {}", printable(&self.unknown.join(", ")));
        }
        for step in &self.remedy {
            let _ = writeln!(out, "  try:   {}", printable(step));
        }
    }
}

impl StepReport {
    fn new(step: &Step) -> Self {
        let Step { depth, chain, number, text, says } = step.clone();
        Self { depth, chain, number, text, says }
    }

    fn print(&self, out: &mut String) {
        if self.number == 0 {
            let _ = writeln!(out, "  chain {}: {}", printable(&self.chain), printable(&self.text));
            return;
        }
        let indent = "  ".repeat(usize::from(self.depth).saturating_add(2));
        // The chain that was jumped to; that of the first level stands above.
        let (_, chain) = self.chain.rsplit_once('/').unwrap_or_default();
        let chain = if self.depth == 0 { String::new() } else { format!("{} ", printable(chain)) };
        let _ = writeln!(
            out,
            "{indent}{chain}rule {}: {}  # {}",
            self.number,
            printable(&self.text),
            printable(&self.says)
        );
    }
}

/// What became of the packet after both.
const fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (a, b) {
        (Outcome::Dropped, _) | (_, Outcome::Dropped) => Outcome::Dropped,
        (Outcome::Open, _) | (_, Outcome::Open) => Outcome::Open,
        (Outcome::Accepted, Outcome::Accepted) => Outcome::Accepted,
    }
}

const fn word(outcome: Outcome) -> Word {
    match outcome {
        Outcome::Accepted => Word::Accepted,
        Outcome::Dropped => Word::Dropped,
        Outcome::Open => Word::Open,
    }
}
