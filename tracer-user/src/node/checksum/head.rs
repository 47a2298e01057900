//! The packet's own bytes, as far as the event has them.
//!
//! Rule: no length in the packet is believed beyond the bytes that are there.

use tracer_common::{HEAD_LENGTH, HEAD_MAC, HEAD_NETWORK};

use crate::decode::Dropped;

const ETHERNET: usize = 14;
const VLAN_TAG: usize = 4;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;

/// The bytes from the network header on; `None` if the event has none.
pub(in crate::node) fn network(dropped: &Dropped) -> Option<&[u8]> {
    let event = &dropped.event;
    let head = event.head.get(..usize::from(event.head_length).min(HEAD_LENGTH))?;
    let rest = match event.head_kind {
        HEAD_NETWORK => head,
        HEAD_MAC => behind_frame(head, event.ethertype),
        _ => return None,
    };
    (!rest.is_empty()).then_some(rest)
}

/// What follows the Ethernet header and its tags; a device without link-layer header has none of them.
fn behind_frame(head: &[u8], ethertype: u16) -> &[u8] {
    let mut at = ETHERNET;
    let mut frame = word(head, at - 2);
    for _ in 0..2 {
        if frame != Some(ETH_P_8021Q) && frame != Some(ETH_P_8021AD) {
            break;
        }
        at += VLAN_TAG;
        frame = word(head, at - 2);
    }
    if matches!(ethertype, ETH_P_IP | ETH_P_IPV6) && frame != Some(ethertype) {
        return head;
    }
    head.get(at..).unwrap_or_default()
}

/// Two bytes in network order.
pub(in crate::node) fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|pair| u16::from_be_bytes(*pair))
}

/// Four bytes in network order.
pub(in crate::node) fn double(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_and_its_tags_are_left_out() {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 5, 8, 0, 0x45]);
        assert_eq!(behind_frame(&frame, ETH_P_IP), [0x45]);
        assert_eq!(behind_frame(&[0x60; 20], ETH_P_IPV6), [0x60; 20], "a tun device has no frame");
        assert_eq!(behind_frame(&[1, 2], 0), [0_u8; 0]);
        assert_eq!((word(&[1], 0), word(&[1, 2, 3], 1), double(&[0, 0, 1, 0], 0)), (None, Some(0x203), Some(256)));
    }
}
