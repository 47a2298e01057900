//! The `retransmit` program: connections whose segments are sent again, from the `tcp_retransmit_skb` tracepoint.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;

#[raw_tracepoint(tracepoint = "tcp_retransmit_skb")]
pub fn retransmit(_context: RawTracePointContext) -> i32 {
    0
}
