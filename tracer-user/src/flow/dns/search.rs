//! Names that a client looks for along its search path (resolv.conf(5), `search` and `ndots`): "no such name" for one of them
//! is no failure if the next one is found.
//!
//! Rule: an answer of "no such name" is held until the client found what it looked for, or a second has passed.

use std::collections::HashMap;
use std::net::IpAddr;

use super::query::{Query, Search};
use crate::event::QueryOutcome;

/// How long one is held, ns: the next name of a search path is asked for at once.
const HELD: u64 = 1_500_000_000;
/// Held at once, some KiB each; and of these, of one client with the same first label.
const MOST: usize = 2048;
const MOST_ALIKE: usize = 64;
/// Suffixes that are named.
const MOST_SUFFIXES: usize = 8;

/// What all queries of one search have in common: whose it is, and type and first label of its names.
type Path = (IpAddr, String, String);

#[derive(Debug, Default)]
pub(super) struct Searches {
    held: HashMap<Path, Vec<Query>>,
    count: usize,
}

impl Searches {
    /// Passes queries on, those that say "no such name" when it is known whether the client went on.
    pub(super) fn pass(&mut self, decided: Vec<Query>, now: u64, is_end: bool) -> Vec<Query> {
        let mut told = Vec::new();
        for mut query in decided {
            if query.outcome == QueryOutcome::NoSuchName {
                told.extend(self.hold(query));
                continue;
            }
            if matches!(query.outcome, QueryOutcome::Answered | QueryOutcome::Slow) {
                let alike = self.held.get_mut(&path(&query));
                let misses = alike.map(|alike| take(alike, |held| is_miss_of(held, &query))).unwrap_or_default();
                self.count -= misses.len();
                query.search = search(&query, &misses);
                told.extend(misses.into_iter().map(missed));
            }
            told.push(query);
        }
        told.extend(self.expired(now, is_end));
        told
    }

    /// Keeps a query; gives it back if there is no room.
    fn hold(&mut self, query: Query) -> Option<Query> {
        if self.count >= MOST {
            return Some(query);
        }
        let alike = self.held.entry(path(&query)).or_default();
        if alike.len() >= MOST_ALIKE {
            return Some(query);
        }
        alike.push(query);
        self.count += 1;
        None
    }

    /// Those that were held for long enough, the oldest first; each with what was held of the same search.
    fn expired(&mut self, now: u64, is_end: bool) -> Vec<Query> {
        let is_due = |held: &Query| is_end || now >= held.last.saturating_add(HELD);
        let mut groups = Vec::new();
        for alike in self.held.values_mut() {
            while let Some(oldest) = alike.iter().filter(|held| is_due(held)).min_by_key(|held| held.last).cloned() {
                groups.push((oldest.last, take(alike, |held| *held == oldest || is_of_same_search(held, &oldest))));
            }
        }
        self.held.retain(|_, alike| !alike.is_empty());
        groups.sort_by_key(|(last, _)| *last);
        let mut told = Vec::new();
        for (_, mut group) in groups {
            self.count -= group.len();
            // What was looked for is what all of them begin with: the shortest, where the client tried it as it is.
            group.sort_by_key(|query| query.question.name.len());
            let mut group = group.into_iter();
            let Some(mut base) = group.next() else { break };
            let misses: Vec<Query> = group.collect();
            base.search = search(&base, &misses);
            told.extend(misses.into_iter().map(missed));
            told.push(base);
        }
        told
    }
}

fn path(query: &Query) -> Path {
    let label = query.question.name.split('.').next().unwrap_or_default();
    (query.tuple.client.ip(), query.question.kind.clone(), label.to_ascii_lowercase())
}

fn take(held: &mut Vec<Query>, is_wanted: impl Fn(&Query) -> bool) -> Vec<Query> {
    held.extract_if(.., |held| is_wanted(held)).collect()
}

fn missed(query: Query) -> Query {
    Query { outcome: QueryOutcome::Search, ..query }
}

/// What the names have in common, and what was appended.
fn search(found: &Query, misses: &[Query]) -> Option<Search> {
    let first = misses.first()?;
    let (base, _, _) = split(&found.question.name, &first.question.name)?;
    let base = base.to_owned();
    let mut in_order: Vec<&Query> = misses.iter().chain([found]).collect();
    in_order.sort_by_key(|query| query.first);
    let mut suffixes = Vec::new();
    for query in in_order {
        let suffix = query.question.name.get(base.len()..).unwrap_or_default().trim_start_matches('.').to_owned();
        if !suffix.is_empty() && !suffixes.contains(&suffix) && suffixes.len() < MOST_SUFFIXES {
            suffixes.push(suffix);
        }
    }
    Some(Search { base, suffixes, wasted: u32::try_from(misses.len()).unwrap_or(u32::MAX) })
}

fn same_client(a: &Query, b: &Query) -> bool {
    let ip = |query: &Query| -> IpAddr { query.tuple.client.ip() };
    ip(a) == ip(b) && a.question.kind == b.question.kind
}

/// Whether `held` was asked for on the way to `found`.
fn is_miss_of(held: &Query, found: &Query) -> bool {
    held.first <= found.first && is_of_same_search(held, found)
}

fn is_of_same_search(a: &Query, b: &Query) -> bool {
    same_client(a, b)
        && split(&a.question.name, &b.question.name).is_some_and(|(_, a, b)| a != b && are_of_one_path(a, b))
}

/// What two names begin with in common, whole labels, and the rest of each.
fn split<'a>(a: &'a str, b: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let mut common = 0;
    for (left, right) in a.split('.').zip(b.split('.')) {
        if !left.eq_ignore_ascii_case(right) {
            break;
        }
        common += left.len() + 1;
    }
    // Names of which one begins with all of the other have no dot behind what is common.
    let base = a.get(..common.checked_sub(1)?)?;
    let rest = |name: &'a str| name.get(common..).unwrap_or_default();
    Some((base, rest(a), rest(b)))
}

/// Whether a search path may hold both: none and any; one that the other ends with; two of a cluster and its node.
fn are_of_one_path(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let ends = |name: &str, suffix: &str| {
        let at = name.len().checked_sub(suffix.len());
        at.and_then(|at| name.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
    };
    short.is_empty() || ends(long, &format!(".{short}")) || ends(a, "cluster.local") || ends(b, "cluster.local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_search_are_told_from_neighbours() {
        let one = |a, b| split(a, b).is_some_and(|(_, a, b)| are_of_one_path(a, b));
        assert!(one("www.example.com.ns.svc.cluster.local", "www.example.com"));
        assert!(one("www.example.com", "www.example.com.corp.example"));
        assert!(one("db.prod.ns.svc.cluster.local", "db.prod.svc.cluster.local"));
        assert!(one("db.cluster.local", "db.corp.example"));
        assert!(!one("www.a.example", "www.b.example"));
        assert!(!one("a.example.com", "b.example.com"));
        assert!(!one("www.example", "ww.example"));
    }
}
