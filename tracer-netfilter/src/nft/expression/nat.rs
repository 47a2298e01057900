//! Expressions that change addresses and ports, or hand a packet to a listener elsewhere.

use super::super::data::{optional_register, register_pair};
use crate::model::{Expression, NatKind};
use crate::netlink::Attributes;

/// `NFTA_NAT_`: 1 type, 2 family, 3 and 4 address sregs, 5 and 6 port sregs, 7 flags.
pub(super) fn nat(data: Attributes<'_>) -> Option<Expression> {
    let kind = match data.be32(1)? {
        0 => NatKind::Source,
        1 => NatKind::Destination,
        _ => return None,
    };
    Some(Expression::Nat {
        kind,
        family: u8::try_from(data.be32(2)?).ok()?,
        address: register_pair(data, 3, 4)?,
        port: register_pair(data, 5, 6)?,
        flags: data.be32(7).unwrap_or(0),
    })
}

/// `NFTA_MASQ_`: 1 flags, 2 and 3 port sregs.
pub(super) fn masquerade(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Masquerade { port: register_pair(data, 2, 3)?, flags: data.be32(1).unwrap_or(0) })
}

/// `NFTA_REDIR_`: 1 and 2 port sregs, 3 flags.
pub(super) fn redirect(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Redirect { port: register_pair(data, 1, 2)?, flags: data.be32(3).unwrap_or(0) })
}

/// `NFTA_TPROXY_`: 1 family, 2 address sreg, 3 port sreg.
pub(super) fn transparent_proxy(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::TransparentProxy {
        family: u8::try_from(data.be32(1)?).ok()?,
        address: optional_register(data, 2)?,
        port: optional_register(data, 3)?,
    })
}
