//! The type table: finds records by number and by name. Rule: one pass checks that every record lies inside the section
//! and keeps 4 bytes for each; names are compared where they lie, and nothing is copied.

use std::path::Path;

use super::BtfError;
use super::blob::Blob;
use super::error::malformed;
use super::header::{Header, Section};
use super::record::{HEAD, Head, Kind, Layout, Type};

/// How many typedefs, qualifiers or pointers may stand before a type; in Linux 5.10 to 7.2 it is 7.
pub(super) const MAX_CHAIN: usize = 32;

/// Longest name in bytes: the kernel's `KSYM_NAME_LEN` (include/linux/kallsyms.h, 6.12), which bounds BTF names too.
const MAX_NAME: usize = 512;

/// The kernel's type information, or that of one module on top of the kernel's.
pub struct Btf<'base> {
    blob: Blob,
    base: Option<&'base Btf<'base>>,
    types: Section,
    strings: Section,
    /// Where each record starts in `types`.
    starts: Vec<u32>,
    /// Positions in `starts` of the types that are looked up by name: one in eight.
    named: Vec<u32>,
    /// Number of this table's first type: 1, or the first that the base does not have.
    first_id: u32,
    /// Offset of this table's first string: 0, or the length of the base's strings.
    first_string: u32,
}

impl Btf<'static> {
    /// Where the running kernel shows its own types.
    pub const KERNEL: &str = "/sys/kernel/btf/vmlinux";

    /// Reads the types of the running kernel, or of a file that stands in for them.
    pub fn from_kernel(path: &Path) -> Result<Self, BtfError> {
        Self::new(open(path)?, None)
    }

    /// Reads types from memory.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, BtfError> {
        Self::new(Blob::Read(bytes), None)
    }
}

impl<'base> Btf<'base> {
    /// Reads a module's types (`/sys/kernel/btf/<module>`), whose numbers and strings continue those of `base`.
    pub fn from_module(base: &'base Btf<'base>, path: &Path) -> Result<Self, BtfError> {
        Self::new(open(path)?, Some(base))
    }

    /// Reads a module's types from memory.
    pub fn parse_split(base: &'base Btf<'base>, bytes: Vec<u8>) -> Result<Self, BtfError> {
        Self::new(Blob::Read(bytes), Some(base))
    }

    fn new(blob: Blob, base: Option<&'base Btf<'base>>) -> Result<Self, BtfError> {
        let header = Header::read(&blob)?;
        let (starts, named) = index(&blob, &header)?;
        let (first_id, first_string) = base.map_or(Some((1, 0)), Btf::end).ok_or(malformed("it has too many types"))?;
        Ok(Self { types: header.types, strings: header.strings, starts, named, first_id, first_string, base, blob })
    }

    /// The type with this number.
    pub(super) fn type_by_id(&self, id: u32) -> Result<Type<'_>, BtfError> {
        let found = match (id.checked_sub(self.first_id), self.base) {
            (Some(own), _) => self.own_type(own as usize),
            (None, Some(base)) => return base.type_by_id(id),
            (None, None) => Some(Type::VOID),
        };
        found.ok_or(malformed("a type number is out of range"))
    }

    fn own_type(&self, own: usize) -> Option<Type<'_>> {
        let section = self.types.of(&self.blob);
        let start = *self.starts.get(own)? as usize;
        let head = Head::read(section, start)?;
        // Nothing asks for the inside of a kind that only the file's own table describes.
        let len = Layout::of(head.kind_number()).and_then(|layout| layout.len(head.count())).unwrap_or_default();
        let tail = section.get(start + HEAD..)?.get(..len)?;
        Some(Type { head, kind: head.kind(), tail })
    }

    /// The string at this offset, without its final zero.
    pub(super) fn string(&self, offset: u32) -> Result<&str, BtfError> {
        let bytes = self.string_from(offset).ok_or(malformed("a name is outside of the file"))?;
        let len = bytes.iter().take(MAX_NAME).position(|&byte| byte == 0);
        len.and_then(|len| str::from_utf8(bytes.get(..len)?).ok())
            .filter(|name| !name.contains(char::is_control))
            .ok_or(malformed("a name is not a short text"))
    }

    fn string_from(&self, offset: u32) -> Option<&[u8]> {
        match offset.checked_sub(self.first_string) {
            Some(own) => self.strings.of(&self.blob).get(own as usize..),
            None => self.base?.string_from(offset),
        }
    }

    fn is_string(&self, offset: u32, text: &str) -> bool {
        let rest = self.string_from(offset).and_then(|bytes| bytes.strip_prefix(text.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// Numbers of all types with this name and one of these kinds, this table's own before the base's.
    pub(super) fn named(&self, name: &str, kinds: &[Kind]) -> Vec<u32> {
        let section = self.types.of(&self.blob);
        let matches = |&own: &u32| {
            let start = self.starts.get(own as usize)?;
            let head = Head::read(section, *start as usize)?;
            (kinds.contains(&head.kind()) && self.is_string(head.name, name)).then(|| self.first_id + own)
        };
        let mut found: Vec<u32> = self.named.iter().filter_map(matches).collect();
        if let Some(base) = self.base {
            found.extend(base.named(name, kinds));
        }
        found
    }

    /// Number of the function with this name.
    pub(crate) fn function(&self, name: &str) -> Option<u32> {
        let section = self.types.of(&self.blob);
        let is_it = |head: Head| head.kind() == Kind::Function && self.is_string(head.name, name);
        let own = self.starts.iter().position(|start| Head::read(section, *start as usize).is_some_and(is_it))?;
        Some(self.first_id + u32::try_from(own).ok()?)
    }

    /// The type behind typedefs and qualifiers.
    pub(super) fn resolve(&self, mut id: u32) -> Result<Type<'_>, BtfError> {
        for _ in 0..MAX_CHAIN {
            let found = self.type_by_id(id)?;
            if !matches!(found.kind, Kind::Typedef | Kind::Modifier) {
                return Ok(found);
            }
            id = found.head.size_or_type;
        }
        Err(malformed("a type is made of itself"))
    }

    /// Where a table that continues this one begins: its first type and its first string.
    fn end(&self) -> Option<(u32, u32)> {
        let types = u32::try_from(self.starts.len()).ok()?;
        let strings = u32::try_from(self.strings.of(&self.blob).len()).ok()?;
        Some((self.first_id.checked_add(types)?, self.first_string.checked_add(strings)?))
    }
}

/// Steps over all records once: where they start, and which of them are looked up by name.
fn index(blob: &[u8], header: &Header) -> Result<(Vec<u32>, Vec<u32>), BtfError> {
    let section = header.types.of(blob);
    // vmlinux spends 24 bytes on a type, so its table fits without growing.
    let mut starts = Vec::with_capacity(section.len() / 24);
    let mut named = Vec::new();
    let mut start = 0;
    while start < section.len() {
        let head = Head::read(section, start).ok_or(malformed("the last type is cut off"))?;
        let layout = header
            .layout(blob, head.kind_number())
            .ok_or(malformed("it has a kind of type that this version does not know"))?;
        let end = layout.len(head.count()).and_then(|len| start.checked_add(HEAD + len));
        if head.name != 0 && head.kind().is_looked_up() {
            named.push(starts.len() as u32);
        }
        starts.push(start as u32);
        start = end.filter(|&end| end <= section.len()).ok_or(malformed("a type is longer than the rest"))?;
    }
    Ok((starts, named))
}

fn open(path: &Path) -> Result<Blob, BtfError> {
    Blob::open(path).map_err(|error| BtfError::Unreadable { path: path.to_owned(), error })
}
