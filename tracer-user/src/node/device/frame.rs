//! The addresses that bridges and overlays decide by, out of a packet's first bytes.
//!
//! Rule: only what is there is told; a frame that is cut off or nested otherwise has no addresses or no network number.

use std::fmt::Write as _;

use tracer_common::{DropEvent, HEAD_MAC, HEAD_NETWORK};

/// A link-layer address of Ethernet.
pub type Mac = [u8; 6];

const VLAN: [u16; 2] = [0x8100, 0x88a8];
const IP: [u16; 2] = [0x0800, 0x86dd];
const UDP: u8 = 17;
const UDP_HEADER: usize = 8;
const VXLAN_HEADER: usize = 8;

/// What is known of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub destination: Option<Mac>,
    pub source: Option<Mac>,
    /// The word of flags of its VXLAN header (RFC 7348 section 5), if it is UDP.
    pub vxlan_flags: Option<u8>,
    /// The network number of its VXLAN header.
    pub vni: Option<u32>,
    /// The source of the frame that follows its VXLAN header.
    pub inner_source: Option<Mac>,
}

/// As tools print it: `02:00:00:00:00:05`.
pub fn mac(address: &[u8]) -> String {
    address.iter().enumerate().fold(String::new(), |mut text, (at, byte)| {
        let colon = if at == 0 { "" } else { ":" };
        let _ = write!(text, "{colon}{byte:02x}");
        text
    })
}

/// Reads the first bytes of a packet.
pub(super) fn parse(event: &DropEvent) -> Frame {
    let head = event.head.get(..usize::from(event.head_length)).unwrap_or(&event.head);
    match event.head_kind {
        HEAD_MAC => ethernet(head).unwrap_or_default(),
        HEAD_NETWORK => tunnel(head).unwrap_or_default(),
        _ => Frame::default(),
    }
}

fn ethernet(head: &[u8]) -> Option<Frame> {
    let (destination, rest) = head.split_first_chunk::<6>()?;
    let (source, rest) = rest.split_first_chunk::<6>()?;
    let (mut ethertype, mut rest) = ethertype(rest)?;
    while VLAN.contains(&ethertype) {
        (ethertype, rest) = self::ethertype(rest.get(2..)?)?;
    }
    let frame = if IP.contains(&ethertype) { tunnel(rest).unwrap_or_default() } else { Frame::default() };
    Some(Frame { destination: Some(*destination), source: Some(*source), ..frame })
}

fn ethertype(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (value, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*value), rest))
}

/// The VXLAN header of a UDP datagram, if it is one: whoever asks knows that. The version is asked for in the packet
/// itself, for a device that takes the outer headers off has set `skb->protocol` to that of the inner packet.
fn tunnel(packet: &[u8]) -> Option<Frame> {
    let first = *packet.first()?;
    let (protocol, header) = match first >> 4 {
        4 => (*packet.get(9)?, usize::from(first & 15) * 4),
        6 => (*packet.get(6)?, 40),
        _ => return None,
    };
    let at = header + UDP_HEADER;
    let vxlan = packet.get(at..at + VXLAN_HEADER).filter(|_| protocol == UDP)?;
    let vni = vxlan.get(4..)?.first_chunk().map(|word| u32::from_be_bytes(*word) >> 8);
    let inner_source = packet.get(at + VXLAN_HEADER + size_of::<Mac>()..).and_then(<[u8]>::first_chunk).copied();
    Some(Frame { vxlan_flags: vxlan.first().copied(), vni, inner_source, ..Frame::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outer(version: u8) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 5];
        if version == 4 {
            bytes.extend([0x08, 0, 0x45]);
            bytes.extend([0; 8]);
            bytes.push(17);
            bytes.extend([0; 10]);
        } else {
            bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, 17]);
            bytes.extend([0; 33]);
        }
        bytes.extend([0; 8]);
        bytes.extend([8, 0, 0, 0, 0, 0, 77, 0]);
        bytes.extend([2, 0, 0, 0, 0, 7, 2, 0, 0, 0, 0, 8]);
        bytes
    }

    #[test]
    fn addresses_and_network_number() {
        for version in [4, 6] {
            let frame = ethernet(&outer(version)).unwrap();
            assert_eq!(frame.destination.map(|address| mac(&address)).as_deref(), Some("02:00:00:00:00:09"));
            assert_eq!((frame.vni, frame.vxlan_flags), (Some(77), Some(8)), "IPv{version}");
            assert_eq!(frame.inner_source, Some([2, 0, 0, 0, 0, 8]));
            assert_eq!(tunnel(&outer(version)[14..]).unwrap().vni, Some(77));
        }
    }

    #[test]
    fn tags_are_passed_over() {
        let mut bytes = outer(4);
        bytes.splice(12..12, [0x81, 0, 0, 5]);
        assert_eq!(ethernet(&bytes).unwrap().vni, Some(77));
    }

    #[test]
    fn what_is_cut_off_is_not_known() {
        for cut in 0..outer(6).len() {
            let frame = ethernet(&outer(6)[..cut]).unwrap_or_default();
            assert_eq!(frame.vni.is_some(), cut >= 14 + 40 + 8 + 8, "cut at {cut}");
            assert_eq!(frame.inner_source, None, "cut at {cut}");
            assert_eq!(frame.source.is_some(), cut >= 14, "cut at {cut}");
        }
    }
}
