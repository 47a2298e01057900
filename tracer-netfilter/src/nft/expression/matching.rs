//! Expressions that end a rule unless something holds.

use super::super::data::{register, value};
use crate::model::{Expression, LimitUnit, MapTarget, Operator};
use crate::netlink::{Attributes, text};

/// `NFT_LIMIT_F_INV`, `NFT_QUOTA_F_INV`, `NFT_CONNLIMIT_F_INV`, `NFT_LOOKUP_F_INV`.
const INVERTED: u32 = 1;

/// The flags in an attribute have [`INVERTED`].
fn is_inverted(data: Attributes<'_>, flags: u16) -> bool {
    data.be32(flags).unwrap_or(0) & INVERTED != 0
}

/// `NFTA_CMP_`: 1 sreg, 2 operation, 3 data.
pub(super) fn compare(data: Attributes<'_>) -> Option<Expression> {
    let operator = match data.be32(2)? {
        0 => Operator::Equal,
        1 => Operator::NotEqual,
        2 => Operator::Less,
        3 => Operator::LessOrEqual,
        4 => Operator::Greater,
        5 => Operator::GreaterOrEqual,
        _ => return None,
    };
    Some(Expression::Compare { register: register(data, 1)?, operator, data: value(data, 3)? })
}

/// `NFTA_RANGE_`: 1 sreg, 2 operation, 3 from, 4 to.
pub(super) fn range(data: Attributes<'_>) -> Option<Expression> {
    let negated = match data.be32(2)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(Expression::Range { register: register(data, 1)?, negated, from: value(data, 3)?, to: value(data, 4)? })
}

/// `NFTA_LOOKUP_`: 1 set, 2 sreg, 3 dreg, 5 flags. Destination 0 is the verdict.
pub(super) fn lookup(data: Attributes<'_>) -> Option<Expression> {
    let map = match data.get(3) {
        None => None,
        Some(_) if data.be32(3) == Some(0) => Some(MapTarget::Verdict),
        Some(_) => Some(MapTarget::Register(register(data, 3)?)),
    };
    let set = data.get(1).map(text)?;
    Some(Expression::Lookup { set, register: register(data, 2)?, map, negated: is_inverted(data, 5) })
}

/// `NFTA_LIMIT_`: 1 rate, 2 unit (seconds), 3 burst, 4 type, 5 flags.
pub(super) fn limit(data: Attributes<'_>) -> Option<Expression> {
    let unit = match data.be32(4).unwrap_or(0) {
        0 => LimitUnit::Packets,
        1 => LimitUnit::Bytes,
        _ => return None,
    };
    Some(Expression::Limit {
        rate: data.be64(1)?,
        seconds: data.be64(2)?,
        burst: data.be32(3).unwrap_or(0),
        unit,
        over: is_inverted(data, 5),
    })
}

/// `NFTA_QUOTA_`: 1 bytes, 2 flags, 4 consumed.
pub(super) fn quota(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Quota { bytes: data.be64(1)?, consumed: data.be64(4).unwrap_or(0), over: is_inverted(data, 2) })
}

/// `NFTA_CONNLIMIT_`: 1 count, 2 flags.
pub(super) fn connection_limit(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::ConnectionLimit { count: data.be32(1)?, over: is_inverted(data, 2) })
}
