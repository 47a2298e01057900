//! What is kept of one namespace's firewall between questions.
//!
//! Rule: a ruleset is read once and stays as it was first read, counters included, until its rules change: so a counter
//! can be compared with what it was before a drop.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracer_netfilter::evaluate::walk;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::model::{Backend, Place};
use tracer_netfilter::packet::{ConnectionState, Device, Known};
use tracer_netfilter::walk::{Candidate, Layer, Question as Asked, Walk};
use tracer_netfilter::{Packet, Ruleset, World};

use super::conntrack::{self, Connections, Memory, Translator};
use super::ruling::{Ruling, rule_count};
use super::suspect::{Proof, Suspect, counter, translator};
use super::{Question, Spot};
use crate::host::{clock, enter};

/// Legacy tables tell nobody when they change, so they are looked at again for each batch of questions, but for no more than
/// this share of the time (one part in so many).
const LEGACY_SHARE: u32 = 10;
/// Reading legacy tables that takes no longer is done as often as there are questions.
const CHEAP: Duration = Duration::from_millis(2);
/// Suspects told at most.
const MOST_SUSPECTS: usize = 8;

/// The firewall of one namespace. Its methods must run inside that namespace.
#[derive(Debug, Default)]
pub(super) struct Namespace {
    /// Whose it is, if this kernel tells: a number is soon another one's.
    cookie: Option<u64>,
    reading: Option<Reading>,
    conntrack: Memory,
}

#[derive(Debug)]
struct Reading {
    ruleset: Arc<Ruleset>,
    /// Nanoseconds of `CLOCK_MONOTONIC` when it was done: counters are those of before.
    done: u64,
    at: SystemTime,
    /// When legacy tables were last looked at again, and how long that took.
    looked: Instant,
    cost: Duration,
}

impl Namespace {
    /// Reads what is there, to compare counters with later.
    pub(super) fn prime(&mut self) {
        self.begin();
        if self.reading.is_none() {
            self.reading = Some(Reading::new());
            self.conntrack.prime();
        }
    }

    /// Forgets what is kept of another one that had the same number.
    fn begin(&mut self) {
        let cookie = enter::cookie();
        if cookie != self.cookie {
            *self = Self { cookie, ..Self::default() };
        }
    }

    /// Answers questions on the ruleset as it is now.
    pub(super) fn answer(&mut self, questions: &[Question]) -> Vec<Ruling> {
        self.begin();
        let reads_legacy = self.reading.as_ref().is_none_or(Reading::may_read_legacy);
        let reading = self.current();
        let (ruleset, done, at) = (Arc::clone(&reading.ruleset), reading.done, reading.at);
        let earliest = questions.iter().map(|question| question.time).min().unwrap_or_default();
        let pressure = self.conntrack.look(earliest);
        let world = Live::new();
        let counters = Counters { ruleset: &ruleset, done, reads_legacy, now: HashMap::new() };
        let has_invalid = pressure.is_some_and(|pressure| pressure.invalid > 0);
        let mut search = Search { ruleset: &ruleset, world: &world, counters, has_invalid };
        let rule = |question: &Question| {
            if let Err(error) = enter::check(question.netns.inode, question.netns_cookie) {
                return Ruling::unreadable(error.to_string());
            }
            let Found { suspects, translators, mut unknown } = search.question(question);
            if question.spots.len() > 1 && suspects.len() != 1 {
                unknown.push("at which hook it was: the stack does not tell".to_owned());
            }
            unknown.splice(0..0, ruleset.gaps.iter().cloned());
            let (rules, connections) = (rule_count(&ruleset), Connections::None);
            let mut ruling = Ruling { suspects, rules, read: at, unknown, conntrack: pressure, connections };
            ruling.weigh();
            let translators = || translators.iter().filter_map(|place| translator(&ruleset, *place, &world)).collect();
            let mut open = Vec::new();
            ruling.connections = connections_of(&mut self.conntrack, question, &ruling, &mut open, translators);
            ruling.unknown.append(&mut open);
            ruling
        };
        questions.iter().map(rule).collect()
    }

    /// The ruleset, read again if it may have changed.
    fn current(&mut self) -> &Reading {
        let kept = self.reading.take();
        let reading = kept.and_then(|mut kept| kept.is_current().then_some(kept)).unwrap_or_else(Reading::new);
        self.reading.insert(reading)
    }
}

impl Reading {
    fn new() -> Self {
        let ruleset = Arc::new(live::ruleset());
        let (done, at, looked) = (clock::monotonic(), SystemTime::now(), Instant::now());
        Self { ruleset, done, at, looked, cost: Duration::ZERO }
    }

    fn may_read_legacy(&self) -> bool {
        self.cost <= CHEAP || self.looked.elapsed() >= self.cost * LEGACY_SHARE
    }

    /// Whether the rules are still these.
    fn is_current(&mut self) -> bool {
        if !live::is_nft_unchanged(&self.ruleset) {
            return false;
        }
        if !self.may_read_legacy() {
            return true;
        }
        let begun = Instant::now();
        let is_unchanged = live::is_legacy_unchanged(&self.ruleset);
        (self.looked, self.cost) = (Instant::now(), begun.elapsed());
        is_unchanged
    }
}

/// What the connection table has to do with a drop: it is looked at only where it may have.
fn connections_of(
    memory: &mut Memory,
    question: &Question,
    ruling: &Ruling,
    unknown: &mut Vec<String>,
    translators: impl FnOnce() -> Vec<Translator>,
) -> Connections {
    let is_invalid = ruling.suspects.first().is_some_and(|first| first.needs_invalid);
    match (question.spots.first(), ruling.conntrack) {
        (Some(spot), _) if is_invalid => conntrack::invalid(&spot.packet),
        // Rules whose counters stood still did not do it, if something else can have.
        (_, Some(pressure)) if ruling.is_without_rule() && question.backend != Some(Backend::Nft) => {
            memory.of_core(question, &pressure, unknown, translators)
        }
        _ => Connections::None,
    }
}

/// What the rules say of one question.
struct Found {
    suspects: Vec<Suspect>,
    /// Rules that translate the packet, or may.
    translators: Vec<Place>,
    unknown: Vec<String>,
}

/// Looks for rules.
struct Search<'a> {
    ruleset: &'a Ruleset,
    world: &'a Live,
    counters: Counters<'a>,
    /// Connection tracking called packets invalid of late.
    has_invalid: bool,
}

impl Search<'_> {
    fn question(&mut self, question: &Question) -> Found {
        let mut found = Found { suspects: Vec::new(), translators: Vec::new(), unknown: Vec::new() };
        let mut places = HashSet::new();
        for spot in &question.spots {
            let packet = named(spot, self.world);
            let Spot { hook, layer, .. } = *spot;
            let asked = Asked { packet: &packet, hook, layer, backend: question.backend, verbose: false };
            let walk = walk(self.ruleset, &asked, self.world);
            let tracked = self.would_end_tracked(&asked, &walk);
            found.unknown.extend(walk.unknown);
            found.translators.extend(walk.translators);
            // Two hooks may lead to the same rule.
            let new = walk.candidates.iter().filter(|candidate| places.insert(candidate.place));
            for candidate in new.take(MOST_SUSPECTS.saturating_sub(found.suspects.len())) {
                let proof = self.counters.proof(candidate, question.time);
                let suspect = Suspect::new(self.ruleset, candidate, (&packet, hook), self.world, proof);
                let needs_invalid = tracked.as_ref().is_some_and(|places| !places.contains(&candidate.place));
                found.suspects.extend(suspect.map(|suspect| Suspect { needs_invalid, ..suspect }));
            }
        }
        found
    }

    /// Rules that would end an invalid packet as well if it began a connection or belonged to one; `None` if it is not
    /// invalid. The others end it because it is.
    fn would_end_tracked(&self, asked: &Asked<'_>, walked: &Walk) -> Option<HashSet<Place>> {
        if !self.has_invalid || walked.candidates.is_empty() || !conntrack::is_invalid(asked.packet) {
            return None;
        }
        let places = |state| {
            let packet = conntrack::tracked(asked.packet, state)?;
            let walk = walk(self.ruleset, &Asked { packet: &packet, ..*asked }, self.world);
            Some(walk.candidates.into_iter().map(|candidate| candidate.place))
        };
        let (new, established) = (places(ConnectionState::New)?, places(ConnectionState::Established)?);
        Some(new.chain(established).collect())
    }
}

/// Counters as they are now, each read once a batch.
struct Counters<'a> {
    ruleset: &'a Ruleset,
    done: u64,
    /// All of a legacy table is read for one of its counters.
    reads_legacy: bool,
    now: HashMap<Place, Option<u64>>,
}

impl Counters<'_> {
    /// `time`: of the drop, on the clock of `done`.
    fn proof(&mut self, candidate: &Candidate, time: u64) -> Proof {
        let place = candidate.place;
        let Some(then) = counter(self.ruleset, place) else { return Proof::NoCounter };
        let ruleset = self.ruleset;
        let is_legacy = ruleset.table(place).is_some_and(|table| table.backend == Backend::Legacy);
        if is_legacy && !self.reads_legacy && !self.now.contains_key(&place) {
            return Proof::Unread;
        }
        let now = *self.now.entry(place).or_insert_with(|| live::counter(ruleset, place).map(|now| now.packets));
        match now {
            None => Proof::Unread,
            Some(to) if time > self.done => Proof::Rose { from: then.packets, to },
            Some(to) => Proof::Stands(to),
        }
    }
}

/// The packet with its devices' names and groups. Rules of IP see a bridged packet on the bridge, not on its ports.
fn named(spot: &Spot, world: &Live) -> Packet {
    let mut packet = spot.packet.clone();
    let ends = [&mut packet.input, &mut packet.output, &mut packet.bridge_input, &mut packet.bridge_output];
    for device in ends {
        name(device, world);
    }
    if spot.layer == Layer::Ip {
        on_bridge(&packet.bridge_input, &mut packet.input, world);
        on_bridge(&packet.bridge_output, &mut packet.output, world);
    }
    packet
}

fn name(device: &mut Known<Device>, world: &Live) {
    if let Known::Is(known) = device
        && let Ok(found) = world.device(known.index)
    {
        let name = if known.name.is_empty() { found.name.clone() } else { known.name.clone() };
        *device = Known::Is(Device { name, ..found });
    }
}

fn on_bridge(port: &Known<Device>, device: &mut Known<Device>, world: &Live) {
    if let Known::Is(port) = port
        && let Some(bridge) = port.master.filter(|master| *master != 0)
        && let Ok(bridge) = world.device(bridge)
    {
        *device = Known::Is(bridge);
    }
}
