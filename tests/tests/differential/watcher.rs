//! The binary's answer: what `whydrop watch` says of the packet while it happens.

use std::collections::HashMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tracer_tests::event::{Event, key};
use tracer_tests::{Expect, Tracer};

use crate::lab::Lab;
use crate::probe::Probe;
use crate::score::Answer;
use crate::style::Style;
use crate::truth::Name;

/// One run of the binary over all rulesets, which it has to notice.
pub(crate) struct Watcher {
    tracer: Tracer,
    /// Packets so far by their ends: each is dropped once, so each has its line, in order.
    sent: HashMap<(IpAddr, IpAddr), u64>,
}

impl Watcher {
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let namespace = lab.router().inode()?.to_string();
        let tracer = Tracer::start(&["--all", "--every", "--netns", &namespace])?;
        Ok(Self { tracer, sent: HashMap::new() })
    }

    /// These many packets like this one were sent.
    pub(crate) fn sent(&mut self, probe: &Probe, packets: u32) {
        *self.sent.entry(probe.ends()).or_default() += u64::from(packets);
    }

    /// What it says of the last one that was sent.
    pub(crate) fn judge(&mut self, probe: &Probe, style: Style, truth: &Name) -> Result<Answer> {
        let expect = expect(probe);
        let sent = self.sent.get(&probe.ends()).copied().unwrap_or(0);
        self.tracer.wait_for_count(&expect, sent)?;
        let event = self.tracer.events().iter().filter(|event| expect.accepts(event)).nth(sent as usize - 1);
        let event = event.context("it said something, and then it did not")?;
        let list = event.at(key::ALTERNATIVES).and_then(Value::as_array).into_iter().flatten();
        let names: Vec<_> = event.at("/explanation/rule").into_iter().chain(list).map(name).collect();
        let (confidence, says) = (event.text(key::CONFIDENCE), says(event));
        if let ([only], "certain" | "derived") = (&names[..], confidence) {
            return Ok(Answer::Certain { is_right: is_same(only, truth), says });
        }
        let is_meant = style.is_unsure || probe.is_later_fragment() || says.contains("mark");
        Ok(Answer::Possible { holds_truth: names.iter().any(|name| is_same(name, truth)), is_meant, says })
    }
}

fn expect(probe: &Probe) -> Expect {
    let (source, destination) = probe.ends();
    Expect::any()
        .with(key::KIND, "drop")
        .with(key::SOURCE, source.to_string())
        .with(key::DESTINATION, destination.to_string())
}

fn says(event: &Event) -> String {
    event.at("/explanation").map_or_else(|| event.to_string(), Value::to_string)
}

/// Backend, family, table, chain and number of a rule; a policy has no number.
fn name(rule: &Value) -> (bool, String, u32) {
    let text = |key: &str| rule[key].as_str().unwrap_or_default();
    let number = rule["number"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    (text("backend") == "iptables-legacy", format!("{} {} {}", text("family"), text("table"), text("chain")), number)
}

fn is_same(name: &(bool, String, u32), truth: &Name) -> bool {
    let Name { is_legacy, family, table, chain, number } = truth;
    *name == (*is_legacy, format!("{family} {table} {chain}"), *number)
}
