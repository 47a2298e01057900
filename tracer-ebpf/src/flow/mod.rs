//! The tc programs: who tried to talk to whom at this device, and who answered.
//!
//! ```text
//!  linear: headers in the linear part  --data--> return
//!     |   \--- handshake, request ---> entry
//!     \--- all that needs a second look ---> copied -> (tunnel -> copied) -> tcp, udp, dns, icmp -> entry
//! ```
//!
//! Rule: the verdict is always "go on with the next program", the packet is never changed, and data packets return at the first
//! branch.

mod copied;
mod dns;
mod entry;
mod icmp;
mod linear;
mod packet;
mod tcp;
mod tunnel;
mod udp;

use aya_ebpf::bindings::{__sk_buff, TC_ACT_UNSPEC};
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use tracer_common::{EGRESS, INGRESS};

use linear::Seen;
pub use packet::Scratch;

/// The program's argument. A `struct sk_buff` too, for the helper that copies kernel memory.
type Context = *mut __sk_buff;

/// Devices with an Ethernet header.
#[classifier]
pub fn flow_ingress(context: TcContext) -> i32 {
    look(context.skb.skb, packet::ETHERNET, INGRESS as u32)
}

#[classifier]
pub fn flow_egress(context: TcContext) -> i32 {
    look(context.skb.skb, packet::ETHERNET, EGRESS as u32)
}

/// Devices whose packets begin with the network header: tun, WireGuard, IP in IP.
#[classifier]
pub fn flow_ingress_ip(context: TcContext) -> i32 {
    look(context.skb.skb, 0, INGRESS as u32)
}

#[classifier]
pub fn flow_egress_ip(context: TcContext) -> i32 {
    look(context.skb.skb, 0, EGRESS as u32)
}

/// `start` is the length of the link's header, bytes.
#[inline(always)]
fn look(context: Context, start: u32, direction: u32) -> i32 {
    match linear::look(context, start, direction) {
        Seen::Nothing => {}
        Seen::Packet(packet, is_opener) => entry::see(context, &packet, is_opener),
        Seen::Further => copied::look(context, start, direction),
    }
    TC_ACT_UNSPEC
}
