//! Keys of sets in words.
//!
//! Rule: what has no words is written as the bytes that it is.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::model::{Element, Set};

/// A key of a set, the parts of a concatenation with ` . ` between them.
pub(super) fn key(set: &Set, bytes: &[u8]) -> String {
    let parts = if set.parts.is_empty() { parts_by_type(set.key_type) } else { set.parts.clone() };
    if parts.is_empty() {
        return value(set.key_type, bytes);
    }
    let mut at = 0_usize;
    let count = parts.len();
    let parts: Vec<String> = parts
        .iter()
        .enumerate()
        .map(|(index, length)| {
            // Six bits a part, the last part lowest.
            let shift = u32::try_from((count - 1 - index) * 6).unwrap_or(u32::MAX);
            let kind = set.key_type.checked_shr(shift).unwrap_or(0) & 0x3f;
            let part = bytes.get(at..).unwrap_or_default();
            at = at.saturating_add(*length as usize).next_multiple_of(4);
            value(kind, part.get(..*length as usize).unwrap_or(part))
        })
        .collect();
    parts.join(" . ")
}

/// Bytes of each part, by the type: the kernel is told of them for intervals only (`NFTA_SET_DESC_CONCAT`). Empty for a
/// plain key, and where a part is of a type that is not known here.
fn parts_by_type(key_type: u32) -> Vec<u32> {
    if key_type <= 0x3f {
        return Vec::new();
    }
    let kinds = (0..5_u32).rev().map(|part| key_type >> (part * 6) & 0x3f).skip_while(|kind| *kind == 0);
    kinds.map(length).collect::<Option<_>>().unwrap_or_default()
}

const fn length(kind: u32) -> Option<u32> {
    match kind {
        12 => Some(1),
        13 => Some(2),
        7 | 19 | 20 | 23 | 24 | 26 => Some(4),
        9 => Some(6),
        8 | 41 => Some(16),
        _ => None,
    }
}

/// An element: a value, a prefix or a range.
pub(super) fn element(set: &Set, element: &Element) -> String {
    let Some(end) = &element.key_end else {
        return if element.key.is_empty() { "*".to_owned() } else { key(set, &element.key) };
    };
    match prefix(set, &element.key, end) {
        Some(length) if length == element.key.len() * 8 => key(set, &element.key),
        Some(length) => format!("{}/{length}", key(set, &element.key)),
        None if element.key == *end => key(set, end),
        None => format!("{}-{}", key(set, &element.key), key(set, end)),
    }
}

/// Length of the prefix that a range of addresses is.
fn prefix(set: &Set, from: &[u8], to: &[u8]) -> Option<usize> {
    if !set.parts.is_empty() || !matches!(set.key_type, 7 | 8) || from.len() != to.len() || from.len() > 16 {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().take(16).fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    let different = number(from) ^ number(to);
    let is_prefix = different.checked_add(1).is_none_or(u128::is_power_of_two);
    let starts_there = number(from) & different == 0;
    (is_prefix && starts_there).then(|| from.len() * 8 - different.count_ones() as usize)
}

/// A value by nft's number of its type (`enum datatypes` in nftables' `datatype.h`).
fn value(kind: u32, bytes: &[u8]) -> String {
    let native = || bytes.try_into().map(u32::from_ne_bytes).ok();
    let words = match kind {
        7 => <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).to_string()),
        8 => <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).to_string()),
        9 => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")),
        12 => bytes.first().map(|number| protocol(*number)),
        13 => <[u8; 2]>::try_from(bytes).ok().map(|port| u16::from_be_bytes(port).to_string()),
        19 => native().map(|mark| format!("{mark:#x}")),
        20 | 23 | 24 => native().map(|number| number.to_string()),
        26 => native().map(|state| state_name(state).to_owned()),
        41 => Some(String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned()),
        _ => None,
    };
    words.unwrap_or_else(|| {
        bytes.iter().fold("0x".to_owned(), |mut text, byte| {
            // Writing to a string can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    })
}

fn protocol(number: u8) -> String {
    match number {
        1 => "icmp".to_owned(),
        6 => "tcp".to_owned(),
        17 => "udp".to_owned(),
        58 => "icmpv6".to_owned(),
        132 => "sctp".to_owned(),
        other => other.to_string(),
    }
}

const fn state_name(state: u32) -> &'static str {
    match state {
        1 => "invalid",
        2 => "established",
        4 => "related",
        8 => "new",
        64 => "untracked",
        _ => "several states",
    }
}
