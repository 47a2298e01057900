//! Exact counting: each drop is added to its flow, or, when the flow map is full, to its total among "other flows".
//!
//! Rule: flows + other flows = drops, always. One map takes a drop, never two, so the sum can't disagree.

use aya_ebpf::maps::PerCpuHashMap;
use tracer_common::{Counter, CpuState, FlowKey, Tally};

use crate::maps::{FLOWS_EVEN, FLOWS_ODD, OTHER_FLOWS};

/// Adds the packet; gives its number among the flow's on this CPU (1 for the first), or 0 if the flow did not fit.
#[inline(always)]
pub fn count(state: &mut CpuState, generation: u64, flow: &FlowKey, bytes: u64) -> u64 {
    let number = if generation & 1 == 0 {
        in_flow(&FLOWS_EVEN, state, generation, flow, bytes)
    } else {
        in_flow(&FLOWS_ODD, state, generation, flow, bytes)
    };
    if number == 0 {
        in_other_flows(state, flow, bytes);
    }
    number
}

#[inline(always)]
fn in_flow(
    flows: &PerCpuHashMap<FlowKey, Tally>,
    state: &mut CpuState,
    generation: u64,
    flow: &FlowKey,
    bytes: u64,
) -> u64 {
    if let Some(tally) = flows.get_ptr_mut(flow) {
        // SAFETY: the map gave a valid pointer to this CPU's own value.
        let tally = unsafe { &mut *tally };
        tally.packets += 1;
        tally.bytes += bytes;
        return tally.packets;
    }
    // A failing insert searches the free lists of all CPUs: once is enough in each generation.
    if state.full_generation == generation {
        return 0;
    }
    if flows.insert(flow, Tally { packets: 1, bytes }, 0).is_ok() {
        return 1;
    }
    state.full_generation = generation;
    0
}

#[inline(always)]
fn in_other_flows(state: &mut CpuState, flow: &FlowKey, bytes: u64) {
    bump(state, Counter::OtherFlows);
    let total = flow.total();
    if let Some(tally) = OTHER_FLOWS.get_ptr_mut(total) {
        // SAFETY: the map gave a valid pointer to this CPU's own value.
        let tally = unsafe { &mut *tally };
        tally.packets += 1;
        tally.bytes += bytes;
    } else if OTHER_FLOWS.insert(total, Tally { packets: 1, bytes }, 0).is_err() {
        bump(state, Counter::Unkeyed);
    }
}

/// Adds one to a counter of our own.
#[inline(always)]
pub fn bump(state: &mut CpuState, counter: Counter) {
    state.counters[counter as usize] += 1;
}
