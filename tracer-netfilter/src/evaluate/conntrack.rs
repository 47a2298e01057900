//! What connection tracking says (`net/netfilter/nft_ct.c`, Linux 6.18).

use std::net::IpAddr;

use super::View;
use super::load::Loaded;
use super::registers::Source;
use crate::model::{CtKey, Direction};
use crate::packet::{Connection, ConnectionState, Known, Tuple};

/// `NF_CT_STATE_` bits (`nf_conntrack_common.h`).
const INVALID: u32 = 1;
const ESTABLISHED: u32 = 2;
const RELATED: u32 = 4;
const NEW: u32 = 8;
const UNTRACKED: u32 = 64;

const WHAT: &str = "the state of its connection";
const ENDS: &str = "the addresses of its connection";

pub(super) fn load(view: &View<'_>, key: CtKey, direction: Option<Direction>) -> Loaded {
    if key == CtKey::State {
        return state(view);
    }
    if view.no_track {
        return Loaded::Break;
    }
    Loaded::from_known(
        view.packet.connection.as_ref(),
        (width(key), WHAT),
        Loaded::Break,
        |connection| match connection.state {
            ConnectionState::Invalid | ConnectionState::Untracked => Loaded::Break,
            _ => of_entry(connection, key, direction),
        },
    )
}

fn state(view: &View<'_>) -> Loaded {
    if view.no_track {
        return Loaded::number(UNTRACKED);
    }
    Loaded::number(match &view.packet.connection {
        Known::Unknown => return Loaded::unknown(4, WHAT),
        Known::Absent => INVALID,
        Known::Is(connection) => match connection.state {
            ConnectionState::Invalid => INVALID,
            ConnectionState::New => NEW,
            ConnectionState::Established => ESTABLISHED,
            ConnectionState::Related => RELATED,
            ConnectionState::Untracked => UNTRACKED,
        },
    })
}

fn of_entry(connection: &Connection, key: CtKey, direction: Option<Direction>) -> Loaded {
    let tuple = match direction {
        Some(Direction::Reply) => connection.reply,
        _ => connection.original,
    };
    let of = |get: &dyn Fn(Tuple) -> Loaded| Loaded::from_option(tuple, (width(key), ENDS), get);
    match key {
        CtKey::Direction => Loaded::Bytes(vec![u8::from(connection.is_reply)]),
        CtKey::Status => Loaded::from_option(connection.status, (4, "the status of its connection"), Loaded::number),
        CtKey::Mark => Loaded::Mark(Source::Connection),
        CtKey::L3Protocol => of(&|tuple| Loaded::Bytes(vec![if tuple.source.is_ipv4() { 2 } else { 10 }])),
        CtKey::Protocol => of(&|tuple| Loaded::Bytes(vec![tuple.protocol])),
        CtKey::Source => of(&|tuple| Loaded::Bytes(octets(tuple.source))),
        CtKey::Destination => of(&|tuple| Loaded::Bytes(octets(tuple.destination))),
        CtKey::SourceIp | CtKey::SourceIp6 => of(&|tuple| address(tuple.source, key == CtKey::SourceIp)),
        CtKey::DestinationIp | CtKey::DestinationIp6 => {
            of(&|tuple| address(tuple.destination, key == CtKey::DestinationIp))
        }
        CtKey::SourcePort => of(&|tuple| Loaded::Bytes(tuple.source_port.to_be_bytes().to_vec())),
        CtKey::DestinationPort => of(&|tuple| Loaded::Bytes(tuple.destination_port.to_be_bytes().to_vec())),
        _ => Loaded::unknown(width(key), unanswered(key)),
    }
}

/// Of another family, there is none.
fn address(address: IpAddr, wants_ipv4: bool) -> Loaded {
    if address.is_ipv4() == wants_ipv4 { Loaded::Bytes(octets(address)) } else { Loaded::Break }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Bytes of a key in registers.
const fn width(key: CtKey) -> usize {
    match key {
        CtKey::Direction | CtKey::L3Protocol | CtKey::Protocol => 1,
        CtKey::SourcePort | CtKey::DestinationPort | CtKey::Zone => 2,
        CtKey::Packets | CtKey::Bytes | CtKey::AveragePacket => 8,
        CtKey::Source
        | CtKey::Destination
        | CtKey::SourceIp6
        | CtKey::DestinationIp6
        | CtKey::Labels
        | CtKey::Helper
        | CtKey::Other(_) => 16,
        _ => 4,
    }
}

const fn unanswered(key: CtKey) -> &'static str {
    match key {
        CtKey::Helper => "the helper of its connection",
        CtKey::Labels => "the labels of its connection",
        CtKey::Packets | CtKey::Bytes | CtKey::AveragePacket => "the traffic of its connection so far",
        CtKey::Zone => "the zone of its connection",
        CtKey::Expiration => "when its connection runs out",
        CtKey::Id => "the number of its connection",
        CtKey::SecurityMark => "the security mark of its connection",
        _ => "a ct key that is not known to this version",
    }
}

/// As nft names it.
pub(super) const fn name(key: CtKey) -> &'static str {
    match key {
        CtKey::State => "ct state",
        CtKey::Direction => "ct direction",
        CtKey::Status => "ct status",
        CtKey::Mark => "ct mark",
        CtKey::Source | CtKey::SourceIp | CtKey::SourceIp6 => "ct saddr",
        CtKey::Destination | CtKey::DestinationIp | CtKey::DestinationIp6 => "ct daddr",
        CtKey::SourcePort => "ct proto-src",
        CtKey::DestinationPort => "ct proto-dst",
        _ => "ct",
    }
}
