//! Sets and maps, without their elements.

use super::{data, userdata};
use crate::model::{Set, SetFlags};
use crate::netlink::Attributes;

/// `NFTA_SET_` attributes.
mod attribute {
    pub(super) const TABLE: u16 = 1;
    pub(super) const NAME: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const KEY_TYPE: u16 = 4;
    pub(super) const KEY_LENGTH: u16 = 5;
    pub(super) const DATA_TYPE: u16 = 6;
    pub(super) const DATA_LENGTH: u16 = 7;
    pub(super) const DESCRIPTION: u16 = 9;
    pub(super) const USERDATA: u16 = 13;
    pub(super) const OBJECT_TYPE: u16 = 15;
    pub(super) const HANDLE: u16 = 16;
}

/// `NFTA_SET_DESC_CONCAT` (5.6 and later) and, in it, `NFTA_SET_FIELD_LEN`: bytes, whatever the header says.
const CONCATENATION: u16 = 2;
const FIELD_LENGTH: u16 = 1;

/// The name of the table that a set is in.
pub(super) fn table_of(attributes: Attributes<'_>) -> Option<&[u8]> {
    attributes.get(attribute::TABLE)
}

/// `None` if it has no name.
pub(super) fn set(attributes: Attributes<'_>) -> Option<Set> {
    Some(Set {
        name: data::name(attributes, attribute::NAME)?,
        handle: attributes.be64(attribute::HANDLE),
        flags: SetFlags(attributes.be32(attribute::FLAGS).unwrap_or(0)),
        key_type: attributes.be32(attribute::KEY_TYPE).unwrap_or(0),
        key_length: attributes.be32(attribute::KEY_LENGTH).unwrap_or(0),
        data_type: attributes.be32(attribute::DATA_TYPE).or_else(|| attributes.be32(attribute::OBJECT_TYPE)),
        data_length: attributes.be32(attribute::DATA_LENGTH),
        parts: parts(attributes),
        comment: userdata::comment(attributes.get(attribute::USERDATA), userdata::SET_COMMENT),
    })
}

fn parts(attributes: Attributes<'_>) -> Vec<u32> {
    let fields = attributes.nested(attribute::DESCRIPTION).nested(CONCATENATION);
    let parts: Vec<u32> = data::list(fields).filter_map(|field| field.be32(FIELD_LENGTH)).collect();
    if parts.len() > 1 { parts } else { Vec::new() }
}
