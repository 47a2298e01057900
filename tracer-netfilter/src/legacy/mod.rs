//! x_tables over getsockopt.

use crate::model::{DecodeError, Rule, Table};

pub(crate) fn rule(_table: &Table, _entry: &[u8], _jump: Option<usize>, _number: u32) -> Result<Rule, DecodeError> {
    Err(DecodeError::Malformed("a rule of x_tables"))
}
