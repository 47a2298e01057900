//! `sk_buff.len` to its place in the struct. Rule: anonymous structs and unions are looked through, typedefs and
//! qualifiers are looked behind, pointers are never followed; two answers that differ are no answer.

use super::error::malformed;
use super::record::{Kind, Type};
use super::{Btf, BtfError};

/// How deep anonymous structs and unions may be nested; the deepest of Linux 7.2, `struct slab`, has 7.
const MAX_DEPTH: u32 = 16;

/// Members looked at for one path; the largest structs have some hundred.
const MAX_VISITS: u32 = 100_000;

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes from the start of the struct that the path begins with, to the byte that holds the member's first bit.
    pub byte_offset: u32,
    /// Bit in that byte where a bit field begins, 0 to 7, counted from the lowest; 0 for everything else.
    pub bit_shift: u8,
    /// Width of a bit field in bits; [`None`] for a member that is whole bytes.
    pub bit_size: Option<u8>,
    /// Size in bytes; of a bit field: the bytes that it touches.
    pub size: u32,
}

impl Btf<'_> {
    /// Finds `struct.member`, `struct.member.member`, `struct.array[1].member`, …
    pub fn member(&self, path: &str) -> Result<Member, BtfError> {
        let (root, rest) = path.split_once('.').unwrap_or((path, ""));
        let roots = self.named(root, &[Kind::Struct, Kind::Union]);
        if roots.is_empty() {
            return Err(BtfError::UnknownType { kind: "struct", name: root.to_owned() });
        }
        let mut search = Search { btf: self, visits: 0 };
        let mut found = None;
        // Some names are used for several structs: those that have the member must agree about it.
        for id in roots {
            match (found, search.path(self.type_by_id(id)?, rest)?) {
                (Some(old), Some(new)) if old != new => {
                    return Err(BtfError::Ambiguous { root: root.to_owned(), member: rest.to_owned() });
                }
                (None, new) => found = new,
                _ => {}
            }
        }
        found.ok_or_else(|| BtfError::UnknownMember { root: root.to_owned(), member: rest.to_owned() })
    }
}

struct Search<'a> {
    btf: &'a Btf<'a>,
    visits: u32,
}

/// A member as its struct declares it, its bits counted from the start of the path.
#[derive(Clone, Copy)]
struct Declared {
    bits: u64,
    type_id: u32,
    bit_size: u8,
}

impl Search<'_> {
    fn path(&mut self, root: Type<'_>, path: &str) -> Result<Option<Member>, BtfError> {
        let mut at = root;
        let mut bits = 0;
        let mut last = None;
        for part in path.split('.') {
            let (name, index) = indexed(part);
            let Some(mut declared) = self.named(at, name, bits, MAX_DEPTH)? else { return Ok(None) };
            if let Some(index) = index {
                let Some(element) = self.element(declared, index)? else { return Ok(None) };
                declared = element;
            }
            bits = declared.bits;
            at = self.btf.resolve(declared.type_id)?;
            last = Some(declared);
        }
        last.map(|declared| self.member(declared)).transpose()
    }

    fn named(&mut self, at: Type<'_>, name: &str, bits: u64, depth: u32) -> Result<Option<Declared>, BtfError> {
        if !at.is_aggregate() || name.is_empty() {
            return Ok(None);
        }
        for [member_name, type_id, place] in at.elements() {
            self.visits += 1;
            if self.visits > MAX_VISITS || depth == 0 {
                return Err(malformed("a struct has no end"));
            }
            let (offset, bit_size) =
                if at.head.flag() { (place & 0x00ff_ffff, (place >> 24) as u8) } else { (place, 0) };
            let bits = bits + u64::from(offset);
            if member_name == 0 || self.btf.string(member_name)?.is_empty() {
                let inner = self.btf.resolve(type_id)?;
                if let Some(found) = self.named(inner, name, bits, depth - 1)? {
                    return Ok(Some(found));
                }
            } else if self.btf.string(member_name)? == name {
                return Ok(Some(Declared { bits, type_id, bit_size }));
            }
        }
        Ok(None)
    }

    /// One element of a member that is an array; none if it is something else, or shorter.
    fn element(&self, array: Declared, index: u32) -> Result<Option<Declared>, BtfError> {
        let found = self.btf.resolve(array.type_id)?;
        let (Kind::Array, Some([type_id, _, len])) = (found.kind, found.elements().next()) else { return Ok(None) };
        if index >= len {
            return Ok(None);
        }
        let skipped = u64::from(self.btf.size_of(type_id)?) * u64::from(index) * 8;
        let bits = array.bits.checked_add(skipped).ok_or(malformed("an array is larger than memory"))?;
        Ok(Some(Declared { bits, type_id, bit_size: 0 }))
    }

    fn member(&self, declared: Declared) -> Result<Member, BtfError> {
        let (bits, bit_size) = match declared.bit_size {
            0 => self.old_bit_field(declared)?,
            size => (declared.bits, Some(size)),
        };
        let bit_shift = (bits % 8) as u8;
        if bit_size.is_none() && bit_shift != 0 {
            return Err(malformed("a member begins between two bytes"));
        }
        let size = match bit_size {
            Some(size) => (u32::from(bit_shift) + u32::from(size)).div_ceil(8),
            None => self.btf.size_of(declared.type_id)?,
        };
        let byte_offset = u32::try_from(bits / 8).map_err(|_| malformed("a member is beyond 4 GiB"))?;
        Ok(Member { byte_offset, bit_shift, bit_size, size })
    }

    /// Compilers before the struct's bit field flag put the width into the integer's own type.
    fn old_bit_field(&self, declared: Declared) -> Result<(u64, Option<u8>), BtfError> {
        let found = self.btf.resolve(declared.type_id)?;
        let (Kind::Int, Some([encoding])) = (found.kind, found.elements().next()) else {
            return Ok((declared.bits, None));
        };
        let (width, skipped) = ((encoding & 0xff) as u8, encoding >> 16 & 0xff);
        if skipped == 0 && u64::from(width) == u64::from(found.head.size_or_type) * 8 {
            return Ok((declared.bits, None));
        }
        Ok((declared.bits + u64::from(skipped), Some(width)))
    }
}

/// `name[1]` as name and index. What is not written like that is a name, which no member has.
fn indexed(part: &str) -> (&str, Option<u32>) {
    let index = part.strip_suffix(']').and_then(|part| part.split_once('['));
    match index.map(|(name, index)| (name, index.parse())) {
        Some((name, Ok(index))) => (name, Some(index)),
        _ => (part, None),
    }
}
