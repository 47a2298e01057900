//! Extension headers of IPv6, options of IPv4 and TCP, chunks of SCTP.

use super::kind::{Kind, Order};
use super::term::{Source, Term};
use crate::model::ExtensionHeader;

/// Name, offset and length in bits, type.
type Fields = &'static [(&'static str, u32, u32, Kind)];

/// What `kind` of `header` is called, and its fields.
fn header(header: ExtensionHeader, kind: u8) -> Option<(&'static str, Fields)> {
    match header {
        ExtensionHeader::Ipv6 => ipv6(kind),
        ExtensionHeader::TcpOption => tcp_option(kind),
        ExtensionHeader::Ipv4Option => Some(match kind {
            131 => ("lsrr", ROUTE_OPTION),
            7 => ("rr", ROUTE_OPTION),
            137 => ("ssrr", ROUTE_OPTION),
            148 => ("ra", ALERT_OPTION),
            _ => return None,
        }),
        ExtensionHeader::SctpChunk => sctp_chunk(kind),
        ExtensionHeader::DccpOption => None,
    }
}

const fn before(header: ExtensionHeader) -> &'static str {
    match header {
        ExtensionHeader::Ipv6 => "",
        ExtensionHeader::TcpOption => "tcp option ",
        ExtensionHeader::Ipv4Option => "ip option ",
        ExtensionHeader::SctpChunk => "sctp chunk ",
        ExtensionHeader::DccpOption => "dccp option ",
    }
}

/// Its name as nft writes it; an IPv6 header that is only asked for has `exthdr` in front.
pub(super) fn text(of: ExtensionHeader, kind: u8) -> String {
    match (of, header(of, kind)) {
        (ExtensionHeader::Ipv6, Some((name, _))) => format!("exthdr {name}"),
        (ExtensionHeader::Ipv6, None) => format!("exthdr {kind}"),
        (_, Some((name, _))) => format!("{}{name}", before(of)),
        (_, None) => format!("{}{kind}", before(of)),
    }
}

fn field(of: ExtensionHeader, kind: u8, offset: u32, bits: u32) -> Option<(String, Kind)> {
    let (name, fields) = header(of, kind)?;
    let (field, _, _, kind) = fields.iter().find(|(_, at, length, _)| *at == offset && *length == bits)?;
    let (name, field) = if let Some((other, field)) = field.split_once(' ') { (other, field) } else { (name, *field) };
    let number = offset / 64;
    let number = if of == ExtensionHeader::TcpOption && number > 0 { number.to_string() } else { String::new() };
    Some((format!("{}{name}{number} {field}", before(of)), *kind))
}

/// What a load of `bits` at `offset` (in bits) gives.
pub(super) fn term(of: ExtensionHeader, kind: u8, offset: u32, bits: u32, present: bool) -> Term {
    let source = Source::Exthdr { header: of, kind, offset };
    if present {
        return Term::Named { text: text(of, kind), kind: Kind::Boolean, order: Order::Network, bits: 8, source };
    }
    let (text, kind) = field(of, kind, offset, bits)
        .unwrap_or_else(|| (format!("{}@{kind},{offset},{bits}", before(of)), Kind::Integer));
    Term::Named { text, kind, order: Order::Network, bits, source }
}

/// The field that a mask leaves of `bits` at `offset`, and how far it is shifted.
pub(super) fn unmasked(of: ExtensionHeader, kind: u8, offset: u32, bits: u32, mask: u128) -> Option<(Term, u32)> {
    let shift = mask.trailing_zeros();
    let length = mask.checked_shr(shift)?.trailing_ones();
    let skipped = bits.checked_sub(shift.checked_add(length)?)?;
    let offset = offset.checked_add(skipped)?;
    field(of, kind, offset, length)?;
    Some((term(of, kind, offset, length, false), shift))
}

fn ipv6(kind: u8) -> Option<(&'static str, Fields)> {
    Some(match kind {
        0 => ("hbh", OPTIONS),
        60 => ("dst", OPTIONS),
        43 => (
            "rt",
            &[
                ("nexthdr", 0, 8, Kind::Protocol),
                ("hdrlength", 8, 8, Kind::Integer),
                ("type", 16, 8, Kind::Integer),
                ("seg-left", 24, 8, Kind::Integer),
                ("srh last-entry", 32, 8, Kind::Integer),
                ("srh flags", 40, 8, Kind::Integer),
                ("srh tag", 48, 16, Kind::Integer),
                ("srh sid[1]", 64, 128, Kind::Ipv6),
                ("srh sid[2]", 192, 128, Kind::Ipv6),
                ("rt0 reserved", 32, 32, Kind::Integer),
            ],
        ),
        44 => (
            "frag",
            &[
                ("nexthdr", 0, 8, Kind::Protocol),
                ("reserved", 8, 8, Kind::Integer),
                ("frag-off", 16, 13, Kind::Integer),
                ("reserved2", 29, 2, Kind::Integer),
                ("more-fragments", 31, 1, Kind::Integer),
                ("id", 32, 32, Kind::Integer),
            ],
        ),
        135 => (
            "mh",
            &[
                ("nexthdr", 0, 8, Kind::Protocol),
                ("hdrlength", 8, 8, Kind::Integer),
                ("type", 16, 8, Kind::MobilityType),
                ("reserved", 24, 8, Kind::Integer),
                ("checksum", 32, 16, Kind::Integer),
            ],
        ),
        _ => return None,
    })
}

const OPTIONS: Fields = &[("nexthdr", 0, 8, Kind::Protocol), ("hdrlength", 8, 8, Kind::Integer)];

const ROUTE_OPTION: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("length", 8, 8, Kind::Integer),
    ("ptr", 16, 8, Kind::Integer),
    ("addr", 24, 32, Kind::Integer),
];

const ALERT_OPTION: Fields =
    &[("type", 0, 8, Kind::Integer), ("length", 8, 8, Kind::Integer), ("value", 16, 16, Kind::Integer)];

const COMMON_OPTION: Fields = &[("kind", 0, 8, Kind::Integer), ("length", 8, 8, Kind::Integer)];

fn tcp_option(kind: u8) -> Option<(&'static str, Fields)> {
    Some(match kind {
        0 => ("eol", &[("kind", 0, 8, Kind::Integer)]),
        1 => ("nop", &[("kind", 0, 8, Kind::Integer)]),
        2 => (
            "maxseg",
            &[("kind", 0, 8, Kind::Integer), ("length", 8, 8, Kind::Integer), ("size", 16, 16, Kind::Integer)],
        ),
        3 => (
            "window",
            &[("kind", 0, 8, Kind::Integer), ("length", 8, 8, Kind::Integer), ("count", 16, 8, Kind::Integer)],
        ),
        4 => ("sack-perm", COMMON_OPTION),
        5 => (
            "sack",
            &[
                ("kind", 0, 8, Kind::Integer),
                ("length", 8, 8, Kind::Integer),
                ("left", 16, 32, Kind::Integer),
                ("right", 48, 32, Kind::Integer),
                ("left", 80, 32, Kind::Integer),
                ("right", 112, 32, Kind::Integer),
                ("left", 144, 32, Kind::Integer),
                ("right", 176, 32, Kind::Integer),
                ("left", 208, 32, Kind::Integer),
                ("right", 240, 32, Kind::Integer),
            ],
        ),
        8 => (
            "timestamp",
            &[
                ("kind", 0, 8, Kind::Integer),
                ("length", 8, 8, Kind::Integer),
                ("tsval", 16, 32, Kind::Integer),
                ("tsecr", 48, 32, Kind::Integer),
            ],
        ),
        19 => ("md5sig", COMMON_OPTION),
        30 => (
            "mptcp",
            &[("kind", 0, 8, Kind::Integer), ("length", 8, 8, Kind::Integer), ("subtype", 16, 4, Kind::Integer)],
        ),
        34 => ("fastopen", COMMON_OPTION),
        _ => return None,
    })
}

fn sctp_chunk(kind: u8) -> Option<(&'static str, Fields)> {
    const COMMON: Fields =
        &[("type", 0, 8, Kind::Integer), ("flags", 8, 8, Kind::Integer), ("length", 16, 16, Kind::Integer)];
    Some(match kind {
        0 => ("data", CHUNK_DATA),
        1 => ("init", CHUNK_INIT),
        2 => ("init-ack", CHUNK_INIT),
        3 => ("sack", CHUNK_SACK),
        4 => ("heartbeat", COMMON),
        5 => ("heartbeat-ack", COMMON),
        6 => ("abort", COMMON),
        7 => ("shutdown", CHUNK_SACK),
        8 => ("shutdown-ack", COMMON),
        9 => ("error", COMMON),
        10 => ("cookie-echo", COMMON),
        11 => ("cookie-ack", COMMON),
        12 => ("ecne", CHUNK_ECN),
        13 => ("cwr", CHUNK_ECN),
        14 => ("shutdown-complete", COMMON),
        128 => ("asconf-ack", CHUNK_ASCONF),
        192 => ("forward-tsn", CHUNK_FORWARD),
        193 => ("asconf", CHUNK_ASCONF),
        _ => return None,
    })
}

const CHUNK_DATA: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("flags", 8, 8, Kind::Integer),
    ("length", 16, 16, Kind::Integer),
    ("tsn", 32, 32, Kind::Integer),
    ("stream", 64, 16, Kind::Integer),
    ("ssn", 80, 16, Kind::Integer),
    ("ppid", 96, 32, Kind::Integer),
];

const CHUNK_INIT: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("flags", 8, 8, Kind::Integer),
    ("length", 16, 16, Kind::Integer),
    ("init-tag", 32, 32, Kind::Integer),
    ("a-rwnd", 64, 32, Kind::Integer),
    ("num-outbound-streams", 96, 16, Kind::Integer),
    ("num-inbound-streams", 112, 16, Kind::Integer),
    ("initial-tsn", 128, 32, Kind::Integer),
];

const CHUNK_SACK: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("flags", 8, 8, Kind::Integer),
    ("length", 16, 16, Kind::Integer),
    ("cum-tsn-ack", 32, 32, Kind::Integer),
    ("a-rwnd", 64, 32, Kind::Integer),
    ("num-gap-ack-blocks", 96, 16, Kind::Integer),
    ("num-dup-tsns", 112, 16, Kind::Integer),
];

const CHUNK_ECN: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("flags", 8, 8, Kind::Integer),
    ("length", 16, 16, Kind::Integer),
    ("lowest-tsn", 32, 32, Kind::Integer),
];

const CHUNK_ASCONF: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("flags", 8, 8, Kind::Integer),
    ("length", 16, 16, Kind::Integer),
    ("seqno", 32, 32, Kind::Integer),
];

const CHUNK_FORWARD: Fields = &[
    ("type", 0, 8, Kind::Integer),
    ("flags", 8, 8, Kind::Integer),
    ("length", 16, 16, Kind::Integer),
    ("new-cum-tsn", 32, 32, Kind::Integer),
];
