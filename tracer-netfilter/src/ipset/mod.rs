//! Sets of ipset over netlink: what they hold, and whether a packet is in one.
//!
//! Rule: a lookup goes the way of the kernel's (`net/netfilter/ipset`, Linux 6.18), prefix by prefix from the most
//! specific one on, so that a `nomatch` member decides where it does there; what is not known of the packet makes the
//! answer unknown only if a member could still hold.

mod decode;
mod lookup;
mod member;
mod port;
mod question;
mod request;
#[cfg(test)]
mod tests;
mod text;

use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

pub use lookup::{Found, Options};
pub use member::{Extensions, Interface, Member, Net, Port, Priority, SkbMark};
pub use request::{by_index, names, read};

use crate::model::Family;
use crate::netlink::NetlinkError;
use crate::packet::Packet;
use crate::truth::Truth;

/// Why a set could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum IpSetError {
    #[error("there is no such set in this network namespace (any more): ask again")]
    Gone,
    #[error("this kernel has no ipset (load the module ip_set)")]
    NotSupported,
    #[error(transparent)]
    Refused(NetlinkError),
    #[error("the kernel's answer about it makes no sense ({0})")]
    Malformed(&'static str),
    #[error("its type {0} is not known to this version")]
    Type(String),
    #[error("it has more than {0} members, more than are read")]
    TooMany(usize),
}

/// What one part of a member is, in the order of the type's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Address,
    Net,
    Mac,
    /// Protocol and port.
    Port,
    /// A port of TCP or UDP alike (`bitmap:port`).
    BarePort,
    Interface,
    Mark,
    Set,
}

impl Part {
    /// The parts of a type: `hash:net,port` has a net and a port; `None` for a type that is not known.
    fn of_type(name: &str) -> Option<Vec<Self>> {
        let (storage, parts) = name.split_once(':')?;
        let part = |part| {
            Some(match (storage, part) {
                ("bitmap" | "hash", "ip") => Self::Address,
                ("hash", "net") => Self::Net,
                ("bitmap" | "hash", "mac") => Self::Mac,
                ("hash", "port") => Self::Port,
                ("bitmap", "port") => Self::BarePort,
                ("hash", "iface") => Self::Interface,
                ("hash", "mark") => Self::Mark,
                ("list", "set") => Self::Set,
                _ => return None,
            })
        };
        parts.split(',').map(part).collect()
    }
}

/// A member of a `list:set`: another set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    /// The set, or why it is not known what it holds.
    pub set: Result<Arc<IpSet>, IpSetError>,
    pub extensions: Option<Box<Extensions>>,
}

/// A set with its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpSet {
    pub name: String,
    /// `hash:net`, `list:set`, …
    pub type_name: String,
    pub revision: u8,
    /// [`Family::Ip`] or [`Family::Ip6`]; `None` for types that hold no addresses.
    pub family: Option<Family>,
    /// The kernel's number of it, which rules carry.
    pub index: Option<u16>,
    /// Timeout that a member gets when none is given, in seconds; `None` if members do not time out.
    pub timeout: Option<u32>,
    parts: Vec<Part>,
    /// Bits of addresses that count (`netmask` and `bitmask`).
    mask: Option<IpAddr>,
    /// Bits of the packet's mark that count (`hash:ip,mark`).
    mark_mask: u32,
    /// Sorted by [`Member::key`]; those of one key in the kernel's order.
    members: Vec<Member>,
    /// Prefix lengths that members have, the longest first.
    prefixes: Vec<u8>,
    /// Those of the members' second address.
    second_prefixes: Vec<u8>,
    /// Of a `list:set`, in its order.
    sets: Vec<Listed>,
}

impl IpSet {
    /// An empty set; `None` for a type that is not known.
    pub fn new(name: impl Into<String>, type_name: &str, family: Option<Family>) -> Option<Self> {
        Some(Self {
            name: name.into(),
            type_name: type_name.to_owned(),
            revision: 0,
            family,
            index: None,
            timeout: None,
            parts: Part::of_type(type_name)?,
            mask: None,
            mark_mask: u32::MAX,
            members: Vec::new(),
            prefixes: Vec::new(),
            second_prefixes: Vec::new(),
            sets: Vec::new(),
        })
    }

    /// The set with these members.
    #[must_use]
    pub fn with_members(mut self, mut members: Vec<Member>) -> Self {
        members.sort_by_key(Member::key);
        members.shrink_to_fit();
        self.prefixes = prefixes(members.iter().filter_map(|member| member.first));
        self.second_prefixes = prefixes(members.iter().filter_map(|member| member.second));
        self.members = members;
        self
    }

    /// The `list:set` with these members.
    #[must_use]
    pub fn with_sets(mut self, sets: Vec<Listed>) -> Self {
        self.sets = sets;
        self
    }

    /// Members in the order of their addresses; a `list:set` has [`IpSet::sets`] instead.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Members of a `list:set`, in its order.
    pub fn sets(&self) -> &[Listed] {
        &self.sets
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len().saturating_add(self.sets.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the packet is in the set, as `-m set --match-set NAME src,dst` asks: `is_source` has a value for each of
    /// the flags, in their order.
    pub fn test(&self, packet: &Packet, is_source: &[bool]) -> Truth {
        self.find(packet, is_source, Options::default()).truth
    }
}

/// The different prefix lengths, the longest first.
fn prefixes(nets: impl Iterator<Item = Net>) -> Vec<u8> {
    let mut is_there = [false; 129];
    for net in nets {
        if let Some(flag) = is_there.get_mut(usize::from(net.prefix)) {
            *flag = true;
        }
    }
    (0..=128u8).rev().filter(|prefix| is_there.get(usize::from(*prefix)) == Some(&true)).collect()
}
