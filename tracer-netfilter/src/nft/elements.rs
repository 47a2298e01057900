//! The elements of a set, as they are now.
//!
//! Rule: elements are given as they are meant: closed ranges, and none that has timed out.

use super::interval::{Listed, closed};
use super::{Ask, NftError, data, request, userdata};
use crate::model::{Element, ElementData, Elements, Set, Table};
use crate::netlink::{Attributes, Socket};

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

/// Reads the elements of a set, in the calling thread's network namespace.
pub fn elements(table: &Table, set: &str) -> Result<Elements, NftError> {
    let gone = || NftError::NoSet { table: table.name.clone(), set: set.to_owned() };
    let described = table.set(set).ok_or_else(gone)?;
    let question =
        request(Ask::Elements, Some(table.family)).with_text(list::TABLE, &table.name).with_text(list::SET, set);
    let dump = Socket::open()?.dump(&question, |listing: &mut Listing, message| listing.take(message.attributes));
    match dump {
        Err(error) if error.is_absent() => Err(gone()),
        Err(error) => Err(error.into()),
        Ok(dump) if dump.is_partial => Err(NftError::Changing { table: table.name.clone(), set: set.to_owned() }),
        Ok(dump) => Ok(dump.answer.finish(described)),
    }
}

/// What was listed so far.
#[derive(Debug, Default)]
pub(super) struct Listing {
    listed: Vec<Listed>,
    catch_all: Option<Element>,
}

impl Listing {
    /// Adds the elements of one message.
    pub(super) fn take(&mut self, attributes: Attributes<'_>) {
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
            self.listed.push(Listed { element, is_end: flags & INTERVAL_END != 0 || has_timed_out });
        }
    }

    pub(super) fn finish(self, set: &Set) -> Elements {
        let elements = if set.flags.interval() && set.parts.is_empty() {
            closed(self.listed)
        } else {
            self.listed.into_iter().filter(|listed| !listed.is_end).map(|listed| listed.element).collect()
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
