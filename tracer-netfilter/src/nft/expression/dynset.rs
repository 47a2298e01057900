//! Rules that add to, renew in or take from a set.

use super::super::data::{list, optional_register, register};
use crate::model::{DynamicOperation, Expression, Family};
use crate::netlink::{Attributes, until_nul};

/// `NFTA_DYNSET_`: 1 set name, 3 operation, 4 key sreg, 5 data sreg, 6 timeout (ms), 7 expression, 9 flags,
/// 10 expressions (5.11).
pub(super) fn dynset(family: Family, data: Attributes<'_>) -> Option<Expression> {
    let operation = match data.be32(3)? {
        0 => DynamicOperation::Add,
        1 => DynamicOperation::Update,
        2 => DynamicOperation::Delete,
        _ => return None,
    };
    // One expression is given by itself, several as a list.
    let single = data.get(7).map(Attributes::new);
    let expressions = single.into_iter().chain(list(data.nested(10))).map(|part| inner(family, part)).collect();
    Some(Expression::DynamicSet {
        set: data.text(1)?,
        operation,
        key: register(data, 4)?,
        data: optional_register(data, 5)?,
        timeout_ms: data.be64(6).filter(|timeout| *timeout != 0),
        inverted: data.be32(9).unwrap_or(0) & 1 != 0,
        expressions,
    })
}

/// An expression of the element; the kernel allows no further dynset in it, so this goes no deeper.
fn inner(family: Family, part: Attributes<'_>) -> Expression {
    let name = part.get(1).map_or(b"?".as_slice(), until_nul);
    super::simple(family, name, part.nested(2))
        .unwrap_or_else(|| Expression::Unknown { name: String::from_utf8_lossy(name).into_owned() })
}
