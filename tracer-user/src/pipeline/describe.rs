//! From what is due to the event that is printed: names, then the explanation, kept until names change.
//!
//! Rule: this is where facts are held for the line; the functions that use them are in [`crate::enrich`] and
//! [`crate::explain`] and do no input or output.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracer_common::TotalKey;

use crate::aggregate::{Due, PlaceTally};
use crate::btf::ReasonNames;
use crate::counter::{self, CounterHandle};
use crate::decode::Dropped;
use crate::enrich::{self, Facts};
use crate::event::{Drop, Explanation, Header, Interface, PlaceTotal, SCHEMA, SourceLine};
use crate::explain;
use crate::host::clock::monotonic;
use crate::host::{self, Clock, HostHandle};
use crate::inquiry::Case;
use crate::kubernetes::{self, Directory};
use crate::load::{Hook, Kernel};
use crate::netfilter::{self, NetfilterHandle};
use crate::node;

use super::answers::{self, Answers, Finding, Kind, Question};
use super::names::Named;
use super::symbols::SymbolTable;
use super::{PipelineError, Watch};

/// Interface names remembered, about 50 bytes each.
const MOST_NAMES: usize = 4096;

/// How long the start waits for the first rulesets at most; they take some ms, and 100,000 rules half a second.
const FIRST_READING: Duration = Duration::from_secs(2);

/// Why no rule is asked about a flow that has no event of its own.
const ONLY_COUNTED: &str = "the packet itself: it was only counted, for too many flows began at once";

/// What `--confirm` changes, said before it is done.
const CONFIRM: &str =
    "--confirm adds a table whydrop-trace-… of nf_tables to namespaces where a drop is not certain, for 10 s at most";

/// What was worked out about packets of a flow.
#[derive(Debug)]
pub(super) struct Known {
    case: Case,
    drop: Drop,
    /// As it is without what the network policies say.
    explanation: Explanation,
    /// How long the names hold that the drop has.
    named: Option<Named>,
}

/// Facts, and the readers that renew them.
pub(super) struct Describer {
    reasons: ReasonNames,
    symbols: SymbolTable,
    host: HostHandle,
    facts: Arc<host::Facts>,
    pub(super) directory: Directory,
    clock: Clock,
    /// When the tick before this one began, `CLOCK_MONOTONIC` ns.
    pub(super) tick_before: u64,
    tick: u64,
    /// What this kernel or node does not show.
    coverage: Vec<String>,
    with_stack: bool,
    /// Names that came with events, by namespace and index: right even for interfaces that are gone.
    interface_names: HashMap<(u32, u32), String>,
    pub(super) answers: Answers,
    pub(super) counters: CounterHandle,
}

impl Describer {
    pub(super) fn new(kernel: Kernel, watch: &Watch) -> Result<Self, PipelineError> {
        let directory = kubernetes::spawn(watch.names.clone())?;
        let host = host::spawn(host::Reader::default().knowing(watch.namespaces.clone()))?;
        let mut coverage = kernel.gaps();
        let (symbols, hidden) = SymbolTable::start();
        coverage.extend(hidden);
        if watch.confirm {
            coverage.push(CONFIRM.to_owned());
        }
        let plan = counter::Plan { scope: watch.counters.clone(), only: watch.only.clone(), all: watch.all };
        let counters = counter::spawn(host.subscribe(), plan)?;
        let answers = Answers::new(start_netfilter(&host, watch)?, node::spawn(host.subscribe())?);
        counters.wait_for_first_look(FIRST_READING);
        directory.wait_for_first_listing(FIRST_READING);
        coverage.extend(directory.gaps());
        Ok(Self {
            reasons: kernel.reasons,
            symbols,
            facts: host.facts(),
            host,
            answers,
            counters,
            directory,
            clock: Clock::measure(),
            tick_before: monotonic(),
            tick: monotonic(),
            coverage,
            with_stack: watch.stack,
            interface_names: HashMap::new(),
        })
    }

    pub(super) fn header(&self, hook: &Hook, map_bytes: u64) -> Header {
        let kernel = host::Kernel::read();
        Header {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").into(),
            host: kernel.hostname,
            kernel: kernel.release,
            started: Self::now(),
            boot_id: kernel.boot_id.unwrap_or_default(),
            map_bytes,
            sources: vec![SourceLine { name: "drop".into(), hook: hook.name.into(), reason: hook.reason.clone() }],
            coverage: self.coverage.clone(),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What is not known of pods and policies by now, and was when the header was told.
    pub(super) fn late_gaps(&self) -> impl Iterator<Item = String> {
        self.directory.gaps().into_iter().filter(|gap| !self.coverage.contains(gap))
    }

    /// The host's network namespace, once it is known.
    pub(super) fn host_netns(&self) -> Option<u32> {
        self.facts.host().map(|host| host.inode)
    }

    /// What is known of the host, as it is renewed.
    pub(super) fn subscribe(&self) -> tokio::sync::watch::Receiver<Arc<host::Facts>> {
        self.host.subscribe()
    }

    /// Takes up what the readers have found; true if names may have changed.
    pub(super) fn refresh(&mut self) -> bool {
        self.clock = Clock::measure();
        self.tick_before = std::mem::replace(&mut self.tick, monotonic());
        let facts = self.host.facts();
        let changed = !Arc::ptr_eq(&facts, &self.facts);
        self.facts = facts;
        changed
    }

    /// The event for what is due of a flow, made once and kept in `known` until names or answers change; `None` while an
    /// answer is waited for.
    pub(super) fn describe<'a>(
        &mut self,
        due: &Due,
        sample: Option<&Dropped>,
        known: &'a mut Option<Box<Known>>,
    ) -> Option<&'a Drop> {
        let case = Case::new(due.key, sample);
        if known.as_ref().is_some_and(|known| known.case != case) || self.answers.is_old(&case) {
            *known = None;
        }
        if known.is_none() {
            self.learn(&case);
            let drop = self.build(due, sample, case)?;
            if let (true, Some(name)) = (self.interface_names.len() < MOST_NAMES, &drop.interface.name) {
                self.interface_names.insert((due.key.netns, due.key.ifindex), name.clone());
            }
            let explanation = drop.explanation.clone();
            *known = Some(Box::new(Known { case, drop, explanation, named: None }));
        }
        let Known { drop, explanation, named, .. } = known.as_deref_mut()?;
        drop.time = match due.time {
            Some(monotonic) => rfc3339(self.clock.wall(monotonic)),
            None => Self::now(),
        };
        drop.count = due.since_last.packets;
        drop.bytes = due.since_last.bytes;
        let mut before = std::mem::replace(&mut drop.packet, enrich::packet(&due.key, sample));
        let span = self.span(due.time);
        let has_names = named.is_some_and(|named| self.is_named(named, span));
        if !has_names || !enrich::keep_names(&mut before, &mut drop.packet) {
            drop.explanation.clone_from(explanation);
            let is_another = self.facts.is_another(due.key.netns, case.netns_cookie);
            *named = Some(self.name_drop(drop, span, is_another));
        }
        Some(drop)
    }

    /// Whether a question about a flow that was not asked so far can be asked now.
    pub(super) fn can_ask(&mut self, case: &Case) -> bool {
        !self.answers.has(case) && self.is_known(case)
    }

    /// Whether the namespace of a case has a name, and a way in.
    fn is_known(&self, case: &Case) -> bool {
        let facts = self.host.facts();
        facts.netns(case.flow.netns).is_some() && !facts.is_another(case.flow.netns, case.netns_cookie)
    }

    /// Does without the answer about a case, whether it was asked for or could not be.
    pub(super) fn give_up(&mut self, case: Case) {
        self.answers.give_up(case, self.is_known(&case));
    }

    /// Uses the newest names, and asks for those that are still missing.
    fn learn(&mut self, case: &Case) {
        self.symbols.learn(case.flow.location);
        self.facts = self.host.facts();
        if let Some(unknown) = self.facts().unknown(&case.flow, case.netns_cookie) {
            // A full queue is no loss: the flow's next line asks again.
            self.host.ask(unknown);
        }
    }

    fn build(&mut self, due: &Due, sample: Option<&Dropped>, case: Case) -> Option<Drop> {
        let mut host_facts = Arc::clone(&self.facts);
        if host_facts.is_another(due.key.netns, case.netns_cookie) {
            // Nothing that was known under its number is said of it.
            host_facts = Arc::new(host_facts.without(due.key.netns));
        }
        let (facts, key) = (Facts { host: &host_facts, reasons: &self.reasons, symbols: self.symbols.get() }, &due.key);
        let stack = sample.map_or_else(Vec::new, |sample| enrich::stack(&sample.stack, facts.symbols));
        let mut reason = enrich::reason(key.reason, facts.reasons);
        let location = enrich::place(key, &facts);
        let packet = enrich::packet(key, sample);
        let stack_symbols: Vec<&str> = stack.iter().map(String::as_str).collect();
        let interface = enrich::interface_of(key, sample, facts.host);
        let entry = match facts.host.netns(key.netns) {
            Some(netns) => netns.entry_command(),
            None => (key.netns != 0).then(|| host::entry_by_inode(key.netns)),
        };
        let observation = explain::Observation {
            reason: reason.code.map(|_| reason.name.as_str()),
            location: location.is_named().then_some(&location.symbol),
            stack: &stack_symbols,
            interface: interface.name.as_deref(),
            netns_entry: entry.as_deref(),
            ..enrich::observation(key, sample)
        };
        let finding = match explain::wanted(&observation) {
            Some(wanted) => {
                let scene = Scene { due, case, sample, interface: &interface, facts: &host_facts };
                match ask(&mut self.answers, wanted, &observation, &scene) {
                    answers::Known::Asked => return None,
                    answers::Known::Is(finding) => Some(finding),
                }
            }
            None => None,
        };
        let (ruling, state) = (finding.as_ref().and_then(Finding::ruling), finding.as_ref().and_then(Finding::state));
        let verdict = explain::judge(&explain::Observation { ruling, state, ..observation });
        reason.derived = verdict.derived.map(str::to_owned);
        Some(Drop {
            time: String::new(),
            count: 0,
            bytes: 0,
            severity: verdict.severity,
            severity_why: verdict.severity_why.to_owned(),
            reason,
            location,
            stack: self.with_stack.then_some(stack),
            hook: verdict.hook,
            netns: enrich::netns(key.netns, facts.host),
            interface,
            in_interface: sample.and_then(|sample| enrich::in_interface(sample, facts.host)),
            out_interface: sample.and_then(|sample| enrich::out_interface(sample, verdict.hook, facts.host)),
            bridge_in_interface: sample
                .and_then(|sample| enrich::bridge_port(sample, sample.event.bridge_in_ifindex, facts.host)),
            bridge_out_interface: sample
                .and_then(|sample| enrich::bridge_port(sample, sample.event.bridge_out_ifindex, facts.host)),
            packet,
            conntrack: sample.and_then(enrich::conntrack),
            socket: sample.and_then(enrich::socket),
            process: state.and_then(node::State::process).map(enrich::process),
            explanation: verdict.explanation,
        })
    }

    /// Whether this kernel has all of these reasons; an empty name stands for none.
    pub(super) fn knows_reasons<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        names.into_iter().all(|name| name.is_empty() || self.reasons.code(name).is_some())
    }

    /// A row of the totals.
    pub(super) fn place_total(&self, key: &TotalKey, tally: &PlaceTally) -> PlaceTotal {
        let facts = self.facts();
        let all = tally.all();
        PlaceTotal {
            netns: self.name_netns(enrich::netns(key.netns, facts.host)),
            interface: self.interface(key.netns, key.ifindex),
            reason: enrich::reason(key.reason, facts.reasons),
            location: enrich::location(key.location, facts.symbols),
            packets: all.packets,
            bytes: all.bytes,
            other_flows: tally.other.packets,
        }
    }

    fn interface(&self, netns: u32, index: u32) -> Interface {
        match self.interface_names.get(&(netns, index)) {
            Some(name) => Interface { index, name: Some(name.clone()) },
            None => enrich::interface(netns, index, &self.facts),
        }
    }

    pub(super) fn now() -> String {
        rfc3339(SystemTime::now())
    }

    /// What a namespace is called by now.
    pub(super) fn netns_name(&self, inode: u32) -> Option<String> {
        enrich::netns(inode, self.facts().host).name
    }

    fn facts(&self) -> Facts<'_> {
        Facts { host: &self.facts, reasons: &self.reasons, symbols: self.symbols.get() }
    }
}

/// What a question about a drop is made of.
struct Scene<'a> {
    due: &'a Due,
    case: Case,
    sample: Option<&'a Dropped>,
    interface: &'a Interface,
    facts: &'a host::Facts,
}

/// Asks what the explanation wants to know.
fn ask(
    answers: &mut Answers,
    wanted: explain::Wanted,
    drop: &explain::Observation<'_>,
    scene: &Scene<'_>,
) -> answers::Known {
    let Scene { due, case, sample, interface, facts } = *scene;
    match wanted {
        explain::Wanted::Rule(at) => answers.of(case, Kind::Rule, || {
            let sample = sample.ok_or(ONLY_COUNTED)?;
            Ok(netfilter::Question::new(at, due, sample, interface, facts)?.map(Question::Rule))
        }),
        explain::Wanted::State(topic) => answers.of(case, Kind::State, || {
            if due.key.netns == 0 {
                return Err("in which network namespace it was: the kernel does not show it".to_owned());
            }
            let Some(netns) = facts.netns(due.key.netns).cloned() else { return Ok(None) };
            let packet = node::Packet::new(drop, interface, sample);
            let time = due.time.unwrap_or(0);
            let netns_cookie = case.netns_cookie;
            Ok(Some(Question::State(node::Question { case, topic, netns, netns_cookie, packet, time })))
        }),
    }
}

/// Starts reading rulesets, and waits a moment for the first ones.
fn start_netfilter(host: &HostHandle, watch: &Watch) -> Result<NetfilterHandle, PipelineError> {
    let plan = netfilter::Plan { only: watch.only.clone(), confirm: watch.confirm };
    let handle = netfilter::spawn(host.subscribe(), plan)?;
    handle.wait_for_first_reading(FIRST_READING);
    Ok(handle)
}

pub(super) fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_nanos(time).to_string()
}
