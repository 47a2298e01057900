//! The header of a BTF file: where its sections are. Rule: a section that does not lie inside the file is an error.

use super::BtfError;
use super::error::malformed;
use super::record::{Layout, words};

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;

/// Bytes of the header without and with the layout section, which Linux 7.3 added.
const SHORT: usize = 24;
const LONG: usize = 32;

/// A part of the file, in bytes from its start.
#[derive(Clone, Copy, Default)]
pub(super) struct Section {
    start: usize,
    end: usize,
}

impl Section {
    pub(super) fn of(self, file: &[u8]) -> &[u8] {
        file.get(self.start..self.end).unwrap_or_default()
    }
}

pub(super) struct Header {
    pub(super) types: Section,
    pub(super) strings: Section,
    layouts: Section,
}

impl Header {
    pub(super) fn read(file: &[u8]) -> Result<Self, BtfError> {
        let Some([m0, m1, version, _, len @ ..]) = file.first_chunk::<8>() else {
            return Err(malformed("the file ends within its header"));
        };
        if (u16::from_ne_bytes([*m0, *m1]), *version) != (MAGIC, VERSION) {
            return Err(malformed("it is not BTF, or of another byte order or version"));
        }
        let len = u32::from_ne_bytes(*len) as usize;
        if len < SHORT {
            return Err(malformed("its header is too short"));
        }
        let section = |at: usize| {
            let [offset, size] = file.get(at..at + 8).and_then(words)?;
            let start = len.checked_add(offset as usize)?;
            let end = start.checked_add(size as usize)?;
            (end <= file.len()).then_some(Section { start, end })
        };
        let outside = malformed("a section is outside of the file");
        let (Some(types), Some(strings)) = (section(8), section(16)) else { return Err(outside) };
        let layouts = if len < LONG { Some(Section::default()) } else { section(24) };
        Ok(Self { types, strings, layouts: layouts.ok_or(outside)? })
    }

    /// The sizes of a kind's records: known, or else told by the file's table of `struct btf_layout`.
    pub(super) fn layout(&self, file: &[u8], kind: u32) -> Option<Layout> {
        Layout::of(kind).or_else(|| {
            let (table, _) = self.layouts.of(file).as_chunks::<4>();
            let [once, each, ..] = table.get(kind as usize).filter(|_| kind != 0)?;
            Some(Layout { once: usize::from(*once), each: usize::from(*each) })
        })
    }
}
