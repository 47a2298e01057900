//! What the first bytes of the packet tell: who sent its frame, and whether it asks for a way of its own (RFC 791).

use tracer_common::{DropEvent, HEAD_LENGTH, HEAD_MAC, HEAD_NETWORK};

/// `IPOPT_LSRR` and `IPOPT_SSRR` of `include/uapi/linux/ip.h`.
const LOOSE_SOURCE_ROUTE: u8 = 131;
const STRICT_SOURCE_ROUTE: u8 = 137;
const VLAN: [u8; 2] = [0x81, 0];

/// A hardware address of Ethernet.
pub type Mac = [u8; 6];

/// An option of IPv4 that names routers to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRoute {
    Loose,
    Strict,
}

/// The sender of the frame, and the option; `None` where the event does not tell.
pub(super) fn read(event: &DropEvent) -> (Option<Mac>, Option<SourceRoute>) {
    let head = event.head.get(..usize::from(event.head_length).min(HEAD_LENGTH)).unwrap_or_default();
    match event.head_kind {
        HEAD_MAC => {
            let sender = head.get(6..12).and_then(|bytes| bytes.try_into().ok()).filter(|mac| *mac != [0; 6]);
            let start = if head.get(12..14) == Some(&VLAN) { 18 } else { 14 };
            (sender, source_route(head.get(start..).unwrap_or_default()))
        }
        HEAD_NETWORK => (None, source_route(head)),
        _ => (None, None),
    }
}

/// `packet`: from the IPv4 header on.
fn source_route(packet: &[u8]) -> Option<SourceRoute> {
    let first = packet.first().filter(|first| *first >> 4 == 4)?;
    let mut options = packet.get(20..usize::from(first & 15) * 4)?;
    loop {
        let (kind, rest) = options.split_first()?;
        options = match *kind {
            0 => return None,
            1 => rest,
            LOOSE_SOURCE_ROUTE => return Some(SourceRoute::Loose),
            STRICT_SOURCE_ROUTE => return Some(SourceRoute::Strict),
            // A length below 2 is malformed.
            _ => options.get(usize::from(*rest.first().filter(|length| **length >= 2)?)..)?,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(options: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 20];
        packet[0] = 0x40 | (5 + options.len() / 4) as u8;
        packet.extend(options);
        packet
    }

    #[test]
    fn a_source_route_is_found_behind_other_options() {
        assert_eq!(source_route(&with(&[1, 131, 7, 4, 10, 0, 0, 1])), Some(SourceRoute::Loose));
        assert_eq!(source_route(&with(&[148, 4, 0, 0, 137, 3, 4, 0])), Some(SourceRoute::Strict));
        for none in [&[][..], &[0, 131, 3, 4], &[148, 4, 0, 0], &[148, 1, 131, 3], &[148, 200, 131, 3]] {
            assert_eq!(source_route(&with(none)), None, "{none:?}");
        }
    }

    #[test]
    fn cut_off_and_hostile_headers_tell_nothing() {
        let whole = with(&[148, 4, 0, 0, 137, 3, 4, 0]);
        for length in 0..whole.len() {
            assert_eq!(source_route(&whole[..length]), None);
        }
        let mut state = 3u64;
        for _ in 0..50_000 {
            let bytes: Vec<u8> = (0..60)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) as u8
                })
                .collect();
            let _ = source_route(&bytes);
        }
    }
}
