//! The `stats` line: the exact totals with names, and what the tool counted of itself.

use std::collections::HashMap;

use tracer_common::Counter;

use crate::event::{PlaceTotal, Reason, ReasonTotal, Stats};
use crate::source::SelfCounters;
use crate::verdict::Ledger;

use super::attempts::Attempts;
use super::describe::Describer;
use super::pods::Pods;
use super::stages::Stages;

impl Stages {
    pub(super) fn stats(&self, counters: &SelfCounters, last: bool) -> Stats {
        let totals: Vec<PlaceTotal> =
            self.totals.largest_first().iter().map(|(key, tally)| self.describer.place_total(key, tally)).collect();
        let all = self.totals.all();
        // Not even their place fitted; their bytes are not known.
        let unkeyed = counters.get(Counter::Unkeyed);
        Stats {
            time: Describer::now(),
            last,
            packets: all.packets + unkeyed,
            bytes: all.bytes,
            by_reason: by_reason(&totals),
            totals,
            hidden: self.hidden,
            not_shown: self.not_shown,
            other_flows: self.totals.other().packets + unkeyed,
            seen: counters.get(Counter::Seen),
            filtered: counters.get(Counter::Filtered),
            missed: counters.missed,
            suppressed: counters.get(Counter::Suppressed),
            lost: counters.get(Counter::Lost),
            evicted: self.flows.evicted(),
            unreadable: counters.get(Counter::Unreadable),
            undecodable: self.undecodable,
            attempts: self.attempts.as_ref().map(Attempts::totals),
            verdicts: self.ledger.as_ref().map(Ledger::totals),
            coverage: self.late_coverage(),
            cpu_seconds: cpu_seconds(),
        }
    }

    /// What can't be seen, so far as it turned out after the header.
    fn late_coverage(&self) -> Vec<String> {
        let of_attempts = self.attempts.iter().flat_map(Attempts::late_coverage).cloned();
        let of_pods = self.pods.as_ref().and_then(Pods::left_out);
        of_attempts.chain(of_pods).chain(self.describer.late_gaps()).collect()
    }
}

/// The same drops by reason alone, largest first.
fn by_reason(totals: &[PlaceTotal]) -> Vec<ReasonTotal> {
    let mut sums: HashMap<&Reason, (u64, u64)> = HashMap::new();
    for total in totals {
        let sum = sums.entry(&total.reason).or_default();
        *sum = (sum.0 + total.packets, sum.1 + total.bytes);
    }
    let mut sums: Vec<ReasonTotal> = sums
        .into_iter()
        .map(|(reason, (packets, bytes))| ReasonTotal { reason: reason.clone(), packets, bytes })
        .collect();
    sums.sort_by(|a, b| b.packets.cmp(&a.packets).then_with(|| a.reason.name.cmp(&b.reason.name)));
    sums
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    std::time::Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        .as_secs_f64()
}
