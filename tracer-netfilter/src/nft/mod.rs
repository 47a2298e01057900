//! nf_tables over netlink.

use crate::model::{DecodeError, Family, Rule};

pub(crate) fn rule(_family: Family, _handle: u64, _attributes: &[u8], _number: u32) -> Result<Rule, DecodeError> {
    Err(DecodeError::Malformed("a rule of nf_tables"))
}
