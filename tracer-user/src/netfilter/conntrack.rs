//! How full connection tracking is, and what it could not do: what looks like a rule of iptables-legacy and is none.
//!
//! Rule: only what moved since the last look speaks of a drop; the numbers are of the calling thread's namespace.

use std::fs;

use crate::host::clock;

/// Statistics of connection tracking, all CPUs together (`net/netfilter/nf_conntrack_standalone.c`, `ct_cpu_seq_show`,
/// 6.18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Statistics {
    /// Entries that could not be put in: an address translation found no free port.
    pub insert_failed: u64,
    /// Packets dropped, for want of an entry among others.
    pub drop: u64,
}

/// The load of connection tracking, and what happened since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Entries now.
    pub count: u64,
    /// Entries that there may be; 0 if unknown.
    pub max: u64,
    pub insert_failed: u64,
    pub drop: u64,
    /// There was a look before the drop, so that the two above are of the time since; else they are of all time.
    pub is_delta: bool,
}

/// What is compared with later.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The last look, and when it was done (`CLOCK_MONOTONIC`, ns).
    last: Option<(Statistics, u64)>,
}

impl Watch {
    /// Looks, because of a drop at `time` (`CLOCK_MONOTONIC`, ns); `None` where connection tracking is not at work.
    pub(super) fn look(&mut self, time: u64) -> Option<Pressure> {
        let text = fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack").ok()?;
        let now = statistics(&text)?;
        let number = |name: &str| {
            let text = fs::read_to_string(format!("/proc/sys/net/netfilter/nf_conntrack_{name}")).ok();
            text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
        };
        let last = self.last.replace((now, clock::monotonic()));
        let before = last.filter(|(_, looked)| *looked < time).map(|(before, _)| before);
        let since = |now: u64, before: Option<u64>| now.saturating_sub(before.unwrap_or(0));
        Some(Pressure {
            count: number("count"),
            max: number("max"),
            insert_failed: since(now.insert_failed, before.map(|before| before.insert_failed)),
            drop: since(now.drop, before.map(|before| before.drop)),
            is_delta: before.is_some(),
        })
    }
}

/// Sums the columns over all lines, found by their titles.
fn statistics(text: &str) -> Option<Statistics> {
    let mut lines = text.lines();
    let titles: Vec<&str> = lines.next()?.split_whitespace().collect();
    let column = |name: &str| titles.iter().position(|title| *title == name);
    let (insert_failed, drop) = (column("insert_failed")?, column("drop")?);
    let mut sum = Statistics::default();
    for line in lines {
        let number = |at: usize| line.split_whitespace().nth(at).and_then(|word| u64::from_str_radix(word, 16).ok());
        sum.insert_failed = sum.insert_failed.saturating_add(number(insert_failed).unwrap_or(0));
        sum.drop = sum.drop.saturating_add(number(drop).unwrap_or(0));
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_title_and_summed() {
        let text =
            "entries  clashres found insert_failed drop early_drop\n0000000a 1 2 00000010 00000002 0\n0 0 0 1 3 0\n";
        assert_eq!(statistics(text), Some(Statistics { insert_failed: 17, drop: 5 }));
        assert_eq!(statistics("entries found\n1 2\n"), None);
        assert_eq!(statistics(""), None);
    }
}
