//! How large the maps are: per-CPU maps cost memory for every CPU, so their entries follow from a budget.
//!
//! Rule: all maps together stay below 32 MiB on any machine.

use tracer_common::{Attempt, AttemptKey, MAX_POD_KEYS, Query, QueryKey, Retransmit, RetransmitKey};

use crate::settings::KernelFilter;

/// Bytes for the two flow maps together. More than 16,384 entries each would take longer to set up (a per-CPU allocation
/// for each) than to find the first drop, and nobody reads that many flows in a tick.
const FLOWS_BUDGET: u64 = 22 << 20;
/// The same while attempts are kept too.
const FLOWS_BUDGET_BESIDE_ATTEMPTS: u64 = 10 << 20;
/// Attempts and DNS queries that are kept, whatever the number of CPUs: what is older than a few seconds is of no use.
const ATTEMPTS: u32 = 16_384;
const QUERIES: u32 = 16_384;
const RETRANSMITS: u32 = 4096;
/// Pods of a node, with those that come and go.
const MAX_NAMESPACES: u32 = 4096;

/// Bytes for "other flows".
const OTHER_BUDGET: u64 = 4 << 20;
/// Bytes of the ring buffer by default, and with `--every`.
const RING_BYTES: u32 = 4 << 20;
const EVERY_RING_BYTES: u32 = 16 << 20;

/// Kernel bytes of a per-CPU hash entry besides its values: `struct htab_elem`, the rounded key, the pointer, a bucket
/// (kernel/bpf/hashtab.c).
const ENTRY_BYTES: u64 = 48 + 56 + 8 + 16;
/// The same of an LRU entry without its key and value: `struct htab_elem` and its share of the buckets.
const ELEMENT_BYTES: u64 = 48 + 16;
/// A `Tally` for each CPU.
const VALUE_BYTES: u64 = 16;

/// Events that all CPUs together may send in a time slot (134 ms): 1,024 a slot are 7,600 a second, far more than anybody
/// reads.
const SLOT_EVENTS: u32 = 1024;
/// And events with a stack: 3,800 a second take one or two per cent of a CPU.
const SLOT_STACKS: u32 = 512;
/// What any CPU may send of both, as on a machine with many CPUs all drops may be on one.
const LEAST_EVENTS: u32 = 128;
const LEAST_STACKS: u32 = 64;

/// Entries and bytes of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Of each of the two flow maps.
    pub flow_entries: u32,
    pub other_entries: u32,
    pub ring_bytes: u32,
    /// Events a CPU may send in a time slot.
    pub event_budget: u32,
    /// How many of them with a stack.
    pub stack_budget: u32,
    /// Of the maps of the tc programs; 1 each unless they are asked for.
    pub attempts: u32,
    pub queries: u32,
    pub retransmits: u32,
    /// Room in the filter for namespaces that come up later.
    later_namespaces: u32,
    cpus: u32,
}

impl Sizes {
    /// For a machine with `cpus` possible CPUs.
    pub fn new(cpus: u32, every: bool, flows: bool) -> Self {
        let entry = ENTRY_BYTES + VALUE_BYTES * u64::from(cpus.max(1));
        let budget = if flows { FLOWS_BUDGET_BESIDE_ATTEMPTS } else { FLOWS_BUDGET };
        let if_flows = |entries| if flows { entries } else { 1 };
        Self {
            attempts: if_flows(ATTEMPTS),
            queries: if_flows(QUERIES),
            retransmits: if_flows(RETRANSMITS),
            later_namespaces: if flows { MAX_NAMESPACES } else { 0 },
            flow_entries: power_of_two_below(budget / 2 / entry, 16_384),
            other_entries: power_of_two_below(OTHER_BUDGET / entry, 4096),
            ring_bytes: if every { EVERY_RING_BYTES } else { RING_BYTES },
            event_budget: (SLOT_EVENTS / cpus.max(1)).max(LEAST_EVENTS),
            stack_budget: (SLOT_STACKS / cpus.max(1)).max(LEAST_STACKS),
            cpus: cpus.max(1),
        }
    }

    /// Kernel memory of all maps, bytes.
    pub fn bytes(&self) -> u64 {
        let entry = ENTRY_BYTES + VALUE_BYTES * u64::from(self.cpus);
        let drops = entry * (2 * u64::from(self.flow_entries) + u64::from(self.other_entries));
        let attempts = [
            (self.attempts, size_of::<AttemptKey>() + size_of::<Attempt>()),
            (self.queries, size_of::<QueryKey>() + size_of::<Query>()),
            (self.retransmits, size_of::<RetransmitKey>() + size_of::<Retransmit>()),
        ];
        let attempts = attempts.map(|(entries, bytes)| u64::from(entries) * (ELEMENT_BYTES + bytes as u64));
        drops + u64::from(self.ring_bytes) + attempts.iter().sum::<u64>()
    }

    pub(super) fn entries(&self, filter: &KernelFilter) -> [(&'static str, u32); 9] {
        let of_pods = if filter.follows_pods() { MAX_POD_KEYS } else { 0 };
        [
            ("FLOWS_EVEN", self.flow_entries),
            ("FLOWS_ODD", self.flow_entries),
            ("OTHER_FLOWS", self.other_entries),
            ("EVENTS", self.ring_bytes),
            ("ATTEMPTS", self.attempts),
            ("QUERIES", self.queries),
            ("RETRANSMITS", self.retransmits),
            ("FILTER", filter.keys().count().max(1) as u32 + self.later_namespaces + of_pods),
            ("SUBNETS", filter.subnets().len().max(1) as u32),
        ]
    }
}

fn power_of_two_below(entries: u64, most: u32) -> u32 {
    let entries = u32::try_from(entries).unwrap_or(u32::MAX).clamp(64, most);
    1 << entries.ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 32 << 20;

    #[test]
    fn the_budget_holds_on_any_machine() {
        for cpus in [1, 2, 8, 64, 128, 512, 4096] {
            for flows in [false, true] {
                let sizes = Sizes::new(cpus, false, flows);
                assert!(sizes.bytes() <= BUDGET, "{cpus} CPUs: {sizes:?} are {} bytes", sizes.bytes());
            }
        }
    }

    #[test]
    fn a_small_machine_holds_many_flows() {
        assert_eq!(Sizes::new(2, false, false).flow_entries, 16_384);
        assert!(Sizes::new(128, false, false).flow_entries >= 4096);
    }
}
