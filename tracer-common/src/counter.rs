//! What the kernel programs count about themselves, one [`CpuState`] a CPU.

use crate::plain::Plain;

/// Index into [`CpuState::counters`]. Discriminants are the contract; the names are what users see in `stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Counter {
    /// Packets that the tracepoint showed while the programs were switched on.
    Seen,
    /// Seen, but not what the user's filter asks for; counted nowhere else.
    Filtered,
    /// Counted under a total because the flow map was full.
    OtherFlows,
    /// Counted nowhere but here, because the map of totals was full too.
    Unkeyed,
    /// Events given to user space.
    Events,
    /// Events not sent because the CPU's budget for the moment was used up.
    Suppressed,
    /// Events not sent because the ring buffer was full.
    Lost,
    /// Packets whose headers could not be read.
    Unreadable,
}

impl Counter {
    pub const ALL: [Self; 8] = [
        Self::Seen,
        Self::Filtered,
        Self::OtherFlows,
        Self::Unkeyed,
        Self::Events,
        Self::Suppressed,
        Self::Lost,
        Self::Unreadable,
    ];
}

/// Everything a CPU keeps for itself, in one map value so that one look-up per drop finds it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    pub counters: [u64; Counter::ALL.len()],
    /// The time slot (time in ns shifted by [`CpuState::SLOT_SHIFT`]) that `slot_events` belongs to.
    pub slot: u64,
    /// Events sent in that slot.
    pub slot_events: u64,
    /// How many of them may have had a stack, by the budget for stacks.
    pub slot_stacks: u64,
    /// The generation in which this CPU found the flow map full: it inserts no more until the next one.
    pub full_generation: u64,
}

impl CpuState {
    /// 2^27 ns, about 134 ms: how long a CPU's budget of events lasts.
    pub const SLOT_SHIFT: u32 = 27;
}

// SAFETY: `repr(C)`, `u64` only, no padding.
unsafe impl Plain for CpuState {}

const _: () = assert!(size_of::<CpuState>() == (8 + 4) * 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counter_stands_at_its_own_index() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
        }
    }
}
