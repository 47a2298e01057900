//! Values as nft writes them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::clock;
use super::kind::{Kind, Order, number};
use super::symbol::symbol;
use crate::model::Verdict;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// By its name, if it has one.
    Named,
    /// As a number: the ends of a range.
    Numeric,
}

/// The value that `bytes` hold.
pub(super) fn value(kind: Kind, order: Order, bytes: &[u8], style: Style) -> String {
    if kind.is_text() {
        return text(bytes);
    }
    match number(bytes, order) {
        Some(number) => numeric(kind, number, style),
        None => bytes.iter().fold("0x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

/// A string; one that is not ended by a zero stands for all that start so.
pub(super) fn text(bytes: &[u8]) -> String {
    let is_whole = bytes.last() == Some(&0);
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default());
    if !is_whole {
        return format!("\"{name}*\"");
    }
    match name.strip_suffix('*') {
        Some(start) => format!("\"{start}\\*\""),
        None => format!("\"{name}\""),
    }
}

/// A value that is no string.
pub(super) fn numeric(kind: Kind, value: u128, style: Style) -> String {
    if style == Style::Named {
        if kind == Kind::CtLabel {
            return value.trailing_zeros().to_string();
        }
        if let Some(name) = symbol(kind, value) {
            return name.to_owned();
        }
        if kind.is_flags() && value.count_ones() > 1 {
            return flags(kind, value, " | ");
        }
    }
    match kind {
        Kind::Raw | Kind::Bitmask => format!("{value:#x}"),
        _ if kind.is_flags() => format!("{value:#x}"),
        Kind::Mark => format!("0x{value:08x}"),
        Kind::EtherType => format!("0x{value:04x}"),
        Kind::Dscp => format!("0x{value:02x}"),
        Kind::Ecn => format!("{value:#x}"),
        Kind::Ipv4 => Ipv4Addr::from_bits(u32::try_from(value).unwrap_or(u32::MAX)).to_string(),
        Kind::Ipv6 => ipv6(value),
        Kind::LinkAddress => link_address(value),
        Kind::ClassId => class(value),
        Kind::Duration if style == Style::Numeric => format!("{}s", value / 1000),
        Kind::Duration => duration(u64::try_from(value).unwrap_or(u64::MAX)),
        Kind::Date => clock::date(value),
        Kind::Hour => clock::hour(value),
        Kind::InterfaceIndex => clock::interface(value),
        _ => value.to_string(),
    }
}

/// The flags in `value`, each by its name.
pub(super) fn flags(kind: Kind, value: u128, between: &str) -> String {
    if kind == Kind::CtLabel || value.count_ones() < 2 {
        return numeric(kind, value, Style::Named);
    }
    let bits = (0..128).map(|bit| 1_u128 << bit).filter(|bit| value & bit != 0);
    bits.map(|bit| numeric(kind, bit, Style::Named)).collect::<Vec<_>>().join(between)
}

fn link_address(value: u128) -> String {
    let bytes = value.to_be_bytes();
    bytes.iter().skip(10).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// The C library writes the last 32 bits as of IPv4 when all before them are zero.
fn ipv6(value: u128) -> String {
    match u32::try_from(value) {
        Ok(low) if low > 0xffff => format!("::{}", Ipv4Addr::from_bits(low)),
        _ => Ipv6Addr::from_bits(value).to_string(),
    }
}

/// `TC_H_` handles of traffic control.
fn class(value: u128) -> String {
    match value {
        0 => "none".to_owned(),
        0xffff_ffff => "root".to_owned(),
        _ => format!("{:x}:{:x}", value >> 16, value & 0xffff),
    }
}

/// `1d2h3m4s5ms`, as nft writes times.
pub(super) fn duration(mut milliseconds: u64) -> String {
    let mut text = String::new();
    for (unit, name) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")] {
        let count = milliseconds / unit;
        milliseconds %= unit;
        if count > 0 {
            let _ = write!(text, "{count}{name}");
        }
    }
    text
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Continue => "continue".to_owned(),
        Verdict::Return => "return".to_owned(),
        Verdict::Jump(chain) => format!("jump {}", super::name(chain)),
        Verdict::Goto(chain) => format!("goto {}", super::name(chain)),
        Verdict::Queue(number) => format!("queue to {number}"),
        Verdict::Stolen => "stolen".to_owned(),
    }
}
