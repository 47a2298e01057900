//! Keys as libnftnl 1.2.4 names them.

use tracer_netfilter::model::{CtKey, MetaKey};

pub(super) fn meta(key: MetaKey) -> &'static str {
    match key {
        MetaKey::Length => "len",
        MetaKey::Protocol => "protocol",
        MetaKey::Priority => "priority",
        MetaKey::Mark => "mark",
        MetaKey::InputIndex => "iif",
        MetaKey::OutputIndex => "oif",
        MetaKey::InputName => "iifname",
        MetaKey::OutputName => "oifname",
        MetaKey::InputType => "iiftype",
        MetaKey::OutputType => "oiftype",
        MetaKey::SocketUser => "skuid",
        MetaKey::SocketGroup => "skgid",
        MetaKey::NfTrace => "nftrace",
        MetaKey::RouteClass => "rtclassid",
        MetaKey::SecurityMark => "secmark",
        MetaKey::NfProtocol => "nfproto",
        MetaKey::TransportProtocol => "l4proto",
        MetaKey::BridgeInputName => "bri_iifname",
        MetaKey::BridgeOutputName => "bri_oifname",
        MetaKey::PacketType => "pkttype",
        MetaKey::Cpu => "cpu",
        MetaKey::InputGroup => "iifgroup",
        MetaKey::OutputGroup => "oifgroup",
        MetaKey::Cgroup => "cgroup",
        MetaKey::Random => "prandom",
        MetaKey::SecurityPath => "secpath",
        MetaKey::InputKind => "iifkind",
        MetaKey::OutputKind => "oifkind",
        MetaKey::BridgeInputVlan => "bri_iifpvid",
        MetaKey::BridgeInputVlanProtocol => "bri_iifvproto",
        MetaKey::Time => "time",
        MetaKey::DayOfWeek => "day",
        MetaKey::HourOfDay => "hour",
        MetaKey::SourceDevice => "sdif",
        MetaKey::SourceDeviceName => "sdifname",
        MetaKey::BridgeBroute | MetaKey::BridgeInputAddress | MetaKey::Other(_) => "unknown",
    }
}

pub(super) fn ct(key: CtKey) -> &'static str {
    match key {
        CtKey::State => "state",
        CtKey::Direction => "direction",
        CtKey::Status => "status",
        CtKey::Mark => "mark",
        CtKey::SecurityMark => "secmark",
        CtKey::Expiration => "expiration",
        CtKey::Helper => "helper",
        CtKey::L3Protocol => "l3protocol",
        CtKey::Source => "src",
        CtKey::Destination => "dst",
        CtKey::Protocol => "protocol",
        CtKey::SourcePort => "proto_src",
        CtKey::DestinationPort => "proto_dst",
        CtKey::Labels => "label",
        CtKey::Packets => "packets",
        CtKey::Bytes => "bytes",
        CtKey::AveragePacket => "avgpkt",
        CtKey::Zone => "zone",
        CtKey::EventMask => "event",
        CtKey::SourceIp => "src_ip",
        CtKey::DestinationIp => "dst_ip",
        CtKey::SourceIp6 => "src_ip6",
        CtKey::DestinationIp6 => "dst_ip6",
        // libnftnl 1.2.4 has no name for it.
        CtKey::Id | CtKey::Other(_) => "unknown",
    }
}
