//! whydrop's kernel programs.
//!
//! Rule: select, filter, count, copy, emit, and nothing else. Names, text and decisions belong to user space. The
//! layouts stand in `tracer-common`; offsets of kernel members are globals that user space sets before the load.
#![no_std]
#![no_main]
#![expect(
    clippy::needless_borrows_for_generic_args,
    reason = "by value, keys and entries would be copied once more to the stack, which has 512 bytes"
)]

mod bridge;
mod conntrack;
mod count;
mod drop;
mod emit;
mod filter;
mod flow;
mod globals;
mod maps;
mod netns;
mod owner;
mod packet;
mod read;
mod retransmit;
mod route;
mod skb;

/// The kernel lets only GPL-compatible programs call its tracing helpers.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
