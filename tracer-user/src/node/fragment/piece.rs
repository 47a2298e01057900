//! Which part of which datagram a fragment is, by its own header (RFC 791 section 3.1, RFC 8200 section 4.5).

use crate::node::checksum::head::{double, word};

/// IPv6 extension headers followed at most.
const MOST_EXTENSIONS: usize = 8;
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;

/// One fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub id: u32,
    /// Where it begins in its datagram, bytes.
    pub offset: u32,
    /// Bytes of data, as the header says.
    pub length: u32,
    /// Whether others follow it.
    pub more: bool,
}

/// The fragment that these bytes are; `None` for a whole packet or one that cannot be read.
pub(super) fn piece(packet: &[u8]) -> Option<Piece> {
    match packet.first()? >> 4 {
        4 => ipv4(packet),
        6 => ipv6(packet),
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Piece> {
    let place = word(packet, 6)?;
    let header = u16::from(packet.first()? & 0xf) * 4;
    let piece = Piece {
        id: word(packet, 4)?.into(),
        offset: u32::from(place & 0x1fff) * 8,
        length: word(packet, 2)?.saturating_sub(header).into(),
        more: place & 0x2000 != 0,
    };
    (piece.offset > 0 || piece.more).then_some(piece)
}

fn ipv6(packet: &[u8]) -> Option<Piece> {
    let end = IPV6_HEADER + usize::from(word(packet, 4)?);
    let (mut next, mut at) = (*packet.get(6)?, IPV6_HEADER);
    for _ in 0..MOST_EXTENSIONS {
        match next {
            // Hop-by-hop, routing, destination options: length in eight bytes, not counting the first.
            0 | 43 | 60 => {
                next = *packet.get(at)?;
                at += 8 * (usize::from(*packet.get(at + 1)?) + 1);
            }
            44 => {
                let place = word(packet, at + 2)?;
                return Some(Piece {
                    id: double(packet, at + 4)?,
                    offset: u32::from(place & 0xfff8),
                    length: u32::try_from(end.saturating_sub(at + FRAGMENT_HEADER)).ok()?,
                    more: place & 1 != 0,
                });
            }
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_fragment_is_read() {
        let mut packet = vec![0x45, 0, 0, 84, 0, 9, 0x20, 8];
        let first = Piece { id: 9, offset: 64, length: 64, more: true };
        assert_eq!(piece(&packet), Some(first));
        packet[6..8].copy_from_slice(&[0x40, 0]);
        assert_eq!(piece(&packet), None, "DF is no fragment");
    }

    #[test]
    fn an_ipv6_fragment_is_read_behind_other_headers() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 80, 60, 64];
        packet.resize(40, 0);
        packet.extend([44, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend([17, 0, 0, 65, 0, 0, 0, 5]);
        assert_eq!(piece(&packet), Some(Piece { id: 5, offset: 64, length: 64, more: true }));
        for cut in 0..packet.len() {
            let _ = piece(&packet[..cut]);
        }
    }
}
