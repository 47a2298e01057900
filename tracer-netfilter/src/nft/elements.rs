//! The elements of a set, as they are now.
//!
//! Rule: elements are given as they are meant: closed ranges, and none that has timed out. The kernel finds its way back
//! into a long list by counting, so a hash table that grows meanwhile gives elements twice and leaves out others
//! (`nft_set_hash.c`, `nft_rhash_walk`); a list with an element twice is read again.

use std::time::Duration;

use super::interval::{Kind, Listed, closed, sort};
use super::{Ask, NftError, data, request, userdata};
use crate::model::{Element, ElementData, Elements, Set, Table};
use crate::netlink::{Attributes, Dump, Socket};

/// `NFTA_SET_ELEM_LIST_` attributes.
mod list {
    pub(super) const TABLE: u16 = 1;
    pub(super) const SET: u16 = 2;
    pub(super) const ELEMENTS: u16 = 3;
}

/// `NFTA_SET_ELEM_` attributes.
mod attribute {
    pub(super) const KEY: u16 = 1;
    pub(super) const DATA: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const EXPIRATION: u16 = 5;
    pub(super) const USERDATA: u16 = 6;
    pub(super) const EXPRESSION: u16 = 7;
    pub(super) const OBJECT: u16 = 9;
    /// 5.6 and later.
    pub(super) const KEY_END: u16 = 10;
    /// 5.12 and later.
    pub(super) const EXPRESSIONS: u16 = 11;
}

/// `NFT_SET_ELEM_INTERVAL_END`, `NFT_SET_ELEM_CATCHALL` (5.13 and later).
const INTERVAL_END: u32 = 1;
const CATCH_ALL: u32 = 2;
/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;

/// Readings of a set that keeps changing, and the time between them: a hash table of 100,000 is made anew in that time.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(10);

/// Reads the elements of a set, in the calling thread's network namespace.
pub fn elements(table: &Table, set: &str) -> Result<Elements, NftError> {
    let gone = || NftError::NoSet { table: table.name.clone(), set: set.to_owned() };
    let described = table.set(set).ok_or_else(gone)?;
    let question =
        request(Ask::Elements, Some(table.family)).with_text(list::TABLE, &table.name).with_text(list::SET, set);
    let mut socket = Socket::open()?;
    for attempt in 1..=ATTEMPTS {
        match socket.dump_once(&question, |listing: &mut Listing, message| listing.take(message.attributes)) {
            Err(error) if error.is_absent() => return Err(gone()),
            Err(error) if attempt == ATTEMPTS || !error.is_passing() => return Err(error.into()),
            Err(_) => {}
            Ok(Dump { mut answer, is_partial }) => {
                let is_repeated = sort(&mut answer.listed);
                if !is_partial && !is_repeated {
                    return Ok(answer.finish(described));
                }
            }
        }
        std::thread::sleep(PAUSE);
    }
    Err(NftError::Changing { table: table.name.clone(), set: set.to_owned() })
}

/// What was listed so far.
#[derive(Debug, Default)]
struct Listing {
    listed: Vec<Listed>,
    catch_all: Option<Element>,
}

impl Listing {
    /// Adds the elements of one message.
    fn take(&mut self, attributes: Attributes<'_>) {
        for entry in data::list(attributes.nested(list::ELEMENTS)) {
            self.add(entry);
        }
    }

    fn add(&mut self, entry: Attributes<'_>) {
        let flags = entry.be32(attribute::FLAGS).unwrap_or(0);
        // Only elements that can time out have this, in milliseconds.
        let has_timed_out = entry.be64(attribute::EXPIRATION) == Some(0);
        let element = element(entry);
        if flags & CATCH_ALL != 0 {
            self.catch_all = (!has_timed_out).then_some(element);
        } else if !element.key.is_empty() {
            let kind = match (flags & INTERVAL_END != 0, has_timed_out) {
                (true, _) => Kind::End,
                (false, true) => Kind::TimedOut,
                (false, false) => Kind::Live,
            };
            self.listed.push(Listed { element, kind });
        }
    }

    /// The elements, from a sorted list.
    fn finish(self, set: &Set) -> Elements {
        let elements = if set.flags.interval() && set.parts.is_empty() {
            closed(self.listed)
        } else {
            self.listed.into_iter().filter(|listed| listed.kind == Kind::Live).map(|listed| listed.element).collect()
        };
        Elements::new(elements, self.catch_all, set.parts.clone())
    }
}

fn element(entry: Attributes<'_>) -> Element {
    let key = data::value(entry, attribute::KEY).unwrap_or_default();
    let (counter, conditional) = expressions(entry);
    Element {
        key_end: data::value(entry, attribute::KEY_END).filter(|end| *end != key),
        key,
        data: element_data(entry),
        comment: userdata::comment(entry.get(attribute::USERDATA), userdata::COMMENT),
        counter,
        conditional,
    }
}

fn element_data(entry: Attributes<'_>) -> Option<ElementData> {
    if let Some(name) = entry.text(attribute::OBJECT) {
        return Some(ElementData::Object(name));
    }
    data::verdict(entry, attribute::DATA)
        .map(ElementData::Verdict)
        .or_else(|| data::value(entry, attribute::DATA).map(ElementData::Value))
}

/// Its own counter, and whether it has other expressions that may keep it from matching. `last` never does.
fn expressions(entry: Attributes<'_>) -> (Option<crate::model::Counter>, bool) {
    let (mut counter, mut conditional) = (None, false);
    let single = entry.get(attribute::EXPRESSION).map(Attributes::new);
    for expression in single.into_iter().chain(data::list(entry.nested(attribute::EXPRESSIONS))) {
        match expression.get(EXPRESSION_NAME).map(crate::netlink::until_nul) {
            Some(b"counter") => counter = data::counter(expression.nested(EXPRESSION_DATA)),
            Some(b"last") => {}
            _ => conditional = true,
        }
    }
    (counter, conditional)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{be32, fuzz, nla};
    use super::*;
    use crate::model::{Counter, SetFlags, Verdict};

    const INTERVAL: SetFlags = SetFlags(0x4);

    fn set(flags: SetFlags) -> Set {
        let (name, parts) = ("s".to_owned(), Vec::new());
        let (data_type, data_length, handle, comment) = (None, None, None, None);
        Set { name, handle, flags, key_type: 7, key_length: 4, data_type, data_length, parts, comment }
    }

    fn entry(key: [u8; 4], more: &[Vec<u8>]) -> Vec<u8> {
        nla(1, &[nla(attribute::KEY, &nla(1, &key)), more.concat()].concat())
    }

    fn message(entries: &[Vec<u8>]) -> Vec<u8> {
        [nla(1, b"t\0"), nla(2, b"s\0"), nla(list::ELEMENTS, &entries.concat())].concat()
    }

    fn read(bytes: &[u8], flags: SetFlags) -> (bool, Elements) {
        let mut listing = Listing::default();
        listing.take(Attributes::new(bytes));
        (sort(&mut listing.listed), listing.finish(&set(flags)))
    }

    fn examples() -> Vec<Vec<u8>> {
        let verdict = nla(attribute::DATA, &nla(2, &[be32(1, (-3_i32).cast_unsigned()), nla(2, b"next\0")].concat()));
        let counter = nla(2, &[nla(1, &[0, 0, 0, 0, 0, 0, 0, 9]), nla(2, &[0, 0, 0, 0, 0, 0, 0, 2])].concat());
        let counter = nla(attribute::EXPRESSION, &[nla(1, b"counter\0"), counter].concat());
        let timed_out = nla(attribute::EXPIRATION, &[0; 8]);
        let end = be32(attribute::FLAGS, INTERVAL_END);
        vec![
            message(&[entry([10, 0, 0, 1], &[verdict]), entry([10, 0, 0, 2], &[counter])]),
            message(&[entry([11, 0, 0, 0], &[end]), entry([10, 0, 0, 0], &[]), entry([12, 0, 0, 0], &[timed_out])]),
        ]
    }

    #[test]
    fn data_and_counters() {
        let (is_repeated, elements) = read(&examples()[0], SetFlags(0x8));
        assert!(!is_repeated);
        let data = elements.find(&[10, 0, 0, 1]).and_then(|element| element.data.clone());
        assert_eq!(data, Some(ElementData::Verdict(Verdict::Jump("next".to_owned()))));
        let counter = elements.find(&[10, 0, 0, 2]).and_then(|element| element.counter);
        assert_eq!(counter, Some(Counter { packets: 2, bytes: 9 }));
    }

    #[test]
    fn what_has_timed_out_only_ends_the_range_below() {
        let (_, elements) = read(&examples()[1], INTERVAL);
        assert_eq!(elements.len(), 1);
        assert!(elements.find(&[10, 255, 255, 255]).is_some() && elements.find(&[12, 0, 0, 0]).is_none());
    }

    #[test]
    fn a_list_with_an_element_twice_is_not_to_be_trusted() {
        let twice = message(&[entry([10, 0, 0, 1], &[]), entry([10, 0, 0, 2], &[]), entry([10, 0, 0, 1], &[])]);
        assert!(read(&twice, SetFlags(0)).0);
    }

    #[test]
    fn bytes_that_lie_never_panic() {
        fuzz(&examples(), 50_000, |bytes| {
            for flags in [SetFlags(0), INTERVAL] {
                assert!(read(bytes, flags).1.len() <= bytes.len() / 8);
            }
        });
    }
}
