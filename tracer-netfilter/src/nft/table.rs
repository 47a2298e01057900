//! Tables and flowtables.

use super::userdata;
use crate::model::{Backend, Family, Table};
use crate::netlink::{Attributes, Message};

/// `NFTA_TABLE_` attributes.
mod attribute {
    pub(super) const NAME: u16 = 1;
    pub(super) const FLAGS: u16 = 2;
    pub(super) const HANDLE: u16 = 4;
    pub(super) const USERDATA: u16 = 6;
    /// 5.12 and later.
    pub(super) const OWNER: u16 = 7;
}

/// `NFT_TABLE_F_DORMANT`.
const DORMANT: u32 = 1;
/// `NFTA_FLOWTABLE_TABLE`, `NFTA_FLOWTABLE_NAME`.
const FLOWTABLE_TABLE: u16 = 1;
const FLOWTABLE_NAME: u16 = 2;

/// A table without what is in it; `None` if it has no name or is of an unknown family.
pub(super) fn table(message: &Message<'_>) -> Option<Table> {
    let attributes = message.attributes;
    let name = super::data::name(attributes, attribute::NAME)?;
    let mut table = Table::new(Backend::Nft, Family::from_number(message.family)?, name);
    table.handle = attributes.be64(attribute::HANDLE);
    table.dormant = attributes.be32(attribute::FLAGS).unwrap_or(0) & DORMANT != 0;
    table.owner = attributes.be32(attribute::OWNER);
    table.comment = userdata::comment(attributes.get(attribute::USERDATA), userdata::COMMENT);
    Some(table)
}

/// Names of a flowtable's table and of itself.
pub(super) fn flowtable(attributes: Attributes<'_>) -> Option<(&[u8], String)> {
    Some((attributes.get(FLOWTABLE_TABLE)?, attributes.text(FLOWTABLE_NAME)?))
}
