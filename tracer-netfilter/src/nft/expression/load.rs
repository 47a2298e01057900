//! Expressions that load a register; some of them write the packet or connection instead, if they have a source.

use super::super::data::register;
use crate::model::{
    CtKey, Direction, Expression, ExtensionHeader, FibResult, HashKind, MetaKey, PayloadBase, RouteKey, SocketKey,
    TunnelKey,
};
use crate::netlink::Attributes;

/// `NFTA_PAYLOAD_`: 1 dreg, 2 base, 3 offset, 4 length, 5 sreg.
pub(super) fn payload(data: Attributes<'_>) -> Option<Expression> {
    let base = match data.be32(2)? {
        0 => PayloadBase::Link,
        1 => PayloadBase::Network,
        2 => PayloadBase::Transport,
        3 => PayloadBase::Inner,
        4 => PayloadBase::Tunnel,
        _ => return None,
    };
    let (offset, length) = (data.be32(3)?, data.be32(4)?);
    Some(if data.get(5).is_some() {
        Expression::PayloadSet { base, offset, length, register: register(data, 5)? }
    } else {
        Expression::Payload { base, offset, length, register: register(data, 1)? }
    })
}

/// `NFT_META_BRI_IIFHWADDR` (6.18). The number before it is no key of the kernel's (`__NFT_META_IIFTYPE`).
const BRIDGE_INPUT_ADDRESS: u32 = 37;

/// `NFT_META_` keys by number; the last one since 6.4.
const META_KEYS: [MetaKey; 36] = [
    MetaKey::Length,
    MetaKey::Protocol,
    MetaKey::Priority,
    MetaKey::Mark,
    MetaKey::InputIndex,
    MetaKey::OutputIndex,
    MetaKey::InputName,
    MetaKey::OutputName,
    MetaKey::InputType,
    MetaKey::OutputType,
    MetaKey::SocketUser,
    MetaKey::SocketGroup,
    MetaKey::NfTrace,
    MetaKey::RouteClass,
    MetaKey::SecurityMark,
    MetaKey::NfProtocol,
    MetaKey::TransportProtocol,
    MetaKey::BridgeInputName,
    MetaKey::BridgeOutputName,
    MetaKey::PacketType,
    MetaKey::Cpu,
    MetaKey::InputGroup,
    MetaKey::OutputGroup,
    MetaKey::Cgroup,
    MetaKey::Random,
    MetaKey::SecurityPath,
    MetaKey::InputKind,
    MetaKey::OutputKind,
    MetaKey::BridgeInputVlan,
    MetaKey::BridgeInputVlanProtocol,
    MetaKey::Time,
    MetaKey::DayOfWeek,
    MetaKey::HourOfDay,
    MetaKey::SourceDevice,
    MetaKey::SourceDeviceName,
    MetaKey::BridgeBroute,
];

/// `NFTA_META_`: 1 dreg, 2 key, 3 sreg.
pub(super) fn meta(data: Attributes<'_>) -> Option<Expression> {
    let number = data.be32(2)?;
    let key = match META_KEYS.get(number as usize) {
        Some(key) => *key,
        None if number == BRIDGE_INPUT_ADDRESS => MetaKey::BridgeInputAddress,
        None => MetaKey::Other(number),
    };
    Some(if data.get(3).is_some() {
        Expression::MetaSet { key, register: register(data, 3)? }
    } else {
        Expression::Meta { key, register: register(data, 1)? }
    })
}

/// `NFT_CT_` keys by number.
const CT_KEYS: [CtKey; 24] = [
    CtKey::State,
    CtKey::Direction,
    CtKey::Status,
    CtKey::Mark,
    CtKey::SecurityMark,
    CtKey::Expiration,
    CtKey::Helper,
    CtKey::L3Protocol,
    CtKey::Source,
    CtKey::Destination,
    CtKey::Protocol,
    CtKey::SourcePort,
    CtKey::DestinationPort,
    CtKey::Labels,
    CtKey::Packets,
    CtKey::Bytes,
    CtKey::AveragePacket,
    CtKey::Zone,
    CtKey::EventMask,
    CtKey::SourceIp,
    CtKey::DestinationIp,
    CtKey::SourceIp6,
    CtKey::DestinationIp6,
    CtKey::Id,
];

/// `NFTA_CT_`: 1 dreg, 2 key, 3 direction, 4 sreg.
pub(super) fn conntrack(data: Attributes<'_>) -> Option<Expression> {
    let number = data.be32(2)?;
    let key = CT_KEYS.get(number as usize).copied().unwrap_or(CtKey::Other(number));
    let direction = match data.u8(3) {
        None => None,
        Some(0) => Some(Direction::Original),
        Some(1) => Some(Direction::Reply),
        Some(_) => return None,
    };
    Some(if data.get(4).is_some() {
        Expression::ConntrackSet { key, direction, register: register(data, 4)? }
    } else {
        Expression::Conntrack { key, direction, register: register(data, 1)? }
    })
}

/// `NFTA_EXTHDR_`: 1 dreg, 2 type, 3 offset, 4 length, 5 flags, 6 operation, 7 sreg. With neither register a TCP option
/// is taken out (`nft_exthdr_tcp_strip_ops`, 5.18).
pub(super) fn extension_header(data: Attributes<'_>) -> Option<Expression> {
    let header = match data.be32(6).unwrap_or(0) {
        0 => ExtensionHeader::Ipv6,
        1 => ExtensionHeader::TcpOption,
        2 => ExtensionHeader::Ipv4Option,
        3 => ExtensionHeader::SctpChunk,
        4 => ExtensionHeader::DccpOption,
        _ => return None,
    };
    let kind = data.u8(2)?;
    let part = || Some((data.be32(3)?, data.be32(4)?));
    if data.get(7).is_some() {
        let (offset, length) = part()?;
        return Some(Expression::ExtensionHeaderSet { header, kind, offset, length, register: register(data, 7)? });
    }
    if data.get(1).is_none() {
        return Some(Expression::ExtensionHeaderReset { header, kind });
    }
    let (offset, length) = part()?;
    let present = data.be32(5).unwrap_or(0) & 1 != 0;
    Some(Expression::ExtensionHeader { header, kind, offset, length, present, register: register(data, 1)? })
}

/// `NFTA_FIB_`: 1 dreg, 2 result, 3 flags.
pub(super) fn fib(data: Attributes<'_>) -> Option<Expression> {
    let result = match data.be32(2)? {
        1 => FibResult::OutputIndex,
        2 => FibResult::OutputName,
        3 => FibResult::AddressType,
        _ => return None,
    };
    Some(Expression::Fib { result, flags: data.be32(3)?, register: register(data, 1)? })
}

/// `NFTA_RT_`: 1 dreg, 2 key.
pub(super) fn route(data: Attributes<'_>) -> Option<Expression> {
    let key = match data.be32(2)? {
        0 => RouteKey::Class,
        1 => RouteKey::NextHop4,
        2 => RouteKey::NextHop6,
        3 => RouteKey::TcpMss,
        4 => RouteKey::Xfrm,
        other => RouteKey::Other(other),
    };
    Some(Expression::Route { key, register: register(data, 1)? })
}

/// `NFTA_SOCKET_`: 1 key, 2 dreg, 3 level.
pub(super) fn socket(data: Attributes<'_>) -> Option<Expression> {
    let key = match data.be32(1)? {
        0 => SocketKey::Transparent,
        1 => SocketKey::Mark,
        2 => SocketKey::Wildcard,
        3 => SocketKey::CgroupV2,
        _ => return None,
    };
    Some(Expression::Socket { key, level: data.be32(3).unwrap_or(0), register: register(data, 2)? })
}

/// `NFTA_TUNNEL_`: 1 key, 2 dreg, 3 mode. Only one way of packets (mode 1 or 2) can't be said in the model.
pub(super) fn tunnel(data: Attributes<'_>) -> Option<Expression> {
    let key = match (data.be32(1)?, data.be32(3).unwrap_or(0)) {
        (0, 0) => TunnelKey::Path,
        (1, 0) => TunnelKey::Id,
        _ => return None,
    };
    Some(Expression::Tunnel { key, register: register(data, 2)? })
}

/// `NFTA_XFRM_`: 1 dreg, 2 key, 3 direction, 4 number.
pub(super) fn xfrm(data: Attributes<'_>) -> Option<Expression> {
    let inbound = match data.u8(3)? {
        0 => true,
        1 => false,
        _ => return None,
    };
    Some(Expression::Xfrm {
        key: data.be32(2)?,
        inbound,
        number: data.be32(4).unwrap_or(0),
        register: register(data, 1)?,
    })
}

/// `NFTA_OSF_`: 1 dreg, 2 ttl, 3 flags.
pub(super) fn os_fingerprint(data: Attributes<'_>) -> Option<Expression> {
    Some(Expression::OsFingerprint { register: register(data, 1)? })
}

/// `NFTA_NG_`: 1 dreg, 2 modulus, 3 type, 4 offset.
pub(super) fn number_generator(data: Attributes<'_>) -> Option<Expression> {
    let random = match data.be32(3)? {
        0 => false,
        1 => true,
        _ => return None,
    };
    Some(Expression::NumberGenerator {
        modulus: data.be32(2)?,
        random,
        offset: data.be32(4).unwrap_or(0),
        register: register(data, 1)?,
    })
}

/// `NFTA_HASH_`: 1 sreg, 2 dreg, 3 length, 4 modulus, 5 seed, 6 offset, 7 type.
pub(super) fn hash(data: Attributes<'_>) -> Option<Expression> {
    let kind = match data.be32(7).unwrap_or(0) {
        0 => HashKind::Jenkins,
        1 => HashKind::Symmetric,
        _ => return None,
    };
    Some(Expression::Hash {
        kind,
        source: super::super::data::optional_register(data, 1)?,
        length: data.be32(3).unwrap_or(0),
        modulus: data.be32(4)?,
        seed: data.be32(5),
        offset: data.be32(6).unwrap_or(0),
        register: register(data, 2)?,
    })
}
