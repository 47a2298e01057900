//! What each hook on a packet's way does with it.

use std::time::SystemTime;

use thiserror::Error;
use tracer_netfilter::evaluate::walk;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::model::Place;
use tracer_netfilter::packet::Packet;
use tracer_netfilter::walk::{Destination, Layer, Outcome, Question, Walk};
use tracer_netfilter::{Hook, Ruleset};

use super::super::conntrack::Connections;
use super::super::ruling::{Ruling, rule_count};
use super::super::suspect::{Proof, Suspect, text_at};
use super::Spec;
use super::way::Way;
use crate::host::{HostError, Netns, enter};

/// Why a packet can't be followed.
#[derive(Debug, Error)]
pub enum AskError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("{0}")]
    Unreadable(String),
    #[error("there is no device {0} in this network namespace; `ip link` lists them")]
    Device(String),
    #[error(
        "{0} is no address of this network namespace, so the packet comes from outside: say by which device, as in eth0"
    )]
    NotLocal(std::net::IpAddr),
    #[error("there is no route to {0} from here, so the packet gets no further; `ip route get` says why")]
    NoRoute(std::net::IpAddr),
    #[error("how the node would route it is not known ({0}); say at which hook to ask, as --hook forward")]
    Route(String),
}

impl AskError {
    /// What was asked makes no sense here.
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Device(_) | Self::NotLocal(_))
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug)]
pub struct Answer {
    pub stops: Vec<Stop>,
    /// What could not be read of the rules: a sentence each.
    pub gaps: Vec<String>,
}

/// What one hook does with the packet.
#[derive(Clone, Debug)]
pub struct Stop {
    pub hook: Hook,
    pub outcome: Outcome,
    /// No rule was looked at.
    pub is_empty: bool,
    /// The destination that a rule gives it.
    pub destination: Option<String>,
    pub ruling: Ruling,
    pub steps: Vec<Step>,
}

/// A rule that was looked at; or a base chain that begins here, where `number` is 0.
#[derive(Clone, Debug)]
pub struct Step {
    /// Of jumps.
    pub depth: u8,
    /// `inet filter/input`
    pub chain: String,
    pub number: u32,
    pub text: String,
    /// What it came to.
    pub says: String,
}

/// Follows a packet inside `netns`: to one hook, or to all on its way until it ends.
///
/// # Errors
/// [`AskError`] if the rules or the way can't be read, or the packet can't come that way.
pub fn ask(netns: &Netns, spec: &Spec, hook: Option<Hook>, verbose: bool) -> Result<Answer, AskError> {
    enter::one(netns, || Ok(follow(spec, hook, verbose)))?
}

fn follow(spec: &Spec, only: Option<Hook>, verbose: bool) -> Result<Answer, AskError> {
    let (ruleset, world) = (live::ruleset(), Live::new());
    if ruleset.tables.is_empty() && !ruleset.gaps.is_empty() {
        return Err(AskError::Unreadable(ruleset.gaps.join("; ")));
    }
    let mut way = Way::new(spec, only, &world)?;
    let mut stops = Vec::new();
    while let Some((hook, packet)) = way.next() {
        let layer = if matches!(hook, Hook::Ingress | Hook::Egress) { Layer::Device } else { Layer::Ip };
        // The steps also tell whether there are rules.
        let question = Question { packet: &packet, hook, layer, backend: None, verbose: true };
        let walk = walk(&ruleset, &question, &world);
        way.passed(hook, walk.mark);
        let mut stop = stop(&ruleset, &packet, hook, &walk, &world, verbose);
        if stop.outcome != Outcome::Dropped {
            match &walk.destination {
                Destination::Becomes(changed) => {
                    stop.destination = destination(changed);
                    way.redirect(hook, changed)?;
                }
                Destination::Unknown if way.end() => stop.ruling.unknown.push(AFTER.to_owned()),
                Destination::Stays | Destination::Unknown => {}
            }
        }
        let is_dropped = stop.outcome == Outcome::Dropped;
        // Few devices have chains of their own.
        if only.is_some() || layer == Layer::Ip || !stop.is_empty || !stop.ruling.suspects.is_empty() {
            stops.push(stop);
        }
        if is_dropped {
            break;
        }
    }
    Ok(Answer { stops, gaps: ruleset.gaps })
}

/// Said where the way can't be followed.
const AFTER: &str = "what the hooks behind do: a rule translates the destination to one that is not known beforehand; ask again with that one and --hook";

fn destination(changed: &Packet) -> Option<String> {
    let address = changed.destination?;
    Some(match changed.destination_port {
        Some(port) => std::net::SocketAddr::new(address, port).to_string(),
        None => address.to_string(),
    })
}

fn stop(ruleset: &Ruleset, packet: &Packet, hook: Hook, walk: &Walk, world: &Live, verbose: bool) -> Stop {
    let suspects = walk.candidates.iter();
    let suspects = suspects
        .filter_map(|candidate| Suspect::new(ruleset, candidate, (packet, hook), world, Proof::Unread))
        .collect();
    let unknown = walk.unknown.clone();
    let ruling = Ruling {
        suspects,
        rules: rule_count(ruleset),
        read: SystemTime::now(),
        unknown,
        conntrack: None,
        connections: Connections::None,
    };
    let steps = if verbose { steps(ruleset, walk, world) } else { Vec::new() };
    Stop { hook, outcome: walk.outcome, is_empty: walk.steps.is_empty(), destination: None, ruling, steps }
}

/// The rules in the order in which they were looked at, each base chain before its rules.
fn steps(ruleset: &Ruleset, walk: &Walk, world: &Live) -> Vec<Step> {
    let named = |place: Place, depth, says: &str| {
        let names = ruleset.table(place).zip(ruleset.chain(place));
        let chain = names.map(|(table, chain)| format!("{} {}/{}", table.family.as_str(), table.name, chain.name));
        let (chain, text) = (chain.unwrap_or_default(), text_at(ruleset, place, world));
        Step { depth, chain, number: place.number, text, says: says.to_owned() }
    };
    let mut steps = Vec::new();
    let mut inside = None;
    for step in &walk.steps {
        let is_base = ruleset.chain(step.place).is_some_and(|chain| chain.base.is_some());
        let chain = (step.place.table, step.place.chain);
        if is_base && step.depth == 0 && inside != Some(chain) {
            inside = Some(chain);
            steps.push(named(Place { number: 0, ..step.place }, 0, ""));
        }
        steps.push(named(step.place, step.depth, &step.says));
    }
    steps
}
