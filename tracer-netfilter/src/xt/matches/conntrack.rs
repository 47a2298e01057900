//! `conntrack`, and `state` as iptables makes it of that (`net/netfilter/xt_conntrack.c`).

use std::net::IpAddr;

use crate::packet::{Connection, ConnectionState, Tuple};

use super::super::address::{Masked, Numeric};
use super::line::{list, range};
use super::states::States;
use super::tracked::Tracked;
use super::{Blob, DecodeError, Extension, Family, Line, Truth, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conntrack {
    asked: u16,
    inverted: u16,
    states: States,
    statuses: u16,
    protocol: u16,
    expires: (u32, u32),
    /// Source and destination of the original direction, then of the reply, each with [`ADDRESSES`].
    addresses: [Masked; 4],
    /// The ports of the same, each with [`PORTS`].
    ports: [(u16, u16); 4],
}

const STATE: u16 = 1 << 0;
const PROTOCOL: u16 = 1 << 1;
const STATUS: u16 = 1 << 6;
const EXPIRES: u16 = 1 << 7;
const DIRECTION: u16 = 1 << 12;
/// It was written as `-m state`.
const STATE_ALIAS: u16 = 1 << 13;
const ADDRESSES: [(u16, &str); 4] =
    [(1 << 2, "--ctorigsrc"), (1 << 3, "--ctorigdst"), (1 << 4, "--ctreplsrc"), (1 << 5, "--ctrepldst")];
const PORTS: [(u16, &str); 4] = [
    (1 << 8, "--ctorigsrcport"),
    (1 << 9, "--ctorigdstport"),
    (1 << 10, "--ctreplsrcport"),
    (1 << 11, "--ctrepldstport"),
];
/// `IPS_` bits with the names that iptables has for them.
const STATUSES: [(u16, &str); 4] = [(1, "EXPECTED"), (2, "SEEN_REPLY"), (4, "ASSURED"), (8, "CONFIRMED")];

impl Extension for Conntrack {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[1, 2, 3])?;
        let address = |at: usize| Ok(Masked::new(blob.is_ipv6(), blob.bytes(at)?, blob.bytes(at + 16)?));
        let port = |index: usize| match blob.revision {
            3 => Ok((blob.u16(138 + 2 * index)?, blob.u16(154 + 2 * index)?)),
            _ => blob.be16(138 + 2 * index).map(|port| (port, port)),
        };
        let (states, statuses) = match blob.revision {
            1 => (blob.u8(150)?.into(), blob.u8(151)?.into()),
            _ => (blob.u16(150)?, blob.u16(152)?),
        };
        Ok(Self {
            addresses: [address(0)?, address(32)?, address(64)?, address(96)?],
            expires: blob.u32_pair(128)?,
            protocol: blob.u16(136)?,
            ports: [port(0)?, port(1)?, port(2)?, port(3)?],
            asked: blob.u16(146)?,
            inverted: blob.u16(148)?,
            states: States(states),
            statuses,
        })
    }

    fn matches(&self, view: &mut View<'_>) -> Truth {
        let tracked = Tracked::of(view);
        let state = match self.states.matches(tracked) {
            _ if !self.asks(STATE) => Truth::Yes,
            state => state.invert_if(self.is_inverted(STATE)),
        };
        match tracked {
            Tracked::By(connection) => {
                let protocol = protocol(connection, view.packet.protocol);
                state.and(self.matches_connection(connection, protocol))
            }
            // Without a connection the kernel looks at nothing but the state.
            Tracked::Invalid | Tracked::Untracked if self.asks(STATE) => state,
            Tracked::Invalid | Tracked::Untracked => Truth::No,
            Tracked::Unknown => Truth::unknown("the state of its connection"),
        }
    }

    fn line(&self, _: Family) -> Line {
        let is_alias = self.asks(STATE_ALIAS);
        let mut line = Line::new(if is_alias { "state" } else { "conntrack" });
        if is_alias {
            line.option(self.is_inverted(STATE), "--state", self.states);
            return line;
        }
        if self.asks(STATE) {
            line.option(self.is_inverted(STATE), "--ctstate", self.states);
        }
        if self.asks(PROTOCOL) {
            line.option(self.is_inverted(PROTOCOL), "--ctproto", self.protocol);
        }
        for ((bit, option), address) in ADDRESSES.iter().zip(&self.addresses) {
            if self.asks(*bit) {
                let value = format!("{}{}", Numeric(address.address()), address.short_mask());
                line.option(self.is_inverted(*bit), option, value);
            }
        }
        for ((bit, option), (lowest, highest)) in PORTS.iter().zip(self.ports) {
            if self.asks(*bit) {
                let highest = if highest == 0 { lowest } else { highest };
                line.option(self.is_inverted(*bit), option, range(lowest, highest));
            }
        }
        if self.asks(STATUS) {
            let names = list(STATUSES.iter().filter(|(bit, _)| self.statuses & bit != 0).map(|(_, name)| name));
            let names = if self.statuses == 0 { "NONE" } else { &names };
            line.option(self.is_inverted(STATUS), "--ctstatus", names);
        }
        if self.asks(EXPIRES) {
            line.option(self.is_inverted(EXPIRES), "--ctexpire", range(self.expires.0, self.expires.1));
        }
        if self.asks(DIRECTION) {
            line.option(false, "--ctdir", if self.is_inverted(DIRECTION) { "REPLY" } else { "ORIGINAL" });
        }
        line
    }
}

impl Conntrack {
    const fn asks(&self, bit: u16) -> bool {
        self.asked & bit != 0
    }

    const fn is_inverted(&self, bit: u16) -> bool {
        self.inverted & bit != 0
    }

    fn matches_connection(&self, connection: &Connection, protocol: Option<u8>) -> Truth {
        let mut truth = Truth::Yes;
        if self.asks(DIRECTION) {
            truth = truth.and(Truth::from(connection.is_reply == self.is_inverted(DIRECTION)));
        }
        if self.asks(PROTOCOL) {
            let protocol = protocol.map(|protocol| u16::from(protocol) == self.protocol);
            truth = truth.and(self.says(PROTOCOL, protocol, "the protocol of its connection"));
        }
        for ((bit, _), (address, known)) in ADDRESSES.iter().zip(self.addresses.iter().zip(addresses(connection))) {
            let known = known.map(|known| address.covers(known));
            truth = truth.and(self.says(*bit, known, "the addresses of its connection"));
        }
        for ((bit, _), (ports, known)) in PORTS.iter().zip(self.ports.iter().zip(ports(connection))) {
            let known = known.map(|known| (ports.0..=ports.1).contains(&known));
            truth = truth.and(self.says(*bit, known, "the ports of its connection"));
        }
        let is_one = match connection.status {
            _ if self.statuses == 0 => Some(false),
            status => status.map(|status| status & u32::from(self.statuses) != 0),
        };
        truth.and(self.says(STATUS, is_one, "the status of its connection")).and(self.says(
            EXPIRES,
            None,
            "the time left to its connection",
        ))
    }

    /// What a question comes to that is only asked with its bit.
    fn says(&self, bit: u16, known: Option<bool>, what: &'static str) -> Truth {
        match known {
            _ if !self.asks(bit) => Truth::Yes,
            Some(holds) => Truth::from(holds != self.is_inverted(bit)),
            None => Truth::unknown(what),
        }
    }
}

/// An ICMP error belongs to the connection that it tells of, whose protocol is another.
fn protocol(connection: &Connection, of_packet: Option<u8>) -> Option<u8> {
    match (connection.original, connection.state) {
        (Some(tuple), _) => Some(tuple.protocol),
        (None, ConnectionState::Related) => None,
        (None, _) => of_packet,
    }
}

fn addresses(connection: &Connection) -> [Option<IpAddr>; 4] {
    let both = |tuple: Option<Tuple>| (tuple.map(|tuple| tuple.source), tuple.map(|tuple| tuple.destination));
    let (original, reply) = (both(connection.original), both(connection.reply));
    [original.0, original.1, reply.0, reply.1]
}

/// Of ICMP the source "port" is its id, and the destination "port" its type and code, which are not known.
fn ports(connection: &Connection) -> [Option<u16>; 4] {
    let both = |tuple: Option<Tuple>| {
        let has_ports = |tuple: &Tuple| !matches!(tuple.protocol, 1 | 58);
        let destination = tuple.filter(has_ports).map(|tuple| tuple.destination_port);
        (tuple.map(|tuple| tuple.source_port), destination)
    };
    let (original, reply) = (both(connection.original), both(connection.reply));
    [original.0, original.1, reply.0, reply.1]
}
