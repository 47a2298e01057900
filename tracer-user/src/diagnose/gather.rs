//! From events to groups: what was decided by the same thing is one group, however many it hit.
//!
//! Rule: bounded; what does not fit is counted. Attempts that a drop ended are joined to that drop at the end, so that nothing is
//! told twice.

use std::collections::HashMap;
use std::mem::replace;
use std::net::IpAddr;

use crate::event::{
    Cause, Confidence, Counter, Direction, Dns, Drop, Explanation, Flow, Netns, Outcome, Seen, SeenPacket, Severity,
};
use crate::sink::{endpoint, named, place_of};

use super::group::{Failure, Group, Hit, Kind};
use super::names::Names;
use super::same::{Few, SameDrops};
use super::talk::Talk;

const MOST_GROUPS: usize = 1024;
/// Pairs of ends in all groups together, some 200 bytes each.
const MOST_HITS: usize = 65_536;
/// Pairs of ends of dropped packets that attempts are looked up by.
const MOST_DROPPED: usize = 65_536;
/// Attempts kept in all groups together, 1 to 2 KiB each.
const MOST_SAMPLES: usize = 4096;

/// What has a group of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    /// A drop or counter: its namespace, and what decided.
    Decided(u32, String),
    /// Attempts: what became of them, why, and what decided, or at which place and to which port they failed.
    Attempts(Outcome, Cause, What),
    /// Queries: whom they were for, and how they failed.
    Queries(Option<IpAddr>, Failure),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum What {
    Named(String),
    Place { netns: u32, index: u32, protocol: u8, port: u16 },
}

/// All failures so far.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Inodes; all if empty.
    scope: Vec<u32>,
    keys: HashMap<Key, usize>,
    groups: Vec<Group>,
    dropped: HashMap<Talk, Few>,
    same: SameDrops,
    hits: usize,
    samples: usize,
    /// Packets, attempts and queries for which there was no room.
    left_out: u64,
    /// Packets dropped in the scope that are a problem.
    dropped_there: u64,
}

impl Gathered {
    pub(super) fn new(scope: Vec<u32>) -> Self {
        Self { scope, ..Self::default() }
    }

    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped_there
    }

    pub(super) fn drop(&mut self, drop: &Drop) {
        if drop.severity != Severity::Problem {
            return;
        }
        let in_scope = self.is_in_scope(drop.netns.inode);
        self.dropped_there += if in_scope { drop.count } else { 0 };
        let (talk, said) = (Talk::of_drop(drop), &drop.explanation);
        let named = named(said);
        let is_named = named.is_some();
        let what = named.unwrap_or_else(|| shape(said, talk.as_ref()));
        let place = || place_of(Some(&drop.interface), &drop.netns);
        let Some(at) = self.group(Key::Decided(drop.netns.inode, what), drop.count, || (Kind::Drop, place())) else {
            return;
        };
        self.same.add(drop, talk, is_named, at);
        for talk in talk.into_iter().chain(Talk::of_either_end(drop)) {
            if self.dropped.len() < MOST_DROPPED || self.dropped.contains_key(&talk) {
                self.dropped.entry(talk).or_default().add(at);
            }
        }
        let ends = talk.and_then(|talk| Names::of_drop(drop, &talk));
        let hit = Hit { netns: drop.netns.clone(), packets: drop.count, names: ends, ..Hit::default() };
        self.hit(at, talk, &hit);
        if let Some(group) = self.groups.get_mut(at) {
            group.in_scope |= in_scope;
            group.said.add(drop.count, said);
            group.at(&drop.time);
        }
    }

    pub(super) fn counter(&mut self, counter: &Counter) {
        let said = &counter.explanation;
        let what = named(said).unwrap_or_else(|| shape(said, None));
        let key = Key::Decided(counter.netns.inode, what);
        let place = || place_of(counter.interface.as_ref(), &counter.netns);
        let Some(at) = self.group(key, counter.delta, || (Kind::Counter, place())) else { return };
        let in_scope = self.is_in_scope(counter.netns.inode);
        if let Some(group) = self.groups.get_mut(at) {
            group.in_scope |= in_scope;
            group.unnamed += counter.delta;
            group.said.add(counter.delta, said);
            group.at(&counter.time);
        }
    }

    pub(super) fn flow(&mut self, flow: &Flow) {
        let undecided = Explanation::new(Cause::Unknown, Confidence::Unknown, "not decided");
        let said = flow.explanation.as_ref().unwrap_or(&undecided);
        let seen = last_seen(flow);
        let talk = Talk::of_flow(flow);
        let what = named(said).map_or_else(
            || What::Place {
                netns: seen.map_or(0, |seen| seen.netns.inode),
                index: seen.map_or(0, |seen| seen.interface.index),
                protocol: talk.map_or(0, |talk| talk.protocol),
                port: talk.map_or(0, |talk| talk.port),
            },
            What::Named,
        );
        // Without the pod: it tells places apart, and a name may come later.
        let plain = |netns: &Netns| Netns { pod: None, ..netns.clone() };
        let place = || seen.map_or_else(String::new, |seen| place_of(Some(&seen.interface), &plain(&seen.netns)));
        let key = Key::Attempts(flow.outcome, said.cause, what);
        let Some(at) = self.group(key, 1, || (Kind::Flow(flow.outcome), place())) else { return };
        let translated = flow.translated.as_ref();
        let hit = Hit {
            netns: flow.seen.first().map_or_else(Netns::default, |seen| seen.netns.clone()),
            attempts: 1,
            translated: translated.and_then(|ends| Talk::new(&flow.protocol, &ends.source, &ends.destination)),
            names: Names::of(&flow.source, &flow.destination, translated.map(|ends| &ends.destination)),
            ..Hit::default()
        };
        self.hit(at, talk, &hit);
        let has_room = self.samples < MOST_SAMPLES;
        if let Some(group) = self.groups.get_mut(at) {
            group.in_scope = true;
            group.tries += flow.attempts;
            group.refused += u64::from(flow.outcome == Outcome::Rejected);
            group.said.add_flow(flow, said);
            group.at(&flow.last);
            self.samples += usize::from(has_room && group.sample(flow));
        }
    }

    pub(super) fn dns(&mut self, dns: &Dns) {
        let Some(failure) = how_it_failed(dns) else { return };
        let said = dns.explanation.clone().unwrap_or_else(|| {
            let (server, rcode) = (endpoint(&dns.server), dns.rcode.as_deref().unwrap_or("with an error"));
            let summary = match failure {
                Failure::NoAnswer => format!("{server} does not answer"),
                Failure::Error => format!("{server} answers {rcode}"),
                Failure::Slow => format!("{server} answers late"),
            };
            Explanation::new(Cause::Dns, Confidence::Derived, summary)
        });
        let key = Key::Queries(dns.server.address, failure);
        let Some(at) = self.group(key, 1, || (Kind::Dns(failure), place_of(None, &dns.netns))) else { return };
        let names = Names::of(&dns.client, &dns.server, dns.translated.as_ref());
        let hit = Hit { netns: dns.netns.clone(), queries: 1, names, ..Hit::default() };
        self.hit(at, Talk::new(&dns.protocol, &dns.client, &dns.server), &hit);
        if let Some(group) = self.groups.get_mut(at) {
            group.in_scope = true;
            group.tries += dns.attempts;
            group.said.add(1, &said);
            group.at(&dns.time);
        }
    }

    fn is_in_scope(&self, netns: u32) -> bool {
        self.scope.is_empty() || self.scope.contains(&netns)
    }

    /// The group of this key; `None` if there is no room, and then `count` is left out.
    fn group(&mut self, key: Key, count: u64, new: impl FnOnce() -> (Kind, String)) -> Option<usize> {
        if let Some(at) = self.keys.get(&key) {
            return Some(*at);
        }
        if self.groups.len() >= MOST_GROUPS {
            self.left_out += count;
            return None;
        }
        let (kind, place) = new();
        self.groups.push(Group::new(kind, place));
        let at = self.groups.len() - 1;
        self.keys.insert(key, at);
        Some(at)
    }

    fn hit(&mut self, at: usize, talk: Option<Talk>, hit: &Hit) {
        let has_room = self.hits < MOST_HITS;
        let Some(group) = self.groups.get_mut(at) else { return };
        match talk {
            Some(talk) if has_room || group.hits.contains_key(&talk) => {
                let before = group.hits.len();
                let all = group.hits.entry(talk).or_insert_with(|| Hit { netns: hit.netns.clone(), ..Hit::default() });
                all.add(hit);
                self.hits += group.hits.len() - before;
            }
            _ => group.unnamed += hit.count(),
        }
    }

    /// All groups, those that are about the same joined.
    pub(super) fn take(&mut self) -> Vec<Group> {
        let same = std::mem::take(&mut self.same).joined();
        self.dropped.values_mut().for_each(|groups| groups.change(|group| same.get(&group).copied()));
        self.join_each(|at| same.get(&at).copied());
        self.join(|kind| matches!(kind, Kind::Flow(_) | Kind::Dns(_)), Self::drop_of);
        self.join(|kind| kind == Kind::Drop, Self::silenced_by);
        let unanswered = |kind| kind == Kind::Flow(Outcome::NoAnswer);
        let resolvers = self.resolvers();
        self.join(unanswered, |_, group| most(group, |talk, _| resolvers.get(&talk.server).copied()));
        let same_host = self.silent_hosts();
        self.join(unanswered, |_, group| {
            most(group, |talk, _| same_host.get(&(group.place.clone(), talk.server)).copied())
        });
        let all = std::mem::take(self);
        (self.left_out, self.dropped_there) = (all.left_out, all.dropped_there);
        let mut groups: Vec<_> = all.groups.into_iter().filter(|group| group.in_scope && group.count() > 0).collect();
        groups.iter_mut().for_each(Group::fold_translated);
        groups
    }

    /// Joins each group of a kind to the one that `to` says, if any.
    fn join(&mut self, is_joined: impl Fn(Kind) -> bool, to: impl Fn(&Self, &Group) -> Option<usize>) {
        for at in 0..self.groups.len() {
            let Some(group) = self.groups.get(at).filter(|group| is_joined(group.kind)) else { continue };
            let Some(to) = to(self, group) else { continue };
            self.join_one(at, to);
        }
    }

    fn join_each(&mut self, to: impl Fn(usize) -> Option<usize>) {
        for at in 0..self.groups.len() {
            if let Some(to) = to(at) {
                self.join_one(at, to);
            }
        }
    }

    fn join_one(&mut self, at: usize, to: usize) {
        if at == to || to >= self.groups.len() {
            return;
        }
        let Some(group) = self.groups.get_mut(at) else { return };
        let empty = Group::new(group.kind, String::new());
        let joined = replace(group, empty);
        if let Some(group) = self.groups.get_mut(to) {
            group.absorb(joined);
        }
    }

    /// The group of the drops that ended these attempts: one is enough if they are known to be dropped, else it must be half of
    /// them.
    fn drop_of(&self, group: &Group) -> Option<usize> {
        let cause = group.cause();
        let of = |talk: &Talk, hit: &Hit| {
            let translated = hit.translated.as_ref().and_then(|talk| self.dropped.get(talk));
            let groups = self.dropped.get(talk).or(translated)?;
            // Of several, the one that the attempt was explained by.
            // What found no socket is refused: where the client heard nothing, the other drop kept the refusal back.
            let is_silence = cause == Cause::NoSocket && group.kind == Kind::Flow(Outcome::Dropped);
            let is_same = |at: &usize| self.groups.get(*at).is_some_and(|drops| (drops.cause() == cause) != is_silence);
            groups.iter().find(is_same).or_else(|| groups.iter().next())
        };
        if group.kind == Kind::Flow(Outcome::Dropped) {
            return group.by_count().into_iter().find_map(|(talk, hit)| of(talk, hit));
        }
        most(group, of)
    }

    /// For packets that found no socket: the drop that kept the refusal back, if the attempts heard nothing because of it.
    fn silenced_by(&self, group: &Group) -> Option<usize> {
        if group.cause() != Cause::NoSocket || group.failed() > 0 {
            return None;
        }
        most(group, |talk, _| {
            let is_silencing = |at: &usize| {
                self.groups.get(*at).is_some_and(|other| {
                    let is_other = other.kind == Kind::Drop && other.cause() != Cause::NoSocket;
                    is_other && other.refused == 0 && other.hits.values().any(|hit| hit.attempts > 0)
                })
            };
            self.dropped.get(talk)?.iter().find(is_silencing)
        })
    }

    /// Groups of queries that nobody answered, by the resolver.
    fn resolvers(&self) -> HashMap<IpAddr, usize> {
        let queries = self.keys.iter().filter_map(|(key, at)| match key {
            Key::Queries(Some(server), Failure::NoAnswer) => Some((server.to_canonical(), *at)),
            _ => None,
        });
        queries.filter(|(_, at)| self.groups.get(*at).is_some_and(|group| !group.hits.is_empty())).collect()
    }

    /// Hosts that did not answer at three ports or more, with the first of the groups, by the place behind which they are.
    fn silent_hosts(&self) -> HashMap<(String, IpAddr), usize> {
        const PORTS: usize = 3;
        let mut hosts: HashMap<(String, IpAddr), Vec<usize>> = HashMap::new();
        for (at, group) in self.groups.iter().enumerate() {
            let mut servers = group.hits.keys().map(|talk| talk.server);
            let first = servers.next().filter(|first| servers.all(|server| server == *first));
            if let (Kind::Flow(Outcome::NoAnswer), Some(server)) = (group.kind, first) {
                hosts.entry((group.place.clone(), server)).or_default().push(at);
            }
        }
        hosts
            .into_iter()
            .filter(|(_, all)| all.len() >= PORTS)
            .filter_map(|(host, all)| Some((host, *all.first()?)))
            .collect()
    }
}

/// How a query failed; `None` if it did not: that there is no such name is an answer, and resolvers ask for names that do not
/// exist all the time, one for each search domain.
fn how_it_failed(dns: &Dns) -> Option<Failure> {
    if dns.no_answer {
        return Some(Failure::NoAnswer);
    }
    match dns.rcode.as_deref() {
        Some("NOERROR") | None => Some(Failure::Slow),
        Some("NXDOMAIN") => None,
        Some(_) => Some(Failure::Error),
    }
}

/// The target of at least half of the hits, if there is one.
fn most(group: &Group, of: impl Fn(&Talk, &Hit) -> Option<usize>) -> Option<usize> {
    let mut targets: HashMap<usize, usize> = HashMap::new();
    for (talk, hit) in &group.hits {
        if let Some(to) = of(talk, hit) {
            *targets.entry(to).or_default() += 1;
        }
    }
    let (to, count) = targets.into_iter().max_by_key(|(to, count)| (*count, usize::MAX - to))?;
    (2 * count >= group.hits.len()).then_some(to)
}

/// The last interface that a request passed: of one that was lost beyond this node the last that it left by, as an interface that
/// was attached to between two tries comes later than its place.
fn last_seen(flow: &Flow) -> Option<&Seen> {
    let is_beyond = flow.explanation.as_ref().is_some_and(|said| said.cause == Cause::Upstream);
    let opened = || flow.seen.iter().filter(|seen| seen.packet == SeenPacket::Open);
    let left = opened().rfind(|seen| is_beyond && seen.direction == Direction::Egress);
    left.or_else(|| opened().next_back()).or_else(|| flow.seen.last())
}

/// What a sentence says, whoever it is said of: without the client's address, and for what depends on no single destination
/// without the server's.
fn shape(said: &Explanation, talk: Option<&Talk>) -> String {
    let Some(talk) = talk else { return format!("{:?} {}", said.cause, said.summary) };
    let is_of_any = matches!(
        said.cause,
        Cause::NoRoute
            | Cause::Ttl
            | Cause::Checksum
            | Cause::ConntrackFull
            | Cause::ConntrackInvalid
            | Cause::NatExhausted
            | Cause::Qdisc
            | Cause::Device
    );
    let mut shape = said.summary.replace(&talk.client.to_string(), "*");
    if is_of_any {
        shape = shape.replace(&talk.server.to_string(), "*");
    }
    format!("{:?} {shape}", said.cause)
}
