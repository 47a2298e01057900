//! The `drop` program: every packet that the kernel frees as dropped, from the `kfree_skb` tracepoint.
//!
//! Rule: two entry points (typed, and raw for kernels that refuse it), one body, read top to bottom:
//! switched on? -> seen -> filter -> count -> emit.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use tracer_common::{Counter, CpuState, FlowKey, NO_REASON, REASON_POSITION, RX_SK_POSITION};

use crate::count::{bump, count};
use crate::emit::{Drop, emit};
use crate::filter;
use crate::globals::{self, ARG_REASON, ARG_RX_SK};
use crate::maps::{CONTROL, CPU_STATE};
use crate::packet::Packet;
use crate::read::{Direct, Probe, Read};
use crate::skb::Skb;

/// The tracepoint's arguments, wherever this kernel has them.
struct Arguments {
    skb: *const u8,
    location: u64,
    reason: u32,
    receiver: *const u8,
}

/// Reads the arguments. Which of them this kernel has is known only at load, but not where they would be: the verifier
/// wants the offset into the context in the instruction, so the loader refuses other positions than these.
macro_rules! arguments {
    ($context:ident) => {
        Arguments {
            skb: $context.arg(0),
            location: $context.arg(1),
            reason: if globals::get(&ARG_REASON) == REASON_POSITION { $context.arg(2) } else { NO_REASON },
            receiver: if globals::get(&ARG_RX_SK) == RX_SK_POSITION { $context.arg(3) } else { core::ptr::null() },
        }
    };
}

#[btf_tracepoint(function = "kfree_skb")]
pub fn drop(context: BtfTracePointContext) -> i32 {
    dropped::<Direct>(&context, &arguments!(context));
    0
}

#[raw_tracepoint(tracepoint = "kfree_skb")]
pub fn drop_raw(context: RawTracePointContext) -> i32 {
    dropped::<Probe>(&context, &arguments!(context));
    0
}

#[inline(always)]
fn dropped<R: Read>(context: &impl EbpfContext, arguments: &Arguments) {
    let Some(control) = CONTROL.get(0) else { return };
    let generation = control.generation;
    if generation == 0 {
        return;
    }
    let Some(state) = CPU_STATE.get_ptr_mut(0) else { return };
    // SAFETY: the map gave a valid pointer to this CPU's own value, and the kernel lets no program interrupt itself.
    let state: &mut CpuState = unsafe { &mut *state };
    bump(state, Counter::Seen);

    let skb = Skb::new::<R>(arguments.skb, arguments.receiver);
    if !filter::wants_place::<R>(&skb, arguments.reason) {
        return bump(state, Counter::Filtered);
    }
    let packet = Packet::parse::<R>(&skb);
    if !filter::wants_packet::<R>(&skb, &packet) {
        return bump(state, Counter::Filtered);
    }
    if packet.unreadable {
        bump(state, Counter::Unreadable);
    }
    let flow = FlowKey {
        location: arguments.location,
        netns: skb.netns,
        reason: arguments.reason,
        ifindex: skb.ifindex,
        port: packet.port,
        protocol: packet.protocol,
        family: packet.flow_family(),
        source: packet.source,
        destination: packet.destination,
    };
    let number = count(state, generation, &flow, u64::from(skb.length));
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(
        context,
        "drop {} of its flow: reason {} netns {} ifindex {} length {}",
        number,
        arguments.reason,
        skb.netns,
        skb.ifindex,
        skb.length
    );
    emit::<R>(context, state, &Drop { skb: &skb, packet: &packet, flow: &flow }, number);
}
