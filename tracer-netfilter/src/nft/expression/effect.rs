//! Expressions that do something with a packet.

use super::super::data::{optional_register, register};
use crate::model::{Expression, RejectKind};
use crate::netlink::Attributes;

/// `NFTA_LAST_`: 1 set, 2 milliseconds.
pub(super) fn last(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Last { used: data.be32(1)? != 0, msecs: data.be64(2).unwrap_or(0) })
}

/// `NFTA_LOG_`: 1 group, 2 prefix, 3 snaplen, 4 queue threshold, 5 level, 6 flags.
#[expect(clippy::unnecessary_wraps, reason = "as all decoders of expressions")]
pub(super) fn log(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Log {
        prefix: data.text(2),
        group: data.be16(1),
        level: data.be32(5),
        flags: data.be32(6).unwrap_or(0),
        snaplen: data.be32(3),
        queue_threshold: data.be16(4),
    })
}

/// `NFTA_OBJREF_`: 1 type and 2 name of an object; or 3 sreg and 4 name of a map of objects.
pub(super) fn object(data: Attributes<'_>) -> Option<Expression> {
    match data.text(4) {
        Some(set) => Some(Expression::ObjectMap { set, register: register(data, 3)? }),
        None => Some(Expression::Object { kind: data.be32(1)?, name: data.text(2)? }),
    }
}

/// `NFTA_DUP_`: 1 address sreg, 2 device sreg.
pub(super) fn duplicate(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Duplicate { address: optional_register(data, 1)?, device: optional_register(data, 2)? })
}

/// `NFTA_FWD_`: 1 device sreg, 2 address sreg, 3 family.
pub(super) fn forward(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::Forward {
        device: register(data, 1)?,
        address: optional_register(data, 2)?,
        family: u8::try_from(data.be32(3).unwrap_or(0)).ok()?,
    })
}

/// `NFTA_FLOW_TABLE_NAME`.
pub(super) fn flow_offload(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::FlowOffload { flowtable: data.text(1)? })
}

/// `NFTA_REJECT_`: 1 type, 2 ICMP code (absent with a TCP reset on some kernels).
pub(super) fn reject(data: Attributes<'_>) -> Option<Expression> {
    let kind = match data.be32(1)? {
        0 => RejectKind::Icmp,
        1 => RejectKind::TcpReset,
        2 => RejectKind::IcmpAny,
        _ => return None,
    };
    let code = match (data.u8(2), kind) {
        (Some(code), _) => code,
        (None, RejectKind::TcpReset) => 0,
        (None, _) => return None,
    };
    Some(Expression::Reject { kind, code })
}

/// `NFTA_QUEUE_`: 1 number, 2 total, 3 flags, 4 sreg of the number.
pub(super) fn queue(data: Attributes<'_>) -> Option<Expression> {
    let register = optional_register(data, 4)?;
    let (number, total) = match register {
        Some(_) => (0, 1),
        None => (data.be16(1)?, data.be16(2).unwrap_or(1)),
    };
    let flags = data.be16(3).unwrap_or(0);
    Some(Expression::Queue { number, total, bypass: flags & 1 != 0, fanout: flags & 2 != 0, register })
}

/// `NFTA_SYNPROXY_`: 1 mss, 2 window scale, 3 flags.
pub(super) fn synproxy(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::SynProxy { mss: data.be16(1)?, wscale: data.u8(2).unwrap_or(0), flags: data.be32(3).unwrap_or(0) })
}
