//! `--confirm`: the kernel itself is asked which rule drops a flow, by a trace of that flow for a short while.
//!
//! Rules: only what was asked for by `--confirm` comes here, because a trace adds a table to the namespace (which goes with
//! this process, whatever ends it). Each flow is traced once in a while and few at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracer_common::FlowKey;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::model::{Backend, Place, Verdict};
use tracer_netfilter::packet::Known;
use tracer_netfilter::trace::{Entry, Flow, Origin, TraceError, TracedDrop, Tracer};
use tracer_netfilter::walk::{Candidate, End, Layer};
use tracer_netfilter::{Hook, Packet, Ruleset};

use super::conntrack::Connections;
use super::ruling::{Ruling, rule_count};
use super::suspect::{Proof, Suspect};
use super::{Question, Spot};
use crate::host::enter;
use crate::inquiry::{Answer, Answers};

/// How long a flow is traced: a client's third SYN comes 3 s after the first (RFC 6298).
const TRACED: Duration = Duration::from_secs(10);
/// A flow is traced again only after this.
const AGAIN: Duration = Duration::from_mins(2);
/// Flows traced at once.
const MOST_AT_ONCE: usize = 4;
/// Flows remembered.
const MOST_KEPT: usize = 1024;

/// What `--confirm` comes to where the kernel says that it was no rule of nf_tables.
const NOT_TRACED: &str = "rules of iptables-legacy can't be traced, so --confirm says no more";

/// Starts traces.
#[derive(Debug, Default)]
pub(super) struct Confirmer {
    begun: HashMap<FlowKey, Instant>,
    running: Arc<AtomicUsize>,
}

impl Confirmer {
    /// If `ruling` is not certain, has the flow traced, or says why that can't be.
    pub(super) fn review(&mut self, question: &Question, ruling: &mut Ruling, publish: &Answers<Ruling>) {
        if ruling.is_certain() {
            return;
        }
        match question.backend {
            Some(Backend::Legacy) => ruling.unknown.push(NOT_TRACED.to_owned()),
            _ => self.confirm(question, publish),
        }
    }

    /// Has the flow traced, if it was not lately and there is room; the answer comes by `publish`.
    fn confirm(&mut self, question: &Question, publish: &Answers<Ruling>) {
        let lately = self.begun.get(&question.case.flow).is_some_and(|begun| begun.elapsed() < AGAIN);
        if lately || self.running.load(Ordering::Relaxed) >= MOST_AT_ONCE {
            return;
        }
        if self.begun.len() >= MOST_KEPT {
            self.begun.clear();
        }
        self.begun.insert(question.case.flow, Instant::now());
        let (question, publish, running) = (question.clone(), publish.clone(), Arc::clone(&self.running));
        running.fetch_add(1, Ordering::Relaxed);
        let started = thread::Builder::new().name("confirm".to_owned()).spawn({
            let running = Arc::clone(&running);
            move || {
                if let Some(ruling) = confirmed(&question) {
                    // The line may have ended meanwhile.
                    let _ended = publish.send(Answer { case: question.case, finding: Arc::new(ruling) });
                }
                running.fetch_sub(1, Ordering::Relaxed);
            }
        });
        if let Err(error) = started {
            running.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!("no trace: no thread could be started ({error}); raise the process limit (ulimit -u)");
        }
    }
}

/// What the kernel says of the flow; `None` if it had no drop to speak of.
fn confirmed(question: &Question) -> Option<Ruling> {
    let work = || {
        enter::check(question.netns.inode, question.netns_cookie)?;
        Ok(trace(question))
    };
    match enter::one(&question.netns, work) {
        Ok(Ok(ruling)) => ruling,
        Ok(Err(error)) => {
            tracing::warn!("no trace in network namespace {}: {error}", question.netns.inode);
            None
        }
        Err(error) => {
            tracing::warn!("no trace: {error}");
            None
        }
    }
}

fn trace(question: &Question) -> Result<Option<Ruling>, TraceError> {
    let Some((flow, entry)) = traced(question) else { return Ok(None) };
    let mut tracer = Tracer::start(&flow, &[entry])?;
    let seen = tracer.next_drop(Instant::now() + TRACED)?;
    tracer.stop()?;
    let Some(seen) = seen else { return Ok(None) };
    let (ruleset, world) = (live::ruleset(), Live::new());
    let suspect = candidate(&ruleset, &seen).zip(question.spots.first()).and_then(|(candidate, spot)| {
        Suspect::new(&ruleset, &candidate, (&spot.packet, spot.hook), &world, Proof::Traced)
    });
    let (rules, read) = (rule_count(&ruleset), SystemTime::now());
    Ok(suspect.map(|suspect| Ruling {
        suspects: vec![suspect],
        rules,
        read,
        unknown: Vec::new(),
        conntrack: None,
        connections: Connections::None,
    }))
}

/// The flow as it comes to the hook; any source port, because a client tries again from another one.
fn traced(question: &Question) -> Option<(Flow, Entry)> {
    let spot = question.spots.first()?;
    let packet: &Packet = &spot.packet;
    let flow = Flow {
        protocol: packet.protocol?,
        source: packet.source?,
        destination: packet.destination?,
        source_port: None,
        destination_port: packet.destination_port,
    };
    let entry = match (spot.layer, spot.hook, &packet.input) {
        // Where it is not known, it is most likely a hook of IP.
        _ if question.spots.len() > 1 => Entry::Ip,
        (Layer::Bridge, ..) => Entry::Bridge,
        (Layer::Device, Hook::Ingress, Known::Is(device)) => Entry::Ingress(device.name.clone()),
        // What leaves by a device has come by a hook of IP.
        (Layer::Ip, ..) | (Layer::Device, Hook::Egress, _) => Entry::Ip,
        (Layer::Device | Layer::Arp, ..) => return None,
    };
    Some((before_translation(flow, spot), entry))
}

/// An address that this hook itself translates is another one when the packet comes to it.
fn before_translation(flow: Flow, spot: &Spot) -> Flow {
    let original = match &spot.packet.connection {
        Known::Is(connection) if !connection.is_reply => connection.original,
        _ => None,
    };
    match (spot.hook, original) {
        (Hook::Prerouting | Hook::Output, Some(tuple)) => Flow {
            destination: tuple.destination,
            destination_port: flow.destination_port.map(|_| tuple.destination_port),
            ..flow
        },
        (Hook::Postrouting | Hook::Input, Some(tuple)) => Flow { source: tuple.source, ..flow },
        _ => flow,
    }
}

fn candidate(ruleset: &Ruleset, seen: &TracedDrop) -> Option<Candidate> {
    let place = seen.end.place(ruleset)?;
    let end = if seen.end.origin == Origin::Policy { End::Policy } else { End::Drop };
    let mut path: Vec<Place> = Vec::new();
    for event in &seen.path {
        let step = event.place(ruleset).filter(|step| step.table == place.table);
        match (&event.verdict, step) {
            (Verdict::Jump(_) | Verdict::Goto(_), Some(step)) => path.push(step),
            _ if event.origin == Origin::Return => drop(path.pop()),
            _ => {}
        }
    }
    // The kernel does not tell of each chain's end: what jumped from here has returned.
    let left = path.iter().position(|step| step.chain == place.chain).unwrap_or(path.len());
    path.truncate(left);
    path.push(place);
    Some(Candidate { place, end, path, unknown: Vec::new(), marks: Vec::new(), sets: Vec::new() })
}
