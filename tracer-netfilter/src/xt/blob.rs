//! The kernel's binary structure of a match or target.
//!
//! Rule: fields are read at their offset, with the length checked; numbers are in this machine's byte order unless the
//! name of the method says that they are in the network's.

use crate::model::{DecodeError, Family};

/// A structure as the kernel gave it, with what says how to read it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blob<'a> {
    /// The extension's name in the kernel.
    pub name: &'a str,
    pub revision: u8,
    /// `Ip` or `Ip6`.
    pub family: Family,
    pub data: &'a [u8],
}

impl<'a> Blob<'a> {
    pub(super) const fn is_ipv6(&self) -> bool {
        matches!(self.family, Family::Ip6)
    }

    /// The bytes from `offset` on.
    pub(super) fn bytes<const N: usize>(&self, offset: usize) -> Result<[u8; N], DecodeError> {
        let tail = self.data.get(offset..).ok_or(DecodeError::Short("a match of x_tables"))?;
        tail.first_chunk().copied().ok_or(DecodeError::Short("a match of x_tables"))
    }

    pub(super) fn slice(&self, offset: usize, length: usize) -> Result<&'a [u8], DecodeError> {
        let tail = self.data.get(offset..).ok_or(DecodeError::Short("a match of x_tables"))?;
        tail.get(..length).ok_or(DecodeError::Short("a match of x_tables"))
    }

    pub(super) fn u8(&self, offset: usize) -> Result<u8, DecodeError> {
        self.bytes::<1>(offset).map(|[byte]| byte)
    }

    pub(super) fn u16(&self, offset: usize) -> Result<u16, DecodeError> {
        self.bytes(offset).map(u16::from_ne_bytes)
    }

    /// In network order.
    pub(super) fn be16(&self, offset: usize) -> Result<u16, DecodeError> {
        self.bytes(offset).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, offset: usize) -> Result<u32, DecodeError> {
        self.bytes(offset).map(u32::from_ne_bytes)
    }

    pub(super) fn u64(&self, offset: usize) -> Result<u64, DecodeError> {
        self.bytes(offset).map(u64::from_ne_bytes)
    }

    /// A pair of numbers, lowest and highest.
    pub(super) fn u16_pair(&self, offset: usize) -> Result<(u16, u16), DecodeError> {
        Ok((self.u16(offset)?, self.u16(offset.saturating_add(2))?))
    }

    pub(super) fn u32_pair(&self, offset: usize) -> Result<(u32, u32), DecodeError> {
        Ok((self.u32(offset)?, self.u32(offset.saturating_add(4))?))
    }

    /// A string in a field of `length` bytes, up to its first NUL.
    pub(super) fn string(&self, offset: usize, length: usize) -> Result<String, DecodeError> {
        let field = self.slice(offset, length)?;
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
        Ok(String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned())
    }

    /// Checks that the revision is one of those that the reader knows.
    pub(super) fn known_revisions(&self, known: &[u8]) -> Result<(), DecodeError> {
        if known.contains(&self.revision) {
            return Ok(());
        }
        Err(DecodeError::Revision { name: self.name.to_owned(), revision: self.revision })
    }
}
