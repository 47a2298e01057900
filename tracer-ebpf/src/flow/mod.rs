//! The tc programs: who tried to talk to whom at this device, and who answered.
//!
//! Rule: the verdict is always "go on with the next program", and data packets return at the first branch.

use aya_ebpf::bindings::TC_ACT_UNSPEC;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;

/// Devices with an Ethernet header.
#[classifier]
pub fn flow_ingress(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

#[classifier]
pub fn flow_egress(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Devices whose packets begin with the network header: tun, WireGuard, IP in IP.
#[classifier]
pub fn flow_ingress_ip(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

#[classifier]
pub fn flow_egress_ip(_context: TcContext) -> i32 {
    TC_ACT_UNSPEC
}
