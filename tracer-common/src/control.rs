//! How user space steers the kernel programs: one word at run time, read-only globals before the load.

use crate::plain::Plain;

/// The single value of the `CONTROL` array map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Control {
    /// 0 while the programs are switched off. Its lowest bit chooses the flow map in use; user space raises it each
    /// tick and then drains the map that is no longer written to.
    pub generation: u64,
}

// SAFETY: `repr(C)`, one integer.
unsafe impl Plain for Control {}

/// Read-only globals that are not kernel offsets, by the names that both sides use.
pub struct Settings;

impl Settings {
    /// Compared with [`crate::ABI_VERSION`] by the loader.
    pub const ABI: &str = "ABI";
    /// Events a CPU may send in a time slot; [`u32::MAX`] for no limit.
    pub const EVENT_BUDGET: &str = "EVENT_BUDGET";
    /// Of these, how many may carry a stack.
    pub const STACK_BUDGET: &str = "STACK_BUDGET";
    /// 1: an event for each drop; 0: for the first of a flow in each generation and a sample.
    pub const EVERY: &str = "EVERY";
    /// A flow's packet is sampled when its count on this CPU has none of these bits set.
    pub const SAMPLE_MASK: &str = "SAMPLE_MASK";
    /// Bytes in the ring buffer, a power of two: the reader is woken when they pass this, and each multiple of it.
    pub const WAKE_AT: &str = "WAKE_AT";
    /// Which [`crate::filter`] dimensions are in use: bit n is dimension n.
    pub const FILTERS: &str = "FILTERS";
    /// 1: [`CAST_CALL`] is a call.
    pub const CAST_CONTEXT: &str = "CAST_CONTEXT";
    /// [`REASON_POSITION`], or [`crate::ABSENT`] on a kernel without reasons.
    pub const ARG_REASON: &str = "ARG_REASON";
    /// [`RX_SK_POSITION`], or [`crate::ABSENT`] on a kernel that does not tell the receiving socket.
    pub const ARG_RX_SK: &str = "ARG_RX_SK";
}

/// Stands in the programs for the number of `bpf_cast_to_kern_ctx`, which is another in each kernel. No helper has this one.
pub const CAST_CALL: u32 = 0x7fff_5700;

/// Positions of the `kfree_skb` tracepoint's arguments (include/trace/events/skb.h, 5.10 to 7.2), counted from 0.
pub const SKB_POSITION: u32 = 0;
pub const LOCATION_POSITION: u32 = 1;
/// Since Linux 5.17.
pub const REASON_POSITION: u32 = 2;
/// Since Linux 6.11.
pub const RX_SK_POSITION: u32 = 3;
