//! Names that a client looks for along its search path (resolv.conf(5), `search` and `ndots`): "no such name" for one of them
//! is no failure if the next one is found.
//!
//! Rule: an answer of "no such name" is held until the client found what it looked for, or a second has passed.

use std::net::IpAddr;

use super::query::{Query, Search};
use crate::event::QueryOutcome;

/// How long one is held, ns: the next name of a search path is asked for at once.
const HELD: u64 = 1_500_000_000;
/// Held at once, some KiB each.
const MOST: usize = 2048;
/// Suffixes that are named.
const MOST_SUFFIXES: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Searches {
    held: Vec<Query>,
}

impl Searches {
    /// Passes queries on, those that say "no such name" when it is known whether the client went on.
    pub(super) fn pass(&mut self, decided: Vec<Query>, now: u64, is_end: bool) -> Vec<Query> {
        let mut told = Vec::new();
        for mut query in decided {
            if query.outcome == QueryOutcome::NoSuchName && self.held.len() < MOST {
                self.held.push(query);
                continue;
            }
            if matches!(query.outcome, QueryOutcome::Answered | QueryOutcome::Slow) {
                let misses = self.take(|held| is_miss_of(held, &query));
                query.search = search(&query, &misses);
                told.extend(misses.into_iter().map(missed));
            }
            told.push(query);
        }
        while let Some(oldest) = self.held.iter().min_by_key(|held| held.last) {
            if !is_end && now < oldest.last.saturating_add(HELD) {
                break;
            }
            let oldest = oldest.clone();
            let mut group = self.take(|held| *held == oldest || is_of_same_search(held, &oldest));
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

    fn take(&mut self, is_wanted: impl Fn(&Query) -> bool) -> Vec<Query> {
        self.held.extract_if(.., |held| is_wanted(held)).collect()
    }
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
