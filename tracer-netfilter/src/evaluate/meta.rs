//! What surrounds a packet (`net/netfilter/nft_meta.c`, Linux 6.18).

use std::time::{SystemTime, UNIX_EPOCH};

use super::View;
use super::load::Loaded;
use super::payload::{has_transport, packet_length};
use super::registers::Source;
use crate::model::{Family, MetaKey};
use crate::packet::{Device, Known, Packet};

const INPUT: &str = "the input device";
const OUTPUT: &str = "the output device";
const SOCKET: &str = "the socket that sent the packet";

pub(super) fn load(view: &View<'_>, key: MetaKey) -> Loaded {
    let packet = view.packet;
    match key {
        MetaKey::Mark => Loaded::Mark(Source::Packet),
        MetaKey::Length => Loaded::from_option(packet_length(view), (4, "the packet's length"), Loaded::number),
        MetaKey::Protocol => Loaded::Bytes(packet.ethertype.to_be_bytes().to_vec()),
        MetaKey::NfProtocol => Loaded::Bytes(vec![protocol_family(view)]),
        MetaKey::TransportProtocol if !has_transport(view) => Loaded::Break,
        MetaKey::TransportProtocol => {
            Loaded::from_option(packet.protocol, (1, "the transport protocol"), |number| Loaded::Bytes(vec![number]))
        }
        MetaKey::PacketType => packet_type(packet),
        MetaKey::Cpu => Loaded::from_option(packet.cpu, (4, "the CPU"), Loaded::number),
        MetaKey::SocketUser | MetaKey::SocketGroup | MetaKey::Cgroup => socket(packet, key),
        MetaKey::InputIndex | MetaKey::InputName | MetaKey::InputType | MetaKey::InputGroup | MetaKey::InputKind => {
            device(packet.input.as_ref(), key, INPUT)
        }
        MetaKey::OutputIndex
        | MetaKey::OutputName
        | MetaKey::OutputType
        | MetaKey::OutputGroup
        | MetaKey::OutputKind => device(packet.output.as_ref(), key, OUTPUT),
        MetaKey::BridgeInputName => bridge(view, packet.input.as_ref(), INPUT),
        MetaKey::BridgeOutputName => bridge(view, packet.output.as_ref(), OUTPUT),
        MetaKey::Time | MetaKey::DayOfWeek | MetaKey::HourOfDay => clock(key),
        MetaKey::Random => Loaded::unknown(4, "a random number"),
        MetaKey::Priority => Loaded::unknown(4, "the packet's priority"),
        MetaKey::RouteClass => Loaded::unknown(4, "the realm of its route"),
        MetaKey::SecurityMark => Loaded::unknown(4, "its security mark"),
        MetaKey::SecurityPath => Loaded::unknown(1, "whether it came through IPsec"),
        MetaKey::SourceDevice => Loaded::unknown(4, "the device below the VRF"),
        MetaKey::SourceDeviceName => Loaded::unknown(16, "the device below the VRF"),
        MetaKey::BridgeInputVlan | MetaKey::BridgeInputVlanProtocol => Loaded::unknown(2, "the bridge port's VLAN"),
        MetaKey::BridgeInputAddress => Loaded::unknown(6, "the bridge's address"),
        MetaKey::NfTrace | MetaKey::BridgeBroute => Loaded::unknown(4, "how other rules have flagged it"),
        MetaKey::Other(_) => Loaded::unknown(16, "a meta key that is not known to this version"),
    }
}

/// `state->pf`: of the hook, so in an inet table that of the packet.
fn protocol_family(view: &View<'_>) -> u8 {
    match view.family() {
        Family::Inet if view.packet.is_ipv6() => Family::Ip6.number(),
        Family::Inet => Family::Ip.number(),
        family => family.number(),
    }
}

/// `PACKET_LOOPBACK` (5) is shown as what it was sent to.
fn packet_type(packet: &Packet) -> Loaded {
    let shown = match packet.packet_type {
        Some(5) if packet.is_ipv6() => Some(2),
        Some(5) => packet.destination.map(|address| if address.is_multicast() { 2 } else { 1 }),
        other => other,
    };
    Loaded::from_option(shown, (1, "the packet's type"), |kind| Loaded::Bytes(vec![kind]))
}

fn socket(packet: &Packet, key: MetaKey) -> Loaded {
    Loaded::from_known(packet.socket.as_ref(), (4, SOCKET), Loaded::Break, |socket| {
        let (value, what) = match key {
            MetaKey::SocketUser => (socket.user, "the user of the socket"),
            MetaKey::SocketGroup => (socket.group, "the group of the socket"),
            _ => (None, "the net_cls class of the socket"),
        };
        Loaded::from_option(value, (4, what), Loaded::number)
    })
}

fn device(device: Known<&Device>, key: MetaKey, what: &'static str) -> Loaded {
    match key {
        MetaKey::InputIndex | MetaKey::OutputIndex => {
            Loaded::from_known(device, (4, what), Loaded::number(0), |device| Loaded::number(device.index))
        }
        MetaKey::InputName | MetaKey::OutputName => {
            Loaded::from_known(device, (16, what), Loaded::name(""), |device| Loaded::name(&device.name))
        }
        MetaKey::InputType | MetaKey::OutputType => Loaded::from_known(device, (2, what), Loaded::Break, |device| {
            Loaded::from_option(device.hardware, (2, "the device's hardware type"), |hardware| {
                Loaded::Bytes(hardware.to_ne_bytes().to_vec())
            })
        }),
        MetaKey::InputGroup | MetaKey::OutputGroup => Loaded::from_known(device, (4, what), Loaded::Break, |device| {
            Loaded::from_option(device.group, (4, "the device's group"), Loaded::number)
        }),
        _ => Loaded::from_known(device, (16, what), Loaded::Break, |device| match device.kind.as_deref() {
            Some("") => Loaded::Break,
            kind => Loaded::from_option(kind, (16, "the device's kind"), Loaded::name),
        }),
    }
}

/// Name of the bridge that a device is a port of; empty if it is none.
fn bridge(view: &View<'_>, port: Known<&Device>, what: &'static str) -> Loaded {
    Loaded::from_known(port, (16, what), Loaded::name(""), |port| match port.master {
        Some(0) => Loaded::name(""),
        Some(master) => match view.world.device(master) {
            Ok(bridge) => Loaded::name(&bridge.name),
            Err(reason) => Loaded::unknown(16, reason),
        },
        None => Loaded::unknown(16, "the device's bridge"),
    })
}

/// The clock as it is now: a packet is asked about within seconds.
fn clock(key: MetaKey) -> Loaded {
    const DAY: u64 = 86_400;
    let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) else { return Loaded::unknown(8, "the time of day") };
    match key {
        MetaKey::Time => u64::try_from(now.as_nanos())
            .map_or_else(|_| Loaded::unknown(8, "the time"), |nanos| Loaded::Bytes(nanos.to_ne_bytes().to_vec())),
        // 1970 began on a Thursday.
        MetaKey::DayOfWeek => {
            Loaded::Bytes(vec![u8::try_from((now.as_secs() / DAY).wrapping_add(4) % 7).unwrap_or_default()])
        }
        _ => Loaded::number(u32::try_from(now.as_secs() % DAY).unwrap_or_default()),
    }
}

/// As nft names it.
pub(super) const fn name(key: MetaKey) -> &'static str {
    match key {
        MetaKey::Length => "meta length",
        MetaKey::Protocol => "meta protocol",
        MetaKey::Mark => "meta mark",
        MetaKey::InputIndex => "iif",
        MetaKey::OutputIndex => "oif",
        MetaKey::InputName => "iifname",
        MetaKey::OutputName => "oifname",
        MetaKey::InputType => "iiftype",
        MetaKey::OutputType => "oiftype",
        MetaKey::InputGroup => "iifgroup",
        MetaKey::OutputGroup => "oifgroup",
        MetaKey::SocketUser => "meta skuid",
        MetaKey::SocketGroup => "meta skgid",
        MetaKey::NfProtocol => "meta nfproto",
        MetaKey::TransportProtocol => "meta l4proto",
        MetaKey::BridgeInputName => "meta ibrname",
        MetaKey::BridgeOutputName => "meta obrname",
        MetaKey::PacketType => "meta pkttype",
        MetaKey::Cpu => "meta cpu",
        MetaKey::Cgroup => "meta cgroup",
        MetaKey::Time => "meta time",
        MetaKey::DayOfWeek => "meta day",
        MetaKey::HourOfDay => "meta hour",
        _ => "meta",
    }
}
