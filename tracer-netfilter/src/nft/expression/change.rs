//! Expressions that fill a register with a constant or change what is in it.

use super::super::data::{register, value, verdict};
use crate::model::{BitwiseOperation, Expression};
use crate::netlink::Attributes;

/// `NFTA_IMMEDIATE_`: 1 dreg, 2 data. Register 0 is the verdict.
pub(super) fn immediate(data: Attributes<'_>) -> Option<Expression> {
    if data.be32(1)? == 0 {
        return verdict(data, 2).map(Expression::Verdict);
    }
    Some(Expression::Immediate { data: value(data, 2)?, register: register(data, 1)? })
}

/// `NFTA_BITWISE_`: 1 sreg, 2 dreg, 3 length, 4 mask, 5 xor, 6 operation (5.6), 7 data, 8 second sreg (6.13).
pub(super) fn bitwise(data: Attributes<'_>) -> Option<Expression> {
    // The number of bits is the kernel's own `u32`: in its byte order.
    let bits = || value(data, 7)?.first_chunk().copied().map(u32::from_ne_bytes);
    let operation = match data.be32(6).unwrap_or(0) {
        0 => BitwiseOperation::Boolean { mask: value(data, 4)?, xor: value(data, 5)? },
        1 => BitwiseOperation::ShiftLeft(bits()?),
        2 => BitwiseOperation::ShiftRight(bits()?),
        3 => BitwiseOperation::And(register(data, 8)?),
        4 => BitwiseOperation::Or(register(data, 8)?),
        5 => BitwiseOperation::Xor(register(data, 8)?),
        _ => return None,
    };
    Some(Expression::Bitwise {
        source: register(data, 1)?,
        destination: register(data, 2)?,
        length: data.be32(3)?,
        operation,
    })
}

/// `NFTA_BYTEORDER_`: 1 sreg, 2 dreg, 3 operation, 4 length, 5 size.
pub(super) fn byteorder(data: Attributes<'_>) -> Option<Expression> {
    let to_host = match data.be32(3)? {
        0 => true,
        1 => false,
        _ => return None,
    };
    Some(Expression::ByteOrder {
        source: register(data, 1)?,
        destination: register(data, 2)?,
        length: data.be32(4)?,
        size: data.be32(5)?,
        to_host,
    })
}
