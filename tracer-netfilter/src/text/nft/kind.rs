//! What a value is: nft's data types, which decide how a number is written.
//!
//! Rule: a type that has no name here is a plain number.

/// A data type (`enum datatypes` of nftables).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    /// Of a field that has no name: written in hexadecimal.
    Raw,
    Bitmask,
    Verdict,
    NfProtocol,
    String,
    InterfaceName,
    LinkAddress,
    Ipv4,
    Ipv6,
    EtherType,
    ArpOperation,
    Protocol,
    Service,
    IcmpType,
    Icmp6Type,
    IgmpType,
    IcmpCode,
    Icmp6Code,
    IcmpAnyCode,
    TcpFlags,
    DccpType,
    MobilityType,
    Duration,
    Mark,
    InterfaceIndex,
    Hardware,
    Realm,
    ClassId,
    CtState,
    CtDirection,
    CtStatus,
    CtLabel,
    CtEvent,
    PacketType,
    DeviceGroup,
    Dscp,
    Ecn,
    AddressType,
    Boolean,
    Date,
    Hour,
    Day,
}

impl Kind {
    /// By nft's number, as sets carry it (`include/datatype.h` of nftables 1.0).
    pub(super) const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Verdict,
            2 => Self::NfProtocol,
            3 => Self::Bitmask,
            5 => Self::String,
            6 | 9 => Self::LinkAddress,
            7 => Self::Ipv4,
            8 => Self::Ipv6,
            10 => Self::EtherType,
            11 => Self::ArpOperation,
            12 => Self::Protocol,
            13 => Self::Service,
            14 => Self::IcmpType,
            15 => Self::TcpFlags,
            16 => Self::DccpType,
            17 => Self::MobilityType,
            18 => Self::Duration,
            19 => Self::Mark,
            20 => Self::InterfaceIndex,
            21 => Self::Hardware,
            22 => Self::Realm,
            23 => Self::ClassId,
            26 => Self::CtState,
            27 => Self::CtDirection,
            28 => Self::CtStatus,
            29 => Self::Icmp6Type,
            30 => Self::CtLabel,
            31 => Self::PacketType,
            32 => Self::IcmpCode,
            33 => Self::Icmp6Code,
            34 => Self::IcmpAnyCode,
            35 => Self::DeviceGroup,
            36 => Self::Dscp,
            37 => Self::Ecn,
            38 => Self::AddressType,
            39 => Self::Boolean,
            40 => Self::CtEvent,
            41 => Self::InterfaceName,
            42 => Self::IgmpType,
            43 => Self::Date,
            44 => Self::Hour,
            45 => Self::Day,
            _ => Self::Integer,
        }
    }

    /// The parts of a concatenated type, six bits each.
    pub(super) fn parts(number: u32) -> Vec<Self> {
        let mut parts: Vec<_> = (0..6)
            .map(|part| (number >> (part * 6)) & 0x3f)
            .take_while(|part| *part != 0)
            .map(Self::from_number)
            .collect();
        parts.reverse();
        parts
    }

    /// Values are sets of flags with names.
    pub(super) const fn is_flags(self) -> bool {
        matches!(self, Self::TcpFlags | Self::CtState | Self::CtStatus | Self::CtEvent | Self::CtLabel)
    }

    /// A mask that leaves the first bits is written `/bits`.
    pub(super) const fn has_prefix(self) -> bool {
        matches!(self, Self::Ipv4 | Self::Ipv6 | Self::Mark | Self::DeviceGroup | Self::Realm)
    }

    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::String | Self::InterfaceName)
    }

    /// Order of the bytes of a value of this type, where nothing else says so.
    pub(super) const fn order(self) -> Order {
        match self {
            Self::Duration
            | Self::Mark
            | Self::InterfaceIndex
            | Self::Hardware
            | Self::Realm
            | Self::ClassId
            | Self::CtState
            | Self::CtStatus
            | Self::CtLabel
            | Self::CtEvent
            | Self::DeviceGroup
            | Self::AddressType
            | Self::Date
            | Self::Hour
            | Self::String
            | Self::InterfaceName => Order::Host,
            _ => Order::Network,
        }
    }
}

/// Order of the bytes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Network,
    Host,
}

impl Order {
    pub(super) const fn swapped(self) -> Self {
        match self {
            Self::Network => Self::Host,
            Self::Host => Self::Network,
        }
    }
}

/// The number that `bytes` hold; `None` if they are more than 16.
pub(super) fn number(bytes: &[u8], order: Order) -> Option<u128> {
    if bytes.len() > 16 {
        return None;
    }
    let shift_in = |number: u128, byte: &u8| number << 8 | u128::from(*byte);
    Some(match order {
        Order::Host if cfg!(target_endian = "little") => bytes.iter().rev().fold(0, shift_in),
        _ => bytes.iter().fold(0, shift_in),
    })
}

/// The lowest `bits` bits.
pub(super) const fn low(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}
