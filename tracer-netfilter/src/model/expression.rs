//! The expressions of nf_tables, which are also what a legacy rule is turned into.
//!
//! Rule: names and meaning are the kernel's (`include/uapi/linux/netfilter/nf_tables.h`); what this version has no name
//! for is [`Expression::Unknown`].

use crate::xt;

use super::Counter;
use super::key::{CtKey, Direction, ExtensionHeader, FibResult, MetaKey, RouteKey, SocketKey, TunnelKey};

/// A data register: index of its first 32-bit word, 0 to 15. `NFT_REG_1` to `NFT_REG_4` are words 0, 4, 8 and 12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Register(pub u8);

/// What becomes of a packet, or where it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Drop,
    /// On to the next rule.
    Continue,
    Return,
    Jump(String),
    Goto(String),
    /// To a program; the number of the queue.
    Queue(u16),
    /// Taken out of the stack, neither dropped nor passed on.
    Stolen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadBase {
    Link,
    Network,
    Transport,
    /// Behind the transport header.
    Inner,
    Tunnel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BitwiseOperation {
    /// `(value & mask) ^ xor`
    Boolean {
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    ShiftLeft(u32),
    ShiftRight(u32),
    /// With another register (6.13 and later).
    And(Register),
    Or(Register),
    Xor(Register),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    Jenkins,
    Symmetric,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitUnit {
    Packets,
    Bytes,
}

/// `NFT_REJECT_` types; the code is of ICMP, ICMPv6, or the family-independent `NFT_REJECT_ICMPX_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectKind {
    Icmp,
    TcpReset,
    IcmpAny,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    Source,
    Destination,
}

/// One step of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expression {
    // Loads
    Payload {
        base: PayloadBase,
        offset: u32,
        length: u32,
        register: Register,
    },
    Meta {
        key: MetaKey,
        register: Register,
    },
    /// `direction` is absent for keys that have none.
    Conntrack {
        key: CtKey,
        direction: Option<Direction>,
        register: Register,
    },
    /// `flags` are `NFTA_FIB_F_` bits: 1 saddr, 2 daddr, 4 mark, 8 iif, 16 oif, 32 present.
    Fib {
        result: FibResult,
        flags: u32,
        register: Register,
    },
    Route {
        key: RouteKey,
        register: Register,
    },
    /// `present`: loads 1 or 0 for whether the header is there.
    ExtensionHeader {
        header: ExtensionHeader,
        kind: u8,
        offset: u32,
        length: u32,
        present: bool,
        register: Register,
    },
    /// `level` is the ancestor level of [`SocketKey::CgroupV2`].
    Socket {
        key: SocketKey,
        level: u32,
        register: Register,
    },
    Tunnel {
        key: TunnelKey,
        register: Register,
    },
    /// `ipsec`: `key` is `NFT_XFRM_KEY_`.
    Xfrm {
        key: u32,
        inbound: bool,
        number: u32,
        register: Register,
    },
    /// The sender's operating system by its SYN.
    OsFingerprint {
        register: Register,
    },
    NumberGenerator {
        modulus: u32,
        random: bool,
        offset: u32,
        register: Register,
    },
    Hash {
        kind: HashKind,
        source: Option<Register>,
        length: u32,
        modulus: u32,
        seed: Option<u32>,
        offset: u32,
        register: Register,
    },
    Immediate {
        data: Vec<u8>,
        register: Register,
    },

    // Changes of registers
    Bitwise {
        source: Register,
        destination: Register,
        length: u32,
        operation: BitwiseOperation,
    },
    /// Swaps each `size` bytes (2, 4 or 8); `to_host` says only how it is meant.
    ByteOrder {
        source: Register,
        destination: Register,
        length: u32,
        size: u32,
        to_host: bool,
    },

    // Matches
    Compare {
        register: Register,
        operator: Operator,
        data: Vec<u8>,
    },
    Range {
        register: Register,
        negated: bool,
        from: Vec<u8>,
        to: Vec<u8>,
    },
    /// In a set; `map` gives what a map holds for it, the verdict register included.
    Lookup {
        set: String,
        register: Register,
        map: Option<MapTarget>,
        negated: bool,
    },
    Limit {
        rate: u64,
        seconds: u64,
        burst: u32,
        unit: LimitUnit,
        over: bool,
    },
    Quota {
        bytes: u64,
        consumed: u64,
        over: bool,
    },
    ConnectionLimit {
        count: u32,
        over: bool,
    },
    Match(xt::Match),

    // Effects
    Counter(Counter),
    Log {
        prefix: Option<String>,
        group: Option<u16>,
        level: Option<u32>,
        flags: u32,
        snaplen: Option<u32>,
        queue_threshold: Option<u16>,
    },
    MetaSet {
        key: MetaKey,
        register: Register,
    },
    ConntrackSet {
        key: CtKey,
        direction: Option<Direction>,
        register: Register,
    },
    PayloadSet {
        base: PayloadBase,
        offset: u32,
        length: u32,
        register: Register,
    },
    ExtensionHeaderSet {
        header: ExtensionHeader,
        kind: u8,
        offset: u32,
        length: u32,
        register: Register,
    },
    /// Removes a TCP option (`reset tcp option`).
    ExtensionHeaderReset {
        header: ExtensionHeader,
        kind: u8,
    },
    NoTrack,
    /// A named object: `kind` is `NFT_OBJECT_` (1 counter, 2 quota, 3 ct helper, 4 limit, 5 connlimit, 6 tunnel, 7 ct
    /// timeout, 8 secmark, 9 ct expectation, 10 synproxy).
    Object {
        kind: u32,
        name: String,
    },
    /// A named object that a map holds for a register's value.
    ObjectMap {
        set: String,
        register: Register,
    },
    DynamicSet {
        set: String,
        operation: DynamicOperation,
        key: Register,
        data: Option<Register>,
        timeout_ms: Option<u64>,
        inverted: bool,
        expressions: Vec<Expression>,
    },
    Last {
        used: bool,
        msecs: u64,
    },
    Duplicate {
        address: Option<Register>,
        device: Option<Register>,
    },
    FlowOffload {
        flowtable: String,
    },

    // Effects that may end the walk
    Verdict(Verdict),
    Reject {
        kind: RejectKind,
        code: u8,
    },
    Nat {
        kind: NatKind,
        family: u8,
        address: Option<(Register, Register)>,
        port: Option<(Register, Register)>,
        flags: u32,
    },
    Masquerade {
        port: Option<(Register, Register)>,
        flags: u32,
    },
    Redirect {
        port: Option<(Register, Register)>,
        flags: u32,
    },
    TransparentProxy {
        family: u8,
        address: Option<Register>,
        port: Option<Register>,
    },
    Queue {
        number: u16,
        total: u16,
        bypass: bool,
        fanout: bool,
        register: Option<Register>,
    },
    SynProxy {
        mss: u16,
        wscale: u8,
        flags: u32,
    },
    /// To another device, out of the stack.
    Forward {
        device: Register,
        address: Option<Register>,
        family: u8,
    },
    Target(xt::Target),

    /// An expression that this version can't read, by the kernel's name for it.
    Unknown {
        name: String,
    },
}

/// Where a map puts what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapTarget {
    Register(Register),
    Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DynamicOperation {
    Add,
    Update,
    Delete,
}
