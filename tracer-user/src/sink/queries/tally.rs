//! How each resolver did, by client.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::net::IpAddr;

use super::text::took;
use crate::event::{Dns, QueryOutcome};
use crate::flow::dns::is_failed;
use crate::sink::style::{Style, endpoint, netns_name, printable, thousands};

/// Clients with their resolvers, and failing names, that are kept; others are counted together.
const MOST_PAIRS: usize = 1024;
const MOST_NAMES: usize = 1024;
/// Printed.
const PAIRS: usize = 15;
const NAMES: usize = 5;

/// All queries of a run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pairs: HashMap<(IpAddr, String), Pair>,
    others: Pair,
    all: Pair,
    names: HashMap<(String, String), u64>,
    not_named: u64,
}

#[derive(Debug, Default)]
struct Pair {
    /// Name of the client's namespace or pod, escaped.
    client: Option<String>,
    queries: u64,
    failed: u64,
    slow: u64,
    no_such_name: u64,
    search: u64,
    latency: Latency,
}

impl Pair {
    fn add(&mut self, dns: &Dns) {
        self.queries += 1;
        self.failed += u64::from(is_failed(dns.outcome));
        self.slow += u64::from(dns.outcome == QueryOutcome::Slow);
        self.no_such_name += u64::from(dns.outcome == QueryOutcome::NoSuchName);
        self.search += u64::from(dns.outcome == QueryOutcome::Search);
        if let Some(us) = dns.latency_us {
            self.latency.add(us);
        }
    }
}

impl Tally {
    /// Takes a query; `result` is what its line calls it.
    pub(super) fn add(&mut self, dns: &Dns, result: &str) {
        self.all.add(dns);
        if is_failed(dns.outcome) || dns.outcome == QueryOutcome::NoSuchName {
            let name = dns.search.as_ref().unwrap_or(&dns.query);
            let key = (format!("{} {name}", dns.kind), result.to_owned());
            if self.names.len() < MOST_NAMES || self.names.contains_key(&key) {
                *self.names.entry(key).or_default() += 1;
            } else {
                self.not_named += 1;
            }
        }
        let key = dns.client.address.map(|client| (client, endpoint(&dns.server)));
        let is_known = key.as_ref().is_some_and(|key| self.pairs.contains_key(key));
        let pair = match key {
            Some(key) if is_known || self.pairs.len() < MOST_PAIRS => self.pairs.entry(key).or_default(),
            _ => &mut self.others,
        };
        // The last one: a pod may get its name later.
        if let Some(name) = netns_name(dns.client_netns.as_ref().unwrap_or(&dns.netns)) {
            pair.client = Some(name);
        }
        pair.add(dns);
    }

    /// The summary, each line ended.
    pub(super) fn print(&self, slow: &str, style: Style) -> String {
        let mut out = format!("{}\n", style.bold(&self.headline(slow)));
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_by(|(a, left), (b, right)| {
            (right.failed, right.slow, right.queries)
                .cmp(&(left.failed, left.slow, left.queries))
                .then_with(|| a.cmp(b))
        });
        if !pairs.is_empty() {
            let title = format!(
                "{:<34} {:<24} {:>8} {:>7} {:>6} {:>7} {:>9} {:>9}",
                "CLIENT", "RESOLVER", "QUERIES", "FAILED", "SLOW", "SEARCH", "P50", "P99"
            );
            let _ = writeln!(out, "{}", style.dim(&title));
        }
        for ((client, resolver), pair) in pairs.iter().take(PAIRS) {
            let name = pair.client.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
            let _ = writeln!(out, "{}", row(&format!("{client}{name}"), resolver, pair));
        }
        let rest: u64 = pairs.iter().skip(PAIRS).map(|(_, pair)| pair.queries).sum::<u64>() + self.others.queries;
        if rest > 0 {
            let _ = writeln!(out, "{} queries of other clients and resolvers", thousands(rest));
        }
        self.print_names(&mut out);
        out
    }

    fn headline(&self, slow: &str) -> String {
        let all = &self.all;
        let mut text = match all.queries {
            0 => return "No DNS query was seen".to_owned(),
            1 => "1 DNS query".to_owned(),
            queries => format!("{} DNS queries", thousands(queries)),
        };
        let _ = write!(text, ": {} failed, {} slow (over {slow})", thousands(all.failed), thousands(all.slow));
        if all.no_such_name > 0 {
            let _ = write!(text, ", {} for names that do not exist", thousands(all.no_such_name));
        }
        if all.search > 0 {
            let _ = write!(text, ", {} wasted on a search path", thousands(all.search));
        }
        text
    }

    fn print_names(&self, out: &mut String) {
        let mut names: Vec<_> = self.names.iter().collect();
        names.sort_by(|(a, left), (b, right)| right.cmp(left).then_with(|| a.cmp(b)));
        for ((name, result), count) in names.iter().take(NAMES) {
            let _ = writeln!(out, "{:>8}  {} {result}", thousands(**count), printable(name));
        }
        let rest: u64 = names.iter().skip(NAMES).map(|(_, count)| **count).sum::<u64>() + self.not_named;
        if rest > 0 {
            let _ = writeln!(out, "{:>8}  failed for other names", thousands(rest));
        }
    }
}

fn row(client: &str, resolver: &str, pair: &Pair) -> String {
    let part = |share| pair.latency.part(share).map_or_else(|| "-".to_owned(), took);
    format!(
        "{client:<34} {resolver:<24} {:>8} {:>7} {:>6} {:>7} {:>9} {:>9}",
        thousands(pair.queries),
        thousands(pair.failed),
        thousands(pair.slow),
        thousands(pair.search),
        part(50),
        part(99)
    )
}

/// Times in microseconds, eight steps for each doubling: a value is at most 12.5 % too high.
#[derive(Debug, Default)]
struct Latency {
    steps: BTreeMap<u32, u64>,
    count: u64,
}

impl Latency {
    fn add(&mut self, us: u64) {
        *self.steps.entry(step(us)).or_default() += 1;
        self.count += 1;
    }

    /// The time that `percent` of all are within, microseconds.
    fn part(&self, percent: u64) -> Option<u64> {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        self.steps.iter().find_map(|(step, count)| {
            seen += count;
            (seen >= wanted).then(|| most(*step))
        })
    }
}

const SUB_BITS: u32 = 3;

fn step(us: u64) -> u32 {
    let bits = us.checked_ilog2().unwrap_or(0);
    if bits <= SUB_BITS {
        return us as u32;
    }
    ((bits - SUB_BITS) << SUB_BITS) + (us >> (bits - SUB_BITS)) as u32
}

/// The largest value of a step.
fn most(step: u32) -> u64 {
    let double = 2 << SUB_BITS;
    if step < double {
        return u64::from(step);
    }
    let shift = (step >> SUB_BITS) - 1;
    let top = u64::from(step - (shift << SUB_BITS));
    ((top + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_its_values_and_is_narrow() {
        let mut last = 0;
        for us in (0..100_000).chain([1 << 40, u64::MAX >> 8]) {
            let step = step(us);
            assert!(step >= last, "{us}");
            last = step;
            let most = most(step);
            assert!(most >= us && most - us <= us / 8, "{us} is in the step up to {most}");
        }
    }

    #[test]
    fn parts_are_those_of_all_times() {
        let mut latency = Latency::default();
        assert_eq!(latency.part(50), None);
        (0..99).for_each(|_| latency.add(3));
        latency.add(12);
        assert_eq!((latency.part(50), latency.part(99), latency.part(100)), (Some(3), Some(3), Some(12)));
    }
}
