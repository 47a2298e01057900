//! `whydrop policy try`: which of the connections that were seen a change of policies would break or allow.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use tracer_policy::World;
use tracer_policy::evaluate::{Connection, End, evaluate};
use tracer_policy::model::{ObjectName, Pod, PolicyId};

use super::PolicyError;
use super::end::{address_of, pod_of};
use super::report::Word;
use super::seen::{Connections, Seen, SeenEnd};
use super::source::Objects;
use crate::enrich;
use crate::event::Policy;
use crate::sink::{printable, thousands};

/// The change that is tried: objects that are applied, policies that are deleted.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub applied: Objects,
    pub deleted: Vec<PolicyId>,
}

/// One connection that would fare otherwise.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    pub from: String,
    pub to: String,
    pub port: u16,
    pub protocol: &'static str,
    /// Times that it was seen.
    pub attempts: u64,
    pub before: Word,
    pub after: Word,
    /// What decides after the change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// What the change would do to all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Trial {
    pub effects: Vec<Effect>,
    /// Connections that fare as before, by number of different ones.
    pub unchanged: u64,
    /// Connections of pods that are there no more: nothing is said of them.
    pub gone: u64,
    /// Lines that could not be read.
    pub damaged: u64,
}

impl Trial {
    /// Judges each connection by both worlds.
    pub fn new(world: &World, change: Change, connections: &Connections) -> Self {
        let mut after = world.clone();
        change.applied.0.into_iter().for_each(|object| after.add(object));
        change.deleted.iter().for_each(|id| after.remove_policy(id));
        let mut trial = Self { damaged: connections.damaged, ..Self::default() };
        for (seen, attempts) in &connections.seen {
            match effect(world, &after, seen, *attempts) {
                Some(effect) if effect.before == effect.after => trial.unchanged += 1,
                Some(effect) => trial.effects.push(effect),
                None => trial.gone += 1,
            }
        }
        // What breaks first, and what is used most.
        trial.effects.sort_by_key(|effect| (effect.after != Word::Denied, std::cmp::Reverse(effect.attempts)));
        trial
    }

    /// Whether something that works would work no longer.
    pub fn breaks(&self) -> bool {
        self.effects.iter().any(|effect| effect.after == Word::Denied)
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for effect in &self.effects {
            let word = match effect.after {
                Word::Denied => "would break",
                Word::Allowed => "would allow",
                Word::Unknown => "may change",
            };
            let Effect { from, to, port, protocol, attempts, policy, .. } = effect;
            let why = policy.as_ref().map(why).unwrap_or_default();
            let line = format!("{word}  {from} → {to} {protocol} {port}  ({}×){why}", thousands(*attempts));
            let _ = writeln!(text, "{}", printable(&line));
        }
        let _ = writeln!(text, "{} other connections fare as before", thousands(self.unchanged));
        if self.gone > 0 {
            let _ = writeln!(text, "{} connections are not judged: their pods are gone", thousands(self.gone));
        }
        if self.damaged > 0 {
            let _ = writeln!(text, "{} lines could not be read", thousands(self.damaged));
        }
        text
    }
}

fn why(policy: &Policy) -> String {
    match (&policy.nearest, &policy.decided_by) {
        (Some(nearest), _) => format!("  {} rule {}: {}", nearest.policy.name, nearest.rule, nearest.mismatch),
        (None, Some(rule)) => format!("  {} rule {}", rule.policy.name, rule.rule),
        (None, None) => String::new(),
    }
}

/// `None` if an end is there no more.
fn effect(before: &World, after: &World, seen: &Seen, attempts: u64) -> Option<Effect> {
    let judge = |world: &World| {
        let (source, destination) = (Found::new(world, &seen.source)?, Found::new(world, &seen.destination)?);
        let connection = Connection {
            source: source.end(),
            destination: destination.end(),
            protocol: seen.protocol,
            port: seen.port,
        };
        Some((source.name(), destination.name(), evaluate(world, &connection)))
    };
    let (from, to, old) = judge(before)?;
    let (.., new) = judge(after)?;
    let deciding = new.deciding();
    Some(Effect {
        from,
        to,
        port: seen.port,
        protocol: seen.protocol.as_str(),
        attempts,
        before: old.verdict().into(),
        after: new.verdict().into(),
        policy: (!deciding.selected_by.is_empty()).then(|| enrich::policy(deciding, None)).flatten(),
    })
}

/// An end that was seen, in a world.
enum Found {
    Pod(Arc<Pod>, std::net::IpAddr),
    Node(String, std::net::IpAddr),
    Outside(std::net::IpAddr),
}

impl Found {
    fn new(world: &World, end: &SeenEnd) -> Option<Self> {
        match end {
            SeenEnd::Pod(id, workload) => {
                let of_workload = || pod_of(world, &ObjectName::new(id.namespace.clone(), workload.as_deref()?));
                let pod = world.pod(id).or_else(of_workload)?;
                Some(Self::Pod(Arc::clone(pod), address_of(pod)))
            }
            SeenEnd::Address(address) => {
                let node = world.nodes().find(|node| node.addresses.contains(address));
                Some(node.map_or(Self::Outside(*address), |node| Self::Node(node.name.to_string(), *address)))
            }
        }
    }

    fn end(&self) -> End<'_> {
        match self {
            Self::Pod(pod, address) => End::Pod(pod, *address),
            Self::Node(name, address) => End::Node(Some(name), *address),
            Self::Outside(address) => End::Outside(*address),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Pod(pod, _) => pod.id.to_string(),
            Self::Node(name, address) => format!("node {name} {address}"),
            Self::Outside(address) => address.to_string(),
        }
    }
}

/// `networkpolicy/shop/web`, of a policy of the world.
///
/// # Errors
/// [`PolicyError::Delete`] if there is none.
pub fn deleted(world: &World, given: &str) -> Result<PolicyId, PolicyError> {
    let failed = || PolicyError::Delete(given.to_owned());
    let (kind, id) = given.split_once('/').ok_or_else(failed)?;
    let is_it = |policy: &PolicyId| {
        (policy.kind.as_str().eq_ignore_ascii_case(kind) || policy.kind.resource() == kind)
            && policy.id.to_string() == id
    };
    world.policies().map(|policy| policy.id()).find(is_it).ok_or_else(failed)
}
