//! `whydrop diagnose` as a user runs it, ended when a test has seen enough, and what it found.
//!
//! Rule: a finding that a test does not name is a failure of that test: there is other traffic in each, and it is healthy.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::event::{Event, Report, key};
use crate::expect::Expect;
use crate::family::Family;
use crate::netns::NetNs;
use crate::schema::Schema;
use crate::tracer::{self, Tracer};

/// Exit statuses of `whydrop diagnose`.
pub const HEALTHY: i32 = 0;
pub const UNHEALTHY: i32 = 3;

/// Longer than any test takes: each ends its run itself.
const TIME: &str = "300s";

/// A run that is under way.
#[derive(Debug)]
pub struct Diagnosis(Tracer);

impl Diagnosis {
    /// Looks at one namespace, and returns when it is ready.
    pub fn of(namespace: &NetNs) -> Result<Self> {
        Self::with(namespace, &[])
    }

    /// The same with more arguments.
    pub fn with(namespace: &NetNs, arguments: &[&str]) -> Result<Self> {
        let mut command = command(namespace)?;
        Tracer::spawn(command.args(["--for", TIME]).args(arguments)).map(Self)
    }

    pub fn tracer(&mut self) -> &mut Tracer {
        &mut self.0
    }

    /// Waits for a line of an attempt over TCP or UDP to one port that ended so.
    pub fn sees(&mut self, family: Family, outcome: &str, protocol: &str, port: u16) -> Result<Event> {
        self.sees_many(family, outcome, protocol, port, 1)
    }

    /// Waits for so many such lines, and gives the first.
    pub fn sees_many(
        &mut self,
        family: Family,
        outcome: &str,
        protocol: &str,
        port: u16,
        lines: usize,
    ) -> Result<Event> {
        let wanted = Expect::attempt(outcome, protocol, port);
        let of_family = |event: &&Event| wanted.accepts(event) && is_of(event, family);
        self.0.wait_until(&wanted, |events| {
            let mut matching = events.iter().filter(of_family);
            let first = matching.next()?;
            (matching.count() + 1 >= lines).then(|| first.clone())
        })
    }

    /// Ends it as Ctrl-C does; all its lines have to be as the schema says.
    pub fn end(self) -> Result<Findings> {
        Findings::of(self.0.stop()?)
    }
}

/// `whydrop diagnose -o json` of one namespace.
pub fn command(namespace: &NetNs) -> Result<Command> {
    tracer::command(["diagnose", "-o", "json", "--netns", &namespace.inode()?.to_string()])
}

fn is_of(event: &Event, family: Family) -> bool {
    event.text(key::FLOW_DESTINATION).parse().is_ok_and(|address| Family::of(address) == family)
}

/// What a run found.
#[derive(Debug)]
pub struct Findings {
    pub report: Report,
    found: Vec<Event>,
}

impl Findings {
    /// Fails if the run did not end well, or printed what the schema does not have.
    pub fn of(report: Report) -> Result<Self> {
        let found: Vec<_> = report.events.iter().filter(|event| event.is("finding")).cloned().collect();
        let code = report.status.code();
        ensure!(matches!(code, Some(HEALTHY | UNHEALTHY)), "ended with {}: {}", report.status, report.stderr);
        ensure!(report.stderr.is_empty(), "it complained: {}", report.stderr);
        for line in report.events.iter().chain([&report.header]) {
            let schema = Schema::of(line.text(key::KIND))?;
            schema.check(&line.0).with_context(|| format!("in {line}"))?;
        }
        report.stats()?;
        Ok(Self { report, found })
    }

    pub fn all(&self) -> &[Event] {
        &self.found
    }

    /// Fails if anything was found.
    pub fn ensure_none(&self) -> Result<()> {
        ensure!(self.found.is_empty(), "all is well, and yet it found:\n{}", self.told());
        ensure!(
            self.report.status.code() == Some(HEALTHY),
            "nothing was found, and it ended with {}",
            self.report.status
        );
        Ok(())
    }

    /// The only finding, which is a problem with this cause and confidence (or one of several: `a|b`); its title and summary
    /// have all of `words`.
    pub fn only(&self, cause: &str, confidence: &str, words: &[&str]) -> Result<&Event> {
        self.exactly(&[(cause, confidence, words)]).map(|found| found[0])
    }

    /// Exactly these findings, in any order; they come back in the order asked for.
    pub fn exactly(&self, wanted: &[(&str, &str, &[&str])]) -> Result<Vec<&Event>> {
        let found = wanted.iter().map(|(cause, confidence, words)| {
            let one_of = |words: &str| words.split('|').map(str::to_owned).collect::<Vec<_>>();
            let expect = Expect::any().problem().with_any(key::CAUSE, one_of(cause));
            let expect = expect.with_any(key::CONFIDENCE, one_of(confidence));
            let says = |event: &&Event| words.iter().all(|word| says(event, word));
            let fitting = self.found.iter().find(|event| expect.accepts(event) && says(event));
            fitting.with_context(|| format!("no finding of {cause} ({confidence}) says {words:?}:\n{}", self.told()))
        });
        let found = found.collect::<Result<Vec<_>>>()?;
        ensure!(self.found.len() == wanted.len(), "it found more than that:\n{}", self.told());
        ensure!(
            self.report.status.code() == Some(UNHEALTHY),
            "it found something and ended with {}",
            self.report.status
        );
        Ok(found)
    }

    /// All findings and what led to them, to be read by a human.
    pub fn told(&self) -> String {
        let line = |event: &Event| format!("  {event}\n");
        let drops = self.report.events.iter().filter(|event| event.is("drop") || event.is("flow") || event.is("dns"));
        let findings: String = self.found.iter().map(line).collect();
        let rest: String = drops.take(12).map(line).collect();
        let stats = self.report.events.last().and_then(|stats| stats.at("/attempts")).unwrap_or(&Value::Null);
        format!("{} findings:\n{findings}after:\n{rest}  attempts: {stats}", self.found.len())
    }
}

/// Whether a title or summary has this, each word of it as a whole.
fn says(event: &Event, words: &str) -> bool {
    let is_part = |char: char| char.is_alphanumeric();
    [key::TITLE, key::SUMMARY].iter().any(|key| {
        let text = event.text(key);
        text.match_indices(words).any(|(at, found)| {
            let (before, after) = (&text[..at], &text[at + found.len()..]);
            !before.ends_with(is_part) && !after.starts_with(is_part)
        })
    })
}

/// Whether one of the attempts that a finding says it hits goes to this port.
pub fn hits_port(finding: &Event, port: u16) -> bool {
    let affected = finding.at(key::AFFECTED).and_then(Value::as_array);
    affected.into_iter().flatten().any(|one| one.pointer(key::FLOW_DESTINATION_PORT) == Some(&port.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_port_is_not_part_of_another() {
        let event = Event(json!({"title": "tcp 8080 is blocked", "explanation": {"summary": "left by n0."}}));
        assert!(says(&event, "8080") && says(&event, "n0") && says(&event, "tcp 8080"));
        assert!(!says(&event, "80") && !says(&event, "n"));
    }
}
