//! How full connection tracking is, and what it could not do: what looks like a rule of iptables-legacy and is none.
//!
//! Rule: only what moved since the last look before a drop speaks of it; the numbers are of the calling thread's namespace.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use tracer_netfilter::conntrack::{self, Statistics};

use crate::host::clock;

const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
/// Looks kept: questions come later than their drops, with other looks in between.
const LOOKS: usize = 8;

/// The load of connection tracking, and what happened since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Entries now.
    pub count: u64,
    /// Entries that there may be; 0 if unknown.
    pub max: u64,
    /// Lists that entries are kept in; 0 if unknown.
    pub buckets: u64,
    /// The limit can be set in this namespace; else it is the host's, one number for all.
    pub is_max_own: bool,
    /// Entries that could not be put in: an address translation found no free port, or two packets raced.
    pub insert_failed: u64,
    /// Packets dropped, for want of an entry among others.
    pub drop: u64,
    /// Entries thrown out to make room.
    pub early_drop: u64,
    /// Packets that have no place in a connection.
    pub invalid: u64,
    /// There was a look before the drop, so that the four above are of the time since; else they are of all time.
    pub is_delta: bool,
}

impl Pressure {
    /// There is no room left now.
    pub const fn has_no_room(&self) -> bool {
        self.max > 0 && self.count >= self.max
    }

    /// Drops moved, and not for translations; or there is no room left now.
    pub const fn is_full(&self) -> bool {
        self.has_no_room() || (self.is_delta && self.drop > self.insert_failed)
    }
}

/// What is compared with later.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last looks, and when each was done (`CLOCK_MONOTONIC`, ns).
    looks: VecDeque<(Statistics, u64)>,
}

impl Watch {
    /// Looks, because of a drop at `time` (`CLOCK_MONOTONIC`, ns); `None` where connection tracking is not at work.
    pub(super) fn look(&mut self, time: u64) -> Option<Pressure> {
        let now = counters()?;
        let before = self.looks.iter().rev().find(|(_, looked)| *looked < time).map(|(before, _)| *before);
        if self.looks.len() >= LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back((now, clock::monotonic()));
        let then = before.unwrap_or_default();
        Some(Pressure {
            count: number("/proc/sys/net/netfilter/nf_conntrack_count"),
            max: number(MAX),
            buckets: number("/proc/sys/net/netfilter/nf_conntrack_buckets"),
            is_max_own: fs::metadata(MAX).is_ok_and(|file| file.permissions().mode() & 0o200 != 0),
            insert_failed: now.insert_failed.saturating_sub(then.insert_failed),
            drop: now.drop.saturating_sub(then.drop),
            early_drop: now.early_drop.saturating_sub(then.early_drop),
            invalid: now.invalid.saturating_sub(then.invalid),
            is_delta: before.is_some(),
        })
    }
}

/// `/proc` needs no socket; a kernel may be built without that file (`CONFIG_NF_CONNTRACK_PROCFS`).
fn counters() -> Option<Statistics> {
    let text = fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack").ok();
    text.and_then(|text| statistics(&text)).or_else(|| conntrack::statistics().ok())
}

fn number(path: &str) -> u64 {
    fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Sums the columns over all lines, found by their titles (`net/netfilter/nf_conntrack_standalone.c`,
/// `ct_cpu_seq_show`, 5.10 to 6.18).
fn statistics(text: &str) -> Option<Statistics> {
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next()?.split_whitespace().collect();
    let rows: Vec<Vec<u64>> = lines
        .map(|line| line.split_whitespace().map(|word| u64::from_str_radix(word, 16).unwrap_or(0)).collect())
        .collect();
    let sum = |name: &str| {
        let column = titles.iter().position(|title| *title == name)?;
        Some(rows.iter().filter_map(|row| row.get(column)).fold(0_u64, |sum, value| sum.saturating_add(*value)))
    };
    Some(Statistics {
        insert_failed: sum("insert_failed")?,
        drop: sum("drop")?,
        early_drop: sum("early_drop").unwrap_or(0),
        // What is wrong with ICMP errors is counted apart.
        invalid: sum("invalid").unwrap_or(0).saturating_add(sum("icmp_error").unwrap_or(0)),
        clash_resolve: sum("clashres").unwrap_or(0),
        chain_too_long: sum("chainlength").unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_title_and_summed() {
        let text = "entries  clashres found invalid insert_failed drop early_drop\n\
                    0000000a 1 2 4 00000010 00000002 0\n0 0 0 1 1 3 7\n";
        let wanted =
            Statistics { insert_failed: 17, drop: 5, early_drop: 7, invalid: 5, clash_resolve: 1, chain_too_long: 0 };
        assert_eq!(statistics(text), Some(wanted));
        assert_eq!(statistics("entries found\n1 2\n"), None);
        assert_eq!(statistics("insert_failed drop\nzz\n"), Some(Statistics::default()), "nonsense counts nothing");
        assert_eq!(statistics(""), None);
    }

    #[test]
    fn a_table_is_full_by_its_count_or_by_what_was_dropped() {
        let full = |pressure: Pressure| pressure.is_full();
        assert!(full(Pressure { count: 3, max: 3, ..Pressure::default() }));
        assert!(full(Pressure { count: 1, max: 3, drop: 2, is_delta: true, ..Pressure::default() }));
        assert!(!full(Pressure { count: 1, max: 3, drop: 2, ..Pressure::default() }), "of all time");
        assert!(!full(Pressure { drop: 2, insert_failed: 2, is_delta: true, ..Pressure::default() }), "a translation");
        assert!(!full(Pressure { count: 9, ..Pressure::default() }), "no limit is known");
    }
}
