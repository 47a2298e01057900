//! How the answer about a packet is shown: a line a hook, or one JSON object.

use std::fmt::Write;

use serde::Serialize;
use tracer_netfilter::walk::Outcome;

use super::Stop;
use crate::event::Rule;
use crate::netfilter::Suspect;
use crate::sink::printable;

/// The answer, as `-o json` prints it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    /// The packet in words.
    packet: String,
    /// What was not said about it and was taken to be so.
    taken: Vec<String>,
    /// `accepted`, `dropped`, or `open` where it hangs on something that can't be known beforehand.
    outcome: &'static str,
    hooks: Vec<HookReport>,
}

#[derive(Clone, Debug, Serialize)]
struct HookReport {
    hook: &'static str,
    outcome: &'static str,
    /// Rules and policies that end the packet here, or may.
    rules: Vec<RuleReport>,
    unknown: Vec<String>,
    /// Each rule that was looked at (`-v`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<StepReport>,
}

#[derive(Clone, Debug, Serialize)]
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

#[derive(Clone, Debug, Serialize)]
struct StepReport {
    depth: u8,
    rule: String,
    says: String,
}

impl Report {
    /// `entry`: how a command is run in the namespace, if it needs that.
    pub fn new(packet: &str, taken: &[String], stops: &[Stop], entry: Option<&str>) -> Self {
        let outcome = stops.iter().map(|stop| stop.outcome).fold(Outcome::Accepted, worse);
        let hooks = stops.iter().map(|stop| HookReport::new(stop, entry)).collect();
        Self { kind: "explain", packet: packet.to_owned(), taken: taken.to_vec(), outcome: word(outcome), hooks }
    }

    /// The text of it, each line ended.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for hook in &self.hooks {
            for step in &hook.steps {
                let indent = "  ".repeat(usize::from(step.depth) + 1);
                let _ = writeln!(out, "{indent}{}  # {}", printable(&step.rule), printable(&step.says));
            }
            hook.print(&mut out);
        }
        let _ = writeln!(out, "The packet is {}.", verdict(self.outcome));
        if !self.taken.is_empty() {
            let _ = writeln!(out, "Taken to be so, for nothing else was said: {}.", self.taken.join(", "));
        }
        out
    }
}

impl HookReport {
    fn new(stop: &Stop, entry: Option<&str>) -> Self {
        let rules = stop.ruling.suspects.iter().map(|suspect| RuleReport::new(suspect, entry)).collect();
        let steps = stop.steps.iter().map(|(depth, rule, says)| StepReport {
            depth: *depth,
            rule: rule.clone(),
            says: says.clone(),
        });
        Self {
            hook: stop.hook.as_str(),
            outcome: word(stop.outcome),
            rules,
            unknown: stop.ruling.unknown.clone(),
            steps: steps.collect(),
        }
    }

    fn print(&self, out: &mut String) {
        if self.rules.is_empty() {
            let _ = writeln!(out, "{:<12}{}", self.hook, verdict(self.outcome));
        }
        for rule in &self.rules {
            let perhaps = if rule.unknown.is_empty() { "" } else { "perhaps " };
            let _ = writeln!(out, "{:<12}{perhaps}{}", self.hook, printable(&rule.summary));
            let _ = writeln!(out, "  rule:  {}", printable(&rule.rule.text));
            for fact in &rule.evidence {
                let _ = writeln!(out, "  seen:  {}", printable(fact));
            }
            if !rule.unknown.is_empty() {
                let _ = writeln!(out, "  open:  it hangs on {}", printable(&rule.unknown.join(", ")));
            }
            for step in &rule.remedy {
                let _ = writeln!(out, "  try:   {}", printable(step));
            }
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
}

/// What became of the packet after both.
const fn worse(a: Outcome, b: Outcome) -> Outcome {
    match (a, b) {
        (Outcome::Dropped, _) | (_, Outcome::Dropped) => Outcome::Dropped,
        (Outcome::Open, _) | (_, Outcome::Open) => Outcome::Open,
        (Outcome::Accepted, Outcome::Accepted) => Outcome::Accepted,
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Dropped => "dropped",
        Outcome::Open => "open",
    }
}

fn verdict(outcome: &str) -> &'static str {
    match outcome {
        "accepted" => "let through",
        "dropped" => "dropped",
        _ => "let through, unless one of the rules above applies",
    }
}
