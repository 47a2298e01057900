//! Joins what several devices saw of a DNS transaction, and decides it when there is nothing more to wait for.
//!
//! Rule: silence is told only after a client's next try would have come, so that it is one failing question and not many; and
//! never of what happened after the last reading. Bounded: what does not fit is counted.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use super::beside::Beside;
use super::kin::Kin;
use super::query::{Choice, Query};
use super::search::Searches;
use super::transaction::{Transaction, is_truncated};
use super::{QuerySighting, Question};
use crate::event::QueryOutcome;
use crate::flow::{Batch, DropSeen, Lost, SightingId, Tuple};

/// Transactions that are kept, a KiB or two each.
const MOST: usize = 16_384;

/// Silence after the last try that is no answer, ns: glibc tries again after 5 s (resolv.conf(5), `timeout`).
const PATIENCE: u64 = 6_000_000_000;
/// The same when the run ends.
const END_PATIENCE: u64 = 1_000_000_000;
/// How long a question that is tried again and again is waited for, ns.
const LONGEST: u64 = 30_000_000_000;
/// How long a decided transaction is remembered, so that what comes late is not taken for another one, ns.
const REMEMBERED: u64 = 20_000_000_000;
/// How long an answer that was seen may take to the client's device, ns: the next reading has it, or it is lost.
const ON_ITS_WAY: u64 = 2_000_000_000;

/// Queries that are not decided yet, and what they are joined with.
#[derive(Debug, Default)]
pub struct Book {
    choice: Choice,
    transactions: HashMap<u64, Transaction>,
    next: u64,
    /// Each transaction by the names of its ends.
    names: HashMap<(u16, Tuple), u64>,
    beside: Beside,
    searches: Searches,
    /// Devices that have shown an answer, by namespace and index.
    answering: HashSet<(u32, u32)>,
    /// When the last reading began, `CLOCK_MONOTONIC` ns.
    read: u64,
    queries: u64,
    failed: u64,
    /// There was no room for them, here or in the kernel's map.
    not_followed: u64,
}

/// Who asked whom what: tries of one question have it in common.
type Asked = (IpAddr, SocketAddr, Question);

impl Book {
    pub fn new(choice: Choice) -> Self {
        Self { choice, ..Self::default() }
    }

    /// Takes what was read of the maps.
    pub fn add(&mut self, batch: &Batch) {
        self.read = self.read.max(batch.read);
        batch.sightings.iter().for_each(|seen| self.beside.add(seen));
        // Once a reading: it goes through all.
        if self.transactions.len() + batch.queries.len() > MOST {
            self.make_room();
        }
        for (id, dns_id) in &batch.gone_queries {
            self.lose(id, *dns_id);
        }
        // Those that know both names of their ends first: then the others find their transaction.
        let (both, one): (Vec<_>, Vec<_>) = batch.queries.iter().partition(|seen| seen.original.is_some());
        for seen in both.into_iter().chain(one) {
            if seen.answers.any() && self.answering.len() < MOST {
                self.answering.insert((seen.netns, seen.ifindex));
            }
            if let Some(at) = batch.points.get(seen.netns, seen.ifindex)
                && let Some(transaction) = self.transaction(seen)
            {
                transaction.add(at, seen);
            }
        }
    }

    /// The kernel had no room for a sighting any more: without an answer until then, nobody knows what became of the query.
    fn lose(&mut self, id: &SightingId, dns_id: u16) {
        let Some(serial) = self.names.get(&(dns_id, id.tuple)) else { return };
        let is_lost = |open: &Transaction| open.decided.is_none() && open.is_watched_by(id);
        if self.transactions.get(serial).is_some_and(is_lost) {
            self.transactions.remove(serial);
            self.not_followed += 1;
        }
    }

    /// As [`crate::flow::Book::dropped`].
    pub fn dropped(&mut self, tuple: &Tuple, drop: DropSeen) {
        self.beside.add_drop(self.read, tuple, drop);
    }

    /// The transaction that a sighting belongs to, or a new one; `None` if there is no room.
    fn transaction(&mut self, seen: &QuerySighting) -> Option<&mut Transaction> {
        let names = [Some(seen.tuple), seen.original];
        let keys: Vec<_> = names.into_iter().flatten().map(|tuple| (seen.dns_id, tuple)).collect();
        let mut found: Vec<u64> = keys.iter().filter_map(|key| self.names.get(key)).copied().collect();
        // A client may use port and id again once it has its answer.
        found.retain(|serial| self.transactions.get(serial).is_some_and(|open| !is_over(open, seen)));
        found.dedup();
        let serial = match found[..] {
            [] if self.transactions.len() >= MOST => {
                self.not_followed += 1;
                return None;
            }
            [] => {
                self.next += 1;
                self.transactions.insert(self.next, Transaction::new());
                self.next
            }
            [serial, ref others @ ..] => {
                for other in others.iter().filter(|other| **other != serial) {
                    self.merge(serial, *other, seen.dns_id);
                }
                serial
            }
        };
        self.names.extend(keys.into_iter().map(|key| (key, serial)));
        self.transactions.get_mut(&serial)
    }

    /// Two that turned out to be one.
    fn merge(&mut self, into: u64, other: u64, id: u16) {
        let Some(other) = self.transactions.remove(&other) else { return };
        self.names.extend(other.tuples.iter().map(|tuple| ((id, *tuple), into)));
        if let Some(transaction) = self.transactions.get_mut(&into) {
            transaction.absorb(&other);
        }
    }

    /// Forgets all that are decided.
    fn make_room(&mut self) {
        self.transactions.retain(|_, transaction| transaction.decided.is_none());
        let kept = &self.transactions;
        self.names.retain(|_, serial| kept.contains_key(serial));
    }

    /// As [`Self::take_of`], of all queries.
    pub fn take(&mut self, now: u64, is_end: bool) -> Vec<Query> {
        self.take_of(now, is_end, |_| true)
    }

    /// Takes out all queries that are decided, also those that went well. Those that are not `wanted` are neither told nor
    /// counted.
    pub fn take_of(&mut self, now: u64, is_end: bool, wanted: impl Fn(&Query) -> bool) -> Vec<Query> {
        let now = now.min(self.read);
        let mut decided = self.take_answered(now, is_end);
        decided.extend(self.take_silent(now, is_end));
        decided.retain(wanted);
        for query in &mut decided {
            if query.outcome == QueryOutcome::Answered && query.latency.is_some_and(|took| took > self.choice.slow) {
                query.outcome = QueryOutcome::Slow;
            }
        }
        decided.sort_by_key(|query| query.first);
        let told = self.searches.pass(decided, now, is_end);
        self.queries += told.len() as u64;
        self.failed += told.iter().filter(|query| query.is_failed()).count() as u64;
        self.forget(now);
        told
    }

    /// Those that have their answer, or an ICMP error instead.
    fn take_answered(&mut self, now: u64, is_end: bool) -> Vec<Query> {
        let mut decided = Vec::new();
        for transaction in self.transactions.values_mut().filter(|transaction| transaction.decided.is_none()) {
            let answer =
                transaction.answer().or_else(|| passed_by(transaction, &self.answering, &self.beside, now, is_end));
            let Some(mut query) = transaction.query(answer) else { continue };
            if let Some(answer) = answer {
                if is_truncated(answer) && query.tuple.protocol != TCP {
                    match self.beside.tcp(&query.tuple, answer.answered.unwrap_or(0), now) {
                        Ok(failure) => query.tcp = failure,
                        Err(()) if !is_end => continue,
                        Err(()) => {}
                    }
                    if query.tcp.is_some() {
                        query.outcome = QueryOutcome::Error;
                    }
                }
            } else if let Some(rejection) = self.beside.rejection(&transaction.tuples, query.first) {
                query.rejection = Some(rejection);
                query.drops = self.beside.drops(&transaction.tuples, query.first);
                query.outcome = QueryOutcome::Rejected;
            } else {
                continue;
            }
            transaction.decided = Some((now, query.outcome));
            decided.push(query);
        }
        decided
    }

    /// Those that were waited for long enough, the tries of one question together.
    fn take_silent(&mut self, now: u64, is_end: bool) -> Vec<Query> {
        let mut questions: HashMap<Asked, Vec<u64>> = HashMap::new();
        for (serial, transaction) in &self.transactions {
            let open = transaction.decided.is_none();
            if let Some(tuple) = transaction.tuple().filter(|_| open) {
                let question = transaction.question.as_ref().map(Question::folded);
                // What can't be read is nobody's second try.
                let question = question.unwrap_or_else(|| Question { name: serial.to_string(), kind: String::new() });
                questions.entry((tuple.client.ip(), tuple.server, question)).or_default().push(*serial);
            }
        }
        let mut silent = Vec::new();
        for (asked, mut tries) in questions {
            tries.sort_by_key(|serial| self.transactions.get(serial).map_or(0, Transaction::first));
            let last = tries.iter().filter_map(|serial| self.transactions.get(serial)).map(Transaction::last).max();
            let silence = now.saturating_sub(last.unwrap_or(now));
            if let Some(query) = self.silent(&tries, silence, now, is_end) {
                silent.push((asked, tries, query));
            }
        }
        if silent.is_empty() {
            return Vec::new();
        }
        let kin = Kin::new(&self.transactions);
        for ((client, server, question), tries, query) in &mut silent {
            query.answered_by = kin.answered_by(*client, *server, question);
            query.sibling = tries.first().and_then(|serial| kin.sibling(self.transactions.get(serial)?, *serial));
        }
        silent
            .into_iter()
            .map(|(_, tries, query)| {
                self.close(&tries, now);
                query
            })
            .collect()
    }

    fn close(&mut self, tries: &[u64], now: u64) {
        for serial in tries {
            if let Some(transaction) = self.transactions.get_mut(serial) {
                transaction.decided = Some((now, QueryOutcome::NoAnswer));
            }
        }
    }

    /// What silence makes of the tries of a question; `None` as long as something may come.
    fn silent(&self, tries: &[u64], silence: u64, now: u64, is_end: bool) -> Option<Query> {
        let first = self.transactions.get(tries.first()?)?;
        let mut query = first.query(None)?;
        let drops: Vec<DropSeen> = tries
            .iter()
            .filter_map(|serial| self.transactions.get(serial))
            .flat_map(|try_| self.beside.drops(&try_.tuples, try_.first()))
            .collect();
        let waited = silence >= if is_end { END_PATIENCE } else { PATIENCE };
        let is_over = waited || now.saturating_sub(query.first) >= LONGEST || is_end && !drops.is_empty();
        let lost = first.lost();
        let answer_is_lost = matches!(lost, Some(Lost::Answer { .. })) && silence >= ON_ITS_WAY && !drops.is_empty();
        if !is_over && !answer_is_lost {
            return None;
        }
        for serial in tries.iter().skip(1) {
            let Some(more) = self.transactions.get(serial) else { continue };
            query.attempts = query.attempts.saturating_add(more.attempts());
            query.last = query.last.max(more.last());
        }
        query.lost = lost;
        query.outcome = if drops.is_empty() { QueryOutcome::NoAnswer } else { QueryOutcome::Dropped };
        query.drops = drops;
        Some(query)
    }

    fn forget(&mut self, now: u64) {
        let is_old = |time: u64| now >= time.saturating_add(REMEMBERED);
        self.transactions.retain(|_, transaction| match transaction.decided {
            Some((time, _)) => !is_old(time.max(transaction.last())),
            // Answers without a query: it was sent before anybody looked.
            None => transaction.nearest().is_some() || !is_old(transaction.last()),
        });
        let kept: HashSet<u64> = self.transactions.keys().copied().collect();
        self.names.retain(|_, serial| kept.contains(serial));
        self.beside.forget(now);
    }

    /// Decided queries, and of these: failed.
    pub fn totals(&self) -> (u64, u64) {
        (self.queries, self.failed)
    }

    pub fn not_followed(&self) -> u64 {
        self.not_followed
    }
}

const TCP: u8 = 6;

/// An answer that was seen on its way, and will have come by a way past the hooks of the device nearest to the client
/// (`bpf_redirect_peer` of Cilium): that device has never shown one, and the client does not ask again.
fn passed_by<'a>(
    of: &'a Transaction,
    answering: &HashSet<(u32, u32)>,
    beside: &Beside,
    now: u64,
    is_end: bool,
) -> Option<&'a QuerySighting> {
    let (answer, (_, nearest)) = (of.far_answer()?, of.nearest()?);
    let time = answer.answered?;
    let is_waited_for = !is_end && now < time.saturating_add(ON_ITS_WAY);
    let is_lost = answering.contains(&(nearest.netns, nearest.ifindex)) || of.is_asked_after(time);
    let is_dropped = || beside.drops(&of.tuples, of.first()).iter().any(|drop| drop.is_answer);
    (!is_waited_for && !is_lost && !is_dropped()).then_some(answer)
}

/// Whether a sighting is of a later transaction with the same port and id.
fn is_over(known: &Transaction, seen: &QuerySighting) -> bool {
    known.decided.is_some_and(|(_, outcome)| outcome != QueryOutcome::NoAnswer) && seen.first > known.last()
}
