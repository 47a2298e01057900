//! Every map, with the reason for its kind and size. User space shrinks the per-CPU ones on machines with many CPUs
//! so that all together stay below 32 MiB.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::lpm_trie::LpmTrie;
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, PerCpuHashMap, RingBuf};
use tracer_common::{
    Attempt, AttemptKey, AttemptState, Control, CpuState, FilterKey, FlowKey, MAX_FILTER_VALUES, MAX_SUBNETS,
    PORT_WORDS, Query, QueryKey, Retransmit, RetransmitKey, Tally, TotalKey,
};

use crate::flow::Scratch;

/// The switch, and which of the two flow maps is in use.
#[map]
pub static CONTROL: Array<Control> = Array::with_max_entries(1, 0);

/// Own counters and the budget of events.
#[map]
pub static CPU_STATE: PerCpuArray<CpuState> = PerCpuArray::with_max_entries(1, 0);

/// Flows of even generations. A plain hash, because an LRU would throw counts away; two of them, so that user space
/// can drain one that no program writes to. Per CPU, so that a count is a plain add.
#[map]
pub static FLOWS_EVEN: PerCpuHashMap<FlowKey, Tally> = PerCpuHashMap::with_max_entries(32768, 0);

/// Flows of odd generations.
#[map]
pub static FLOWS_ODD: PerCpuHashMap<FlowKey, Tally> = PerCpuHashMap::with_max_entries(32768, 0);

/// "Other flows": what did not fit above, by total. Never drained. There are few places where packets are dropped;
/// what does not fit even here is counted in `Counter::Unkeyed`.
#[map]
pub static OTHER_FLOWS: PerCpuHashMap<TotalKey, Tally> = PerCpuHashMap::with_max_entries(4096, BPF_F_NO_PREALLOC);

/// Events for user space.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// What the user asks for, by dimension.
#[map]
pub static FILTER: HashMap<FilterKey, u8> = HashMap::with_max_entries(MAX_FILTER_VALUES, BPF_F_NO_PREALLOC);

/// The addresses that the user asks for.
#[map]
pub static SUBNETS: LpmTrie<[u32; 4], u8> = LpmTrie::with_max_entries(MAX_SUBNETS, 0);

/// Attempts to talk that the tc programs saw. LRU: the oldest make room, so that a flood of SYNs costs no memory; an attempt is
/// looked at, not counted. One entry unless flows are watched.
#[map]
pub static ATTEMPTS: LruHashMap<AttemptKey, Attempt> = LruHashMap::with_max_entries(16384, 0);

/// Where the tc programs keep a packet and make an entry.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// DNS transactions, as above.
#[map]
pub static QUERIES: LruHashMap<QueryKey, Query> = LruHashMap::with_max_entries(4096, 0);

/// Connections that sent segments again.
#[map]
pub static RETRANSMITS: LruHashMap<RetransmitKey, Retransmit> = LruHashMap::with_max_entries(4096, 0);

/// What the tc programs count of themselves.
#[map]
pub static ATTEMPT_STATE: PerCpuArray<AttemptState> = PerCpuArray::with_max_entries(1, 0);

/// The class of each port (`tracer_common::port_place`).
#[map]
pub static PORTS: Array<u64> = Array::with_max_entries(PORT_WORDS, 0);
