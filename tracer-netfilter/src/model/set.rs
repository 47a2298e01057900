//! Sets and maps of nf_tables.
//!
//! Rule: elements are not part of a ruleset: they are read when a packet meets the set, because a map of services may
//! hold 100,000 and its rules look at one.

use super::Verdict;

/// `NFT_SET_` flags (`include/uapi/linux/netfilter/nf_tables.h`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetFlags(pub u32);

impl SetFlags {
    pub const fn anonymous(self) -> bool {
        self.0 & 0x1 != 0
    }

    pub const fn constant(self) -> bool {
        self.0 & 0x2 != 0
    }

    pub const fn interval(self) -> bool {
        self.0 & 0x4 != 0
    }

    pub const fn map(self) -> bool {
        self.0 & 0x8 != 0
    }

    pub const fn timeout(self) -> bool {
        self.0 & 0x10 != 0
    }

    pub const fn dynamic(self) -> bool {
        self.0 & 0x20 != 0
    }

    pub const fn object(self) -> bool {
        self.0 & 0x40 != 0
    }

    pub const fn concatenation(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// A set or map, without its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    pub name: String,
    pub handle: Option<u64>,
    pub flags: SetFlags,
    /// Type of the key as nft numbers it, six bits a part of a concatenation (`datatype.h` of nftables).
    pub key_type: u32,
    /// Bytes of a key.
    pub key_length: u32,
    /// Type of what a map holds; `0xffff_ff00` is a verdict (`NFT_DATA_VERDICT`). Of a map of objects, their type
    /// (`NFT_OBJECT_`).
    pub data_type: Option<u32>,
    pub data_length: Option<u32>,
    /// Bytes of each part of a concatenated key; empty for a plain one.
    pub parts: Vec<u32>,
    pub comment: Option<String>,
}

/// What a map holds for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ElementData {
    Value(Vec<u8>),
    Verdict(Verdict),
    /// Name of an object.
    Object(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Element {
    /// The value, or the first of a range; each part of a concatenation is padded to 4 bytes.
    pub key: Vec<u8>,
    /// The last value of a range, included.
    pub key_end: Option<Vec<u8>>,
    pub data: Option<ElementData>,
    pub comment: Option<String>,
    /// Its own counter.
    pub counter: Option<super::Counter>,
    /// It has conditions of its own (`limit`, `quota`, `ct count`), which must hold as well.
    pub conditional: bool,
}

/// The elements of one set. Half-open ranges as the kernel lists them are already closed ones here, and elements that have
/// timed out are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements {
    all: Vec<Element>,
    /// `*`: what a map gives for keys that it does not hold.
    catch_all: Option<Box<Element>>,
    /// Sorted by key, for single values and ranges of plain keys: found by binary search.
    is_sorted: bool,
    /// Bytes of each part of the key; empty for a plain one.
    parts: Vec<u32>,
}

impl Elements {
    /// Takes the elements as they are meant: closed ranges.
    pub fn new(mut elements: Vec<Element>, catch_all: Option<Element>, parts: Vec<u32>) -> Self {
        let has_ranges_of_parts = !parts.is_empty() && elements.iter().any(|element| element.key_end.is_some());
        elements.sort_by(|a, b| a.key.cmp(&b.key));
        Self { all: elements, catch_all: catch_all.map(Box::new), is_sorted: !has_ranges_of_parts, parts }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Element> {
        self.all.iter()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty() && self.catch_all.is_none()
    }

    pub fn catch_all(&self) -> Option<&Element> {
        self.catch_all.as_deref()
    }

    /// The element that holds for `key`.
    pub fn find(&self, key: &[u8]) -> Option<&Element> {
        let found = if self.is_sorted {
            let after = self.all.partition_point(|element| element.key.as_slice() <= key);
            self.all.get(after.wrapping_sub(1)).filter(|element| self.holds(element, key))
        } else {
            self.all.iter().find(|element| self.holds(element, key))
        };
        found.or(self.catch_all())
    }

    fn holds(&self, element: &Element, key: &[u8]) -> bool {
        let Some(end) = &element.key_end else { return element.key == key };
        if self.parts.is_empty() {
            return (element.key.as_slice()..=end.as_slice()).contains(&key);
        }
        let mut at = 0;
        self.parts.iter().all(|length| {
            let part = at..at + *length as usize;
            at += (*length as usize).next_multiple_of(4);
            match (element.key.get(part.clone()), key.get(part.clone()), end.get(part)) {
                (Some(from), Some(value), Some(to)) => (from..=to).contains(&value),
                _ => false,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(key: &[u8], end: Option<&[u8]>) -> Element {
        Element {
            key: key.to_vec(),
            key_end: end.map(<[u8]>::to_vec),
            data: None,
            comment: None,
            counter: None,
            conditional: false,
        }
    }

    #[test]
    fn values_and_ranges_of_a_plain_key() {
        let elements = Elements::new(vec![element(&[10, 0], Some(&[10, 9])), element(&[3, 3], None)], None, vec![]);
        assert!(elements.find(&[3, 3]).is_some() && elements.find(&[10, 9]).is_some());
        assert!(
            elements.find(&[3, 4]).is_none() && elements.find(&[10, 10]).is_none() && elements.find(&[0, 1]).is_none()
        );
    }

    #[test]
    fn each_part_of_a_concatenation_has_its_own_range() {
        let parts = vec![4, 2];
        let from = [10, 0, 0, 0, 0, 80, 0, 0];
        let to = [10, 0, 0, 9, 0, 90, 0, 0];
        let elements = Elements::new(vec![element(&from, Some(&to))], None, parts);
        assert!(elements.find(&[10, 0, 0, 5, 0, 85, 0, 0]).is_some());
        assert!(elements.find(&[10, 0, 0, 5, 0, 91, 0, 0]).is_none(), "the second part is outside");
        assert!(elements.find(&[10, 0, 1, 5, 0, 85, 0, 0]).is_none(), "the first part is outside");
    }

    #[test]
    fn what_no_element_holds_falls_to_the_catch_all() {
        let elements = Elements::new(vec![element(&[1], None)], Some(element(&[], None)), vec![]);
        assert_eq!(elements.find(&[9]).unwrap().key, Vec::<u8>::new());
        assert_eq!(elements.find(&[1]).unwrap().key, [1]);
    }
}
