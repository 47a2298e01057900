//! What the loads of nf_tables ask for, by the kernel's names (`include/uapi/linux/netfilter/nf_tables.h`).

/// `NFT_META_` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetaKey {
    Length,
    Protocol,
    Priority,
    Mark,
    InputIndex,
    OutputIndex,
    InputName,
    OutputName,
    InputType,
    OutputType,
    SocketUser,
    SocketGroup,
    NfTrace,
    RouteClass,
    SecurityMark,
    NfProtocol,
    TransportProtocol,
    BridgeInputName,
    BridgeOutputName,
    PacketType,
    Cpu,
    InputGroup,
    OutputGroup,
    Cgroup,
    Random,
    SecurityPath,
    InputKind,
    OutputKind,
    BridgeInputVlan,
    BridgeInputVlanProtocol,
    Time,
    DayOfWeek,
    HourOfDay,
    SourceDevice,
    SourceDeviceName,
    BridgeBroute,
    BridgeInputAddress,
    /// A key that this version has no name for.
    Other(u32),
}

/// `NFT_CT_` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CtKey {
    State,
    Direction,
    Status,
    Mark,
    SecurityMark,
    Expiration,
    Helper,
    L3Protocol,
    Source,
    Destination,
    Protocol,
    SourcePort,
    DestinationPort,
    Labels,
    Packets,
    Bytes,
    AveragePacket,
    Zone,
    EventMask,
    SourceIp,
    DestinationIp,
    SourceIp6,
    DestinationIp6,
    Id,
    Other(u32),
}

/// Which way of a connection: `IP_CT_DIR_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Original,
    Reply,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FibResult {
    OutputIndex,
    OutputName,
    AddressType,
}

/// `NFT_RT_` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteKey {
    Class,
    NextHop4,
    NextHop6,
    TcpMss,
    Xfrm,
    Other(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtensionHeader {
    Ipv6,
    TcpOption,
    Ipv4Option,
    SctpChunk,
    DccpOption,
}

/// `NFT_SOCKET_` keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKey {
    Transparent,
    Mark,
    Wildcard,
    CgroupV2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelKey {
    Path,
    Id,
}
