//! One entry of a table: `struct ipt_entry`, `struct ip6t_entry`, `struct arpt_entry`.
//!
//! Rule: every offset in it is checked before it is followed.

use crate::model::{Counter, Family};

/// `struct xt_entry_match` and `struct xt_entry_target`: size, name and revision in front of the data.
pub(super) const EXTENSION: usize = 32;
/// `XT_EXTENSION_MAXNAMELEN`
const EXTENSION_NAME: usize = 29;
/// `struct xt_counters`
const COUNTERS: usize = 16;

/// Where the parts of an entry are, and how its family is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) family: Family,
    /// `IPT_SO_GET_INFO`
    pub(super) get_info: i32,
    /// `IPT_SO_GET_ENTRIES`
    pub(super) get_entries: i32,
    /// Hooks of the family.
    pub(super) hooks: usize,
    flags: usize,
    /// `IPT_F_GOTO`
    goto: u8,
    /// `target_offset`; `next_offset` and `comefrom` follow it.
    target_offset: usize,
    counters: usize,
    /// Bytes before the first match.
    pub(super) header: usize,
}

impl Layout {
    /// `include/uapi/linux/netfilter_ipv4/ip_tables.h`
    pub(super) const IPV4: Self = Self {
        family: Family::Ip,
        get_info: 64,
        get_entries: 65,
        hooks: 5,
        flags: 82,
        goto: 0x02,
        target_offset: 88,
        counters: 96,
        header: 112,
    };
    /// `include/uapi/linux/netfilter_ipv6/ip6_tables.h`
    pub(super) const IPV6: Self = Self {
        family: Family::Ip6,
        get_info: 64,
        get_entries: 65,
        hooks: 5,
        flags: 131,
        goto: 0x04,
        target_offset: 140,
        counters: 152,
        header: 168,
    };
    /// `include/uapi/linux/netfilter_arp/arp_tables.h`
    pub(super) const ARP: Self = Self {
        family: Family::Arp,
        get_info: 96,
        get_entries: 97,
        hooks: 3,
        flags: 158,
        goto: 0x01,
        target_offset: 164,
        counters: 176,
        header: 192,
    };

    pub(super) const fn of(family: Family) -> Option<&'static Self> {
        match family {
            Family::Ip => Some(&Self::IPV4),
            Family::Ip6 => Some(&Self::IPV6),
            Family::Arp => Some(&Self::ARP),
            _ => None,
        }
    }

    /// Whether two entries, as [`Entry::detached`] gives them, differ in nothing but their counters.
    pub(super) fn same_rule(&self, one: &[u8], other: &[u8]) -> bool {
        let without = |entry: &'_ [u8]| {
            let (before, after) = entry.split_at_checked(self.counters)?;
            Some((before.to_vec(), after.get(COUNTERS..)?.to_vec()))
        };
        one.len() == other.len() && without(one).is_some_and(|parts| Some(parts) == without(other))
    }
}

/// Where a standard target leads (`struct xt_standard_target`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standard {
    /// To the entry at this offset of the table.
    Jump(u32),
    /// `-NF_ACCEPT - 1` and the like, `XT_RETURN`.
    Verdict(i32),
}

/// A target that is not an extension of its own.
pub(super) const ACCEPT: i32 = -2;
pub(super) const DROP: i32 = -1;
pub(super) const QUEUE: i32 = -4;
/// `XT_RETURN`
pub(super) const RETURN: i32 = -5;
/// In [`Entry::detached`]: no target, the next rule is next.
pub(super) const CONTINUE: i32 = i32::MAX;
/// In [`Entry::detached`]: a jump to where no chain begins.
pub(super) const NOWHERE: i32 = i32::MIN;

/// A match or target in an entry.
pub(super) struct Extension<'a> {
    pub(super) name: &'a str,
    pub(super) revision: u8,
    pub(super) data: &'a [u8],
}

/// An entry whose offsets lie inside of it.
pub(super) struct Entry<'a> {
    layout: &'a Layout,
    pub(super) bytes: &'a [u8],
    target: usize,
}

impl<'a> Entry<'a> {
    /// The entry at the start of `bytes`.
    pub(super) fn new(layout: &'a Layout, bytes: &'a [u8]) -> Option<Self> {
        let target = number(bytes, layout.target_offset)? as usize;
        let next = number(bytes, layout.target_offset.checked_add(2)?)? as usize;
        let has_room = target >= layout.header && next >= target.checked_add(EXTENSION)?;
        // The kernel aligns entries to 8.
        if !has_room || !next.is_multiple_of(8) {
            return None;
        }
        Some(Self { layout, bytes: bytes.get(..next)?, target })
    }

    pub(super) fn is_goto(&self) -> bool {
        self.bytes.get(self.layout.flags).is_some_and(|flags| flags & self.layout.goto != 0)
    }

    pub(super) fn counter(&self) -> Option<Counter> {
        let mut words = self.bytes.get(self.layout.counters..)?.as_chunks().0.iter();
        let packets = u64::from_ne_bytes(*words.next()?);
        Some(Counter { packets, bytes: u64::from_ne_bytes(*words.next()?) })
    }

    /// The matches in their order, bounded by where the target begins.
    pub(super) fn matches(&self) -> Option<Vec<Extension<'a>>> {
        let mut rest = self.bytes.get(self.layout.header..self.target)?;
        let mut matches = Vec::new();
        while !rest.is_empty() {
            let size = number(rest, 0)? as usize;
            matches.push(extension(rest.get(..size)?)?);
            rest = rest.get(size..)?;
        }
        Some(matches)
    }

    /// Whether it asks nothing beyond its header.
    pub(super) const fn has_matches(&self) -> bool {
        self.target > self.layout.header
    }

    pub(super) fn target(&self) -> Option<Extension<'a>> {
        let bytes = self.bytes.get(self.target..)?;
        extension(bytes.get(..number(bytes, 0)? as usize)?)
    }

    /// Where its standard target leads; `None` if its target is an extension.
    pub(super) fn standard(&self) -> Option<Standard> {
        let target = self.target().filter(|target| target.name.is_empty())?;
        let verdict = i32::from_ne_bytes(*target.data.first_chunk()?);
        Some(u32::try_from(verdict).map_or(Standard::Verdict(verdict), Standard::Jump))
    }

    /// Its bytes with what depends on its place in the table taken out, so that the same rule has the same bytes when the
    /// table is read again: `comefrom`, and the offset of a jump, in whose place `verdict` stands.
    pub(super) fn detached(&self, verdict: Option<i32>) -> Box<[u8]> {
        let mut bytes: Box<[u8]> = self.bytes.into();
        let mut put = |at: usize, value: [u8; 4]| {
            if let Some(field) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                *field = value;
            }
        };
        put(self.layout.target_offset + 4, [0; 4]);
        if let Some(verdict) = verdict {
            put(self.target + EXTENSION, verdict.to_ne_bytes());
        }
        bytes
    }
}

fn extension(bytes: &[u8]) -> Option<Extension<'_>> {
    let name = until_zero(bytes.get(2..2 + EXTENSION_NAME)?);
    let name = str::from_utf8(name).ok()?;
    Some(Extension { name, revision: *bytes.get(EXTENSION - 1)?, data: bytes.get(EXTENSION..)? })
}

/// A text that ends with the first 0. The kernel takes any bytes in it.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_zero(bytes)).into_owned()
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|number| u16::from_ne_bytes(*number))
}
