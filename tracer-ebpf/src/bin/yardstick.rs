//! The yardstick of `cargo xtask bench`: what any tracer pays that does something for each drop, and the least that one pays
//! that counts drops by flow.
//!
//! Rule: it shares nothing with the `drop` program but the layout of a flow and the members that it reads, and it leaves out
//! everything that can be left out: filters, events, exact counts when the map is full, packets with IP options.
#![no_std]
#![no_main]

use core::ptr::read_volatile;

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::helpers::bpf_probe_read_kernel;
use aya_ebpf::macros::{btf_tracepoint, classifier, map};
use aya_ebpf::maps::LruPerCpuHashMap;
use aya_ebpf::programs::{BtfTracePointContext, TcContext};
use tracer_common::{FAMILY_IPV4, FAMILY_IPV6, FAMILY_OTHER, FlowKey, Tally};

macro_rules! offsets {
    ($(($name:ident, $path:literal, $need:expr);)*) => {
        $(
            #[doc = concat!("Byte offset of `", $path, "`.")]
            #[unsafe(no_mangle)]
            pub static $name: u32 = 0;
        )*
    };
}
tracer_common::kernel_fields!(offsets);

#[map]
static FLOWS: LruPerCpuHashMap<FlowKey, Tally> = LruPerCpuHashMap::with_max_entries(65536, 0);

/// The price of being attached.
#[btf_tracepoint(function = "kfree_skb")]
pub fn empty(_context: BtfTracePointContext) -> i32 {
    0
}

/// The same at tc, for the programs there.
#[classifier]
pub fn pass(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// A flow's key, and one more in its count.
#[btf_tracepoint(function = "kfree_skb")]
pub fn flows(context: BtfTracePointContext) -> i32 {
    let skb: *const u8 = context.arg(0);
    let device: *const u8 = member(skb, &SKB_DEV);
    let mut flow = FlowKey {
        location: context.arg(1),
        netns: 0,
        reason: context.arg(2),
        ifindex: 0,
        port: 0,
        protocol: 0,
        family: FAMILY_OTHER,
        source: [0; 4],
        destination: [0; 4],
    };
    if !device.is_null() {
        flow.ifindex = member(device, &DEV_IFINDEX);
        flow.netns = member(member(device, &DEV_NET), &NET_INODE);
    }
    let head: *const u8 = member(skb, &SKB_HEAD);
    let network: u16 = member(skb, &SKB_NETWORK_HEADER);
    read_headers(&mut flow, member(skb, &SKB_PROTOCOL), head.wrapping_add(usize::from(network)));
    let bytes = u64::from(member::<u32>(skb, &SKB_LEN));
    match FLOWS.get_ptr_mut(&flow) {
        // SAFETY: the map gave a valid pointer to this CPU's own value.
        Some(tally) => unsafe {
            (*tally).packets += 1;
            (*tally).bytes += bytes;
        },
        None => drop(FLOWS.insert(&flow, Tally { packets: 1, bytes }, 0)),
    }
    0
}

/// Addresses, protocol and destination port, by one copy.
#[inline(always)]
fn read_headers(flow: &mut FlowKey, protocol: u16, at: *const u8) {
    if protocol == 0x0800_u16.to_be() {
        // SAFETY: the helper checks the address.
        let Ok(words) = (unsafe { bpf_probe_read_kernel(at.cast::<[u32; 6]>()) }) else { return };
        flow.family = FAMILY_IPV4;
        flow.protocol = (words[2] >> 8) as u8;
        flow.source[3] = words[3];
        flow.destination[3] = words[4];
        flow.port = (words[5] >> 16) as u16;
    } else if protocol == 0x86dd_u16.to_be() {
        // SAFETY: the helper checks the address.
        let Ok(words) = (unsafe { bpf_probe_read_kernel(at.cast::<[u32; 11]>()) }) else { return };
        flow.family = FAMILY_IPV6;
        flow.protocol = (words[1] >> 16) as u8;
        flow.source = [words[2], words[3], words[4], words[5]];
        flow.destination = [words[6], words[7], words[8], words[9]];
        flow.port = (words[10] >> 16) as u16;
    }
}

/// Loads a member through a BTF-typed pointer.
#[inline(always)]
fn member<T: Copy>(base: *const u8, offset: &'static u32) -> T {
    // SAFETY: the global is valid for reads; the verifier checks the other address, and a fault there loads zero.
    unsafe { read_volatile(base.wrapping_add(read_volatile(offset) as usize).cast()) }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
