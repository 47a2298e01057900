//! Netlink attributes: type, length and value, aligned to 4 bytes, nested in each other.
//!
//! Rule: bytes are only looked at through here, and a length that lies ends the list; nothing is copied.

/// `struct nlattr`.
const HEADER: usize = 4;
/// `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER` are no part of the type.
const TYPE_MASK: u16 = 0x3fff;

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    pub kind: u16,
    pub value: &'a [u8],
}

/// A run of attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub const fn iter(self) -> Iter<'a> {
        Iter(self.0)
    }

    /// The value of the first attribute of a type.
    pub fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.iter().find(|attribute| attribute.kind == kind).map(|attribute| attribute.value)
    }

    /// The attributes inside another; none if it is absent.
    #[must_use]
    pub fn nested(self, kind: u16) -> Attributes<'a> {
        Attributes(self.get(kind).unwrap_or_default())
    }

    pub fn u8(self, kind: u16) -> Option<u8> {
        self.get(kind)?.first().copied()
    }

    /// Big-endian, as netfilter sends numbers.
    pub fn be16(self, kind: u16) -> Option<u16> {
        self.get(kind)?.first_chunk().copied().map(u16::from_be_bytes)
    }

    /// Big-endian, as netfilter sends numbers.
    pub fn be32(self, kind: u16) -> Option<u32> {
        self.get(kind)?.first_chunk().copied().map(u32::from_be_bytes)
    }

    /// Big-endian, as netfilter sends numbers.
    pub fn be64(self, kind: u16) -> Option<u64> {
        self.get(kind)?.first_chunk().copied().map(u64::from_be_bytes)
    }

    /// A string up to its NUL; what is not UTF-8 is replaced, never refused.
    pub fn text(self, kind: u16) -> Option<String> {
        self.get(kind).map(text)
    }
}

/// A string up to its NUL or its end.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(bytes)).into_owned()
}

/// The bytes in front of a NUL.
pub(crate) fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

impl<'a> IntoIterator for Attributes<'a> {
    type Item = Attribute<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Goes through a run of attributes.
#[derive(Clone, Debug)]
pub struct Iter<'a>(&'a [u8]);

impl<'a> Iterator for Iter<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let header: &[u8; HEADER] = self.0.first_chunk()?;
        let [length_low, length_high, kind_low, kind_high] = *header;
        let length = usize::from(u16::from_ne_bytes([length_low, length_high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]) & TYPE_MASK;
        let Some(value) = self.0.get(HEADER..length) else {
            self.0 = &[];
            return None;
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Attribute { kind, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 24] =
        [8, 0, 1, 0, 0, 0, 1, 2, 7, 0, 2, 0x80, b'a', b'b', 0, 0xff, 8, 0, 3, 0, 0xde, 0xad, 0xbe, 0xef];

    #[test]
    fn values_are_found_by_type_and_numbers_are_big_endian() {
        let attributes = Attributes::new(&BYTES);
        assert_eq!(attributes.be32(1), Some(0x102));
        assert_eq!(attributes.text(2).as_deref(), Some("ab"));
        assert_eq!(attributes.be32(3), Some(0xdead_beef));
        assert_eq!(attributes.get(4), None);
        assert_eq!(attributes.be64(1), None, "too short for it");
        assert_eq!(attributes.iter().count(), 3);
    }

    #[test]
    fn a_length_that_lies_ends_the_list() {
        for length in [0, 1, 3, 25, 0xffff_u16] {
            let mut bytes = BYTES;
            bytes[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(Attributes::new(&bytes).iter().count(), 0, "length {length}");
        }
        assert_eq!(Attributes::new(&BYTES[..23]).iter().count(), 2, "the last one is cut");
    }
}
