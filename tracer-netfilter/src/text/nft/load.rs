//! Expressions that load a register, with the names nft has for what they load.

use super::exthdr;
use super::header::Protocol;
use super::kind::{Kind, Order};
use super::protocol::{Bits, Protocols};
use super::term::{Registers, Source, Term};
use crate::model::{
    CtKey, Direction, Expression, FibResult, HashKind, MetaKey, Register, RouteKey, SocketKey, TunnelKey,
};

const NAME_BITS: u32 = 128;

fn named(text: impl Into<String>, kind: Kind, order: Order, bits: u32) -> Term {
    Term::Named { text: text.into(), kind, order, bits, source: Source::Other }
}

/// The term that an expression loads, and where to; `None` for an expression that loads nothing.
pub(super) fn load(expression: &Expression, registers: &Registers, protocols: &Protocols) -> Option<(Register, Term)> {
    Some(match expression {
        Expression::Payload { base, offset, length, register } => {
            let (offset, length) = (offset.saturating_mul(8), length.saturating_mul(8));
            (*register, Term::Bits(Bits { base: *base, offset, length }))
        }
        Expression::Meta { key, register } => (*register, meta(*key)),
        Expression::Conntrack { key, direction, register } => (*register, conntrack(*key, *direction, protocols)),
        Expression::Fib { result, flags, register } => (*register, fib(*result, *flags)),
        Expression::Route { key, register } => (*register, route(*key)),
        Expression::ExtensionHeader { header, kind, offset, length, present, register } => {
            (*register, exthdr::term(*header, *kind, offset.saturating_mul(8), length.saturating_mul(8), *present))
        }
        Expression::Socket { key, level, register } => (*register, socket(*key, *level)),
        Expression::Tunnel { key, register } => (
            *register,
            match key {
                TunnelKey::Path => named("tunnel path", Kind::Boolean, Order::Host, 8),
                TunnelKey::Id => named("tunnel id", Kind::Integer, Order::Host, 32),
            },
        ),
        Expression::Xfrm { key, inbound, number, register } => (*register, xfrm(*key, *inbound, *number)),
        Expression::OsFingerprint { register } => (*register, named("osf name", Kind::String, Order::Host, NAME_BITS)),
        Expression::NumberGenerator { modulus, random, offset, register } => {
            let how = if *random { "random" } else { "inc" };
            let text = format!("numgen {how} mod {modulus}{}", from_offset(*offset));
            (*register, named(text, Kind::Integer, Order::Host, 32))
        }
        Expression::Hash { kind, source, length, modulus, seed, offset, register } => {
            let seed = seed.map(|seed| format!(" seed {seed:#x}")).unwrap_or_default();
            let after = format!(" mod {modulus}{seed}{}", from_offset(*offset));
            let term = match (kind, source) {
                (HashKind::Jenkins, Some(source)) => {
                    Term::Hash { source: Box::new(registers.get_bits(*source, length.saturating_mul(8))), after }
                }
                _ => named(format!("symhash{after}"), Kind::Integer, Order::Host, 32),
            };
            (*register, term)
        }
        Expression::Immediate { data, register } => (*register, Term::Constant(data.clone())),
        _ => return None,
    })
}

fn from_offset(offset: u32) -> String {
    if offset == 0 { String::new() } else { format!(" offset {offset}") }
}

/// Name and type of a `meta` key.
pub(super) const fn meta_key(key: MetaKey) -> (&'static str, Kind, u32) {
    match key {
        MetaKey::Length => ("length", Kind::Integer, 32),
        MetaKey::Protocol => ("protocol", Kind::EtherType, 16),
        MetaKey::Priority => ("priority", Kind::ClassId, 32),
        MetaKey::Mark => ("mark", Kind::Mark, 32),
        MetaKey::InputIndex => ("iif", Kind::InterfaceIndex, 32),
        MetaKey::OutputIndex => ("oif", Kind::InterfaceIndex, 32),
        MetaKey::InputName => ("iifname", Kind::InterfaceName, NAME_BITS),
        MetaKey::OutputName => ("oifname", Kind::InterfaceName, NAME_BITS),
        MetaKey::InputType => ("iiftype", Kind::Hardware, 16),
        MetaKey::OutputType => ("oiftype", Kind::Hardware, 16),
        MetaKey::SocketUser => ("skuid", Kind::Integer, 32),
        MetaKey::SocketGroup => ("skgid", Kind::Integer, 32),
        MetaKey::NfTrace => ("nftrace", Kind::Integer, 8),
        MetaKey::RouteClass => ("rtclassid", Kind::Realm, 32),
        MetaKey::SecurityMark => ("secmark", Kind::Integer, 32),
        MetaKey::NfProtocol => ("nfproto", Kind::NfProtocol, 8),
        MetaKey::TransportProtocol => ("l4proto", Kind::Protocol, 8),
        MetaKey::BridgeInputName => ("ibrname", Kind::InterfaceName, NAME_BITS),
        MetaKey::BridgeOutputName => ("obrname", Kind::InterfaceName, NAME_BITS),
        MetaKey::PacketType => ("pkttype", Kind::PacketType, 8),
        MetaKey::Cpu => ("cpu", Kind::Integer, 32),
        MetaKey::InputGroup => ("iifgroup", Kind::DeviceGroup, 32),
        MetaKey::OutputGroup => ("oifgroup", Kind::DeviceGroup, 32),
        MetaKey::Cgroup => ("cgroup", Kind::Integer, 32),
        MetaKey::Random => ("random", Kind::Integer, 32),
        MetaKey::SecurityPath => ("ipsec", Kind::Boolean, 8),
        MetaKey::InputKind => ("iifkind", Kind::InterfaceName, NAME_BITS),
        MetaKey::OutputKind => ("oifkind", Kind::InterfaceName, NAME_BITS),
        MetaKey::BridgeInputVlan => ("ibrpvid", Kind::Integer, 16),
        MetaKey::BridgeInputVlanProtocol => ("ibrvproto", Kind::EtherType, 16),
        MetaKey::Time => ("time", Kind::Date, 64),
        MetaKey::DayOfWeek => ("day", Kind::Day, 8),
        MetaKey::HourOfDay => ("hour", Kind::Hour, 32),
        MetaKey::SourceDevice => ("sdif", Kind::InterfaceIndex, 32),
        MetaKey::SourceDeviceName => ("sdifname", Kind::InterfaceName, NAME_BITS),
        MetaKey::BridgeBroute => ("broute", Kind::Integer, 8),
        MetaKey::BridgeInputAddress => ("ibrhwaddr", Kind::LinkAddress, 48),
        MetaKey::Other(_) => ("unknown", Kind::Integer, 32),
    }
}

/// As it stands in a rule: the keys of devices go without `meta`.
pub(super) fn meta_text(key: MetaKey) -> String {
    let name = meta_key(key).0;
    match key {
        MetaKey::InputIndex
        | MetaKey::OutputIndex
        | MetaKey::InputName
        | MetaKey::OutputName
        | MetaKey::InputGroup
        | MetaKey::OutputGroup => name.to_owned(),
        MetaKey::Other(number) => format!("meta {name}{number}"),
        _ => format!("meta {name}"),
    }
}

pub(super) const fn meta_order(key: MetaKey) -> Order {
    match key {
        MetaKey::Protocol | MetaKey::Random | MetaKey::BridgeInputVlanProtocol | MetaKey::BridgeInputAddress => {
            Order::Network
        }
        _ => Order::Host,
    }
}

fn meta(key: MetaKey) -> Term {
    let (_, kind, bits) = meta_key(key);
    Term::Named { text: meta_text(key), kind, order: meta_order(key), bits, source: Source::Meta(key) }
}

/// Name, type, order and bits of a `ct` key.
pub(super) const fn ct_key(key: CtKey) -> (&'static str, Kind, Order, u32) {
    match key {
        CtKey::State => ("state", Kind::CtState, Order::Host, 32),
        CtKey::Direction => ("direction", Kind::CtDirection, Order::Host, 8),
        CtKey::Status => ("status", Kind::CtStatus, Order::Host, 32),
        CtKey::Mark => ("mark", Kind::Mark, Order::Host, 32),
        CtKey::SecurityMark => ("secmark", Kind::Integer, Order::Host, 32),
        CtKey::Expiration => ("expiration", Kind::Duration, Order::Host, 32),
        CtKey::Helper => ("helper", Kind::String, Order::Host, 128),
        CtKey::L3Protocol => ("l3proto", Kind::NfProtocol, Order::Host, 8),
        CtKey::Source => ("saddr", Kind::Raw, Order::Network, 0),
        CtKey::Destination => ("daddr", Kind::Raw, Order::Network, 0),
        CtKey::Protocol => ("protocol", Kind::Protocol, Order::Network, 8),
        CtKey::SourcePort => ("proto-src", Kind::Service, Order::Network, 16),
        CtKey::DestinationPort => ("proto-dst", Kind::Service, Order::Network, 16),
        CtKey::Labels => ("label", Kind::CtLabel, Order::Host, 128),
        CtKey::Packets => ("packets", Kind::Integer, Order::Host, 64),
        CtKey::Bytes => ("bytes", Kind::Integer, Order::Host, 64),
        CtKey::AveragePacket => ("avgpkt", Kind::Integer, Order::Host, 64),
        CtKey::Zone => ("zone", Kind::Integer, Order::Host, 16),
        CtKey::EventMask => ("event", Kind::CtEvent, Order::Host, 32),
        CtKey::SourceIp => ("ip saddr", Kind::Ipv4, Order::Network, 32),
        CtKey::DestinationIp => ("ip daddr", Kind::Ipv4, Order::Network, 32),
        CtKey::SourceIp6 => ("ip6 saddr", Kind::Ipv6, Order::Network, 128),
        CtKey::DestinationIp6 => ("ip6 daddr", Kind::Ipv6, Order::Network, 128),
        CtKey::Id => ("id", Kind::Integer, Order::Network, 32),
        CtKey::Other(_) => ("unknown", Kind::Integer, Order::Host, 32),
    }
}

pub(super) fn ct_text(key: CtKey, direction: Option<Direction>) -> String {
    let direction = match direction {
        Some(Direction::Original) => "original ",
        Some(Direction::Reply) => "reply ",
        None => "",
    };
    format!("ct {direction}{}", ct_key(key).0)
}

fn conntrack(key: CtKey, direction: Option<Direction>, protocols: &Protocols) -> Term {
    let source = Source::Ct(key);
    let key = match (key, protocols.network) {
        (CtKey::Source, Some(Protocol::Ip)) => CtKey::SourceIp,
        (CtKey::Destination, Some(Protocol::Ip)) => CtKey::DestinationIp,
        (CtKey::Source, Some(Protocol::Ip6)) => CtKey::SourceIp6,
        (CtKey::Destination, Some(Protocol::Ip6)) => CtKey::DestinationIp6,
        (key, _) => key,
    };
    let (_, kind, order, bits) = ct_key(key);
    Term::Named { text: ct_text(key, direction), kind, order, bits, source }
}

fn fib(result: FibResult, flags: u32) -> Term {
    const PRESENT: u32 = 32;
    let parts = [(1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif")];
    let parts: Vec<_> = parts.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name).collect();
    let (name, kind, bits) = match result {
        FibResult::OutputIndex => ("oif", Kind::InterfaceIndex, 32),
        FibResult::OutputName => ("oifname", Kind::InterfaceName, NAME_BITS),
        FibResult::AddressType => ("type", Kind::AddressType, 32),
    };
    let kind = if flags & PRESENT == 0 { kind } else { Kind::Boolean };
    named(format!("fib {} {name}", parts.join(" . ")), kind, Order::Host, bits)
}

fn route(key: RouteKey) -> Term {
    match key {
        RouteKey::Class => named("rt classid", Kind::Realm, Order::Host, 32),
        RouteKey::NextHop4 => named("rt ip nexthop", Kind::Ipv4, Order::Network, 32),
        RouteKey::NextHop6 => named("rt ip6 nexthop", Kind::Ipv6, Order::Network, 128),
        RouteKey::TcpMss => named("rt mtu", Kind::Integer, Order::Host, 16),
        RouteKey::Xfrm => named("rt ipsec", Kind::Boolean, Order::Host, 8),
        RouteKey::Other(number) => named(format!("rt unknown{number}"), Kind::Integer, Order::Host, 32),
    }
}

fn socket(key: SocketKey, level: u32) -> Term {
    match key {
        SocketKey::Transparent => named("socket transparent", Kind::Integer, Order::Host, 8),
        SocketKey::Mark => named("socket mark", Kind::Mark, Order::Host, 32),
        SocketKey::Wildcard => named("socket wildcard", Kind::Integer, Order::Host, 8),
        SocketKey::CgroupV2 => named(format!("socket cgroupv2 level {level}"), Kind::Integer, Order::Host, 64),
    }
}

/// `NFT_XFRM_KEY_` numbers.
fn xfrm(key: u32, inbound: bool, number: u32) -> Term {
    let (name, kind, order, bits) = match key {
        1 => (" ip daddr", Kind::Ipv4, Order::Network, 32),
        2 => (" ip6 daddr", Kind::Ipv6, Order::Network, 128),
        3 => (" ip saddr", Kind::Ipv4, Order::Network, 32),
        4 => (" ip6 saddr", Kind::Ipv6, Order::Network, 128),
        5 => (" reqid", Kind::Integer, Order::Host, 32),
        6 => (" spi", Kind::Integer, Order::Network, 32),
        _ => (" unknown", Kind::Integer, Order::Host, 32),
    };
    let direction = if inbound { "in" } else { "out" };
    let number = if number == 0 { String::new() } else { format!(" spnum {number}") };
    named(format!("ipsec {direction}{number}{name}"), kind, order, bits)
}
