//! Which tunnel a packet is, by the well-known ports and protocols.

use super::transport::protocol;

/// Name of the tunnel, for the `tunnel` key.
pub(super) fn name(number: u8, destination_port: Option<u16>) -> Option<&'static str> {
    match (number, destination_port) {
        // 8472 is what Linux (and so flannel and Cilium) used before IANA assigned 4789.
        (protocol::UDP, Some(4789 | 8472)) => Some("vxlan"),
        (protocol::UDP, Some(6081)) => Some("geneve"),
        (4, _) => Some("ipip"),
        (41, _) => Some("sit"),
        (47, _) => Some("gre"),
        _ => None,
    }
}
