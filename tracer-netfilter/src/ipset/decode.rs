//! A set from the kernel's answers to `IPSET_CMD_LIST`.
//!
//! Rule: an attribute of the wrong length ends the reading with an error: a set that was half understood would answer
//! wrongly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::member::{host_prefix, netmask};
use super::{Extensions, Interface, IpSet, IpSetError, Member, Net, Part, Port, Priority, SkbMark};
use crate::model::Family;
use crate::netlink::{Attribute, Attributes};

type Result<T> = std::result::Result<T, IpSetError>;

/// Most members taken of one set: some 30 times the kernel's default limit.
const MAX_MEMBERS: usize = 2_000_000;

// Of a message (`uapi/linux/netfilter/ipset/ip_set.h`).
pub(super) const SETNAME: u16 = 2;
const TYPENAME: u16 = 3;
const REVISION: u16 = 4;
const FAMILY: u16 = 5;
const INDEX: u16 = 11;
const DATA: u16 = 7;
const ADT: u16 = 8;

// Of a member, and of what the set was made with.
const IP: u16 = 1;
const CIDR: u16 = 3;
const PORT: u16 = 4;
const TIMEOUT: u16 = 6;
const PROTO: u16 = 7;
const CADT_FLAGS: u16 = 8;
const MARK: u16 = 10;
const MARKMASK: u16 = 11;
const BITMASK: u16 = 12;
const NETMASK: u16 = 20;
const ETHER: u16 = 17;
const NAME: u16 = 18;
const IP2: u16 = 20;
const CIDR2: u16 = 21;
const IFACE: u16 = 23;
const BYTES: u16 = 24;
const PACKETS: u16 = 25;
const COMMENT: u16 = 26;
const SKBMARK: u16 = 27;
const SKBPRIO: u16 = 28;
const SKBQUEUE: u16 = 29;

const FLAG_PHYSDEV: u32 = 1 << 1;
const FLAG_NOMATCH: u32 = 1 << 2;
const FLAG_WILDCARD: u32 = 1 << 7;

/// A member of a `list:set`, by its name.
pub(super) type NamedMember = (String, Option<Box<Extensions>>);

/// Puts a set together from the messages that list it.
#[derive(Debug, Default)]
pub(super) struct Reading {
    set: Option<IpSet>,
    members: Vec<Member>,
    sets: Vec<NamedMember>,
    error: Option<IpSetError>,
}

impl Reading {
    /// Takes one message. What is wrong with it is said by [`Reading::finish`].
    pub(super) fn take(&mut self, message: Attributes<'_>) {
        if self.error.is_none() {
            self.error = self.read(message).err();
        }
    }

    fn read(&mut self, message: Attributes<'_>) -> Result<()> {
        let mut header = Header::default();
        let mut members = None;
        for attribute in message {
            match attribute.kind {
                SETNAME => header.name = Some(text(attribute.value)),
                TYPENAME => header.type_name = Some(text(attribute.value)),
                REVISION => header.revision = byte(attribute)?,
                INDEX => header.index = Some(half(attribute)?),
                FAMILY => header.family = byte(attribute)?,
                DATA => header.data = Some(attribute.value),
                ADT => members = Some(attribute.value),
                _ => {}
            }
        }
        // Only the first message of a set says what it is.
        if let Some(type_name) = header.type_name.take() {
            self.set = Some(header.set(type_name)?);
        }
        let (Some(set), Some(members)) = (&self.set, members) else { return Ok(()) };
        for attribute in Attributes::new(members) {
            if self.members.len().saturating_add(self.sets.len()) >= MAX_MEMBERS {
                return Err(IpSetError::TooMany(MAX_MEMBERS));
            }
            match member(set, attribute.value)? {
                Taken::Member(member) => self.members.push(member),
                Taken::Set(set) => self.sets.push(set),
            }
        }
        Ok(())
    }

    /// The set, and the names of its members if it is a `list:set`.
    pub(super) fn finish(self) -> Result<(IpSet, Vec<NamedMember>)> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let set = self.set.ok_or(IpSetError::Malformed("it does not say what the set is"))?;
        Ok((set.with_members(self.members), self.sets))
    }
}

#[derive(Default)]
struct Header<'a> {
    name: Option<String>,
    type_name: Option<String>,
    index: Option<u16>,
    revision: u8,
    family: u8,
    data: Option<&'a [u8]>,
}

impl Header<'_> {
    fn set(self, type_name: String) -> Result<IpSet> {
        let name = self.name.ok_or(IpSetError::Malformed("a set without a name"))?;
        let family = match self.family {
            0 => None,
            number => Some(Family::from_number(number).ok_or(IpSetError::Malformed("an unknown family"))?),
        };
        let mut set = IpSet::new(name, &type_name, family).ok_or(IpSetError::Type(type_name))?;
        (set.index, set.revision) = (self.index, self.revision);
        for attribute in Attributes::new(self.data.unwrap_or_default()) {
            match attribute.kind {
                TIMEOUT => set.timeout = Some(word(attribute)?),
                NETMASK => {
                    let like = match family {
                        Some(Family::Ip6) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
                        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                    };
                    set.mask = Some(netmask(like, byte(attribute)?));
                }
                BITMASK => set.mask = Some(address(attribute)?),
                // The only number in the host's order (`mtype_head` of ip_set_hash_gen.h).
                MARKMASK => set.mark_mask = u32::from_ne_bytes(*chunk(attribute)?),
                _ => {}
            }
        }
        Ok(set)
    }
}

enum Taken {
    Member(Member),
    Set(NamedMember),
}

/// Attributes of a member that only together make one of its fields.
#[derive(Default)]
struct Raw {
    first: Option<IpAddr>,
    first_prefix: Option<u8>,
    second: Option<IpAddr>,
    second_prefix: Option<u8>,
    port: Option<u16>,
    protocol: Option<u8>,
    interface: Option<String>,
    set: Option<String>,
    flags: u32,
}

fn member(set: &IpSet, attributes: &[u8]) -> Result<Taken> {
    let (mut raw, mut member, mut extensions) = (Raw::default(), Member::default(), Extensions::default());
    for attribute in Attributes::new(attributes) {
        match attribute.kind {
            IP => raw.first = Some(address(attribute)?),
            CIDR => raw.first_prefix = Some(byte(attribute)?),
            IP2 => raw.second = Some(address(attribute)?),
            CIDR2 => raw.second_prefix = Some(byte(attribute)?),
            PORT => raw.port = Some(half(attribute)?),
            PROTO => raw.protocol = Some(byte(attribute)?),
            CADT_FLAGS => raw.flags = word(attribute)?,
            NAME => raw.set = Some(text(attribute.value)),
            IFACE => raw.interface = Some(text(attribute.value)),
            MARK => member.mark = Some(word(attribute)?),
            ETHER => member.mac = Some(*chunk(attribute)?),
            TIMEOUT => extensions.timeout = Some(word(attribute)?),
            PACKETS => extensions.packets = Some(long(attribute)?),
            BYTES => extensions.bytes = Some(long(attribute)?),
            COMMENT => extensions.comment = Some(text(attribute.value)),
            SKBMARK => {
                let both = long(attribute)?;
                extensions.mark = Some(SkbMark { value: (both >> 32) as u32, mask: both as u32 });
            }
            SKBPRIO => {
                let both = word(attribute)?;
                extensions.priority = Some(Priority { major: (both >> 16) as u16, minor: both as u16 });
            }
            SKBQUEUE => extensions.queue = Some(half(attribute)?),
            _ => {}
        }
    }
    let extensions = (extensions != Extensions::default()).then(|| Box::new(extensions));
    if let Some(name) = raw.set {
        return Ok(Taken::Set((name, extensions)));
    }
    raw.fill(&mut member)?;
    member.extensions = extensions;
    if set.parts.iter().all(|part| has(&member, *part)) {
        return Ok(Taken::Member(member));
    }
    Err(IpSetError::Malformed("a member lacks a part"))
}

impl Raw {
    fn fill(self, member: &mut Member) -> Result<()> {
        member.first = net(self.first, self.first_prefix)?;
        member.second = net(self.second, self.second_prefix)?;
        member.port = self.port.map(|number| Port { protocol: self.protocol, number });
        member.is_nomatch = self.flags & FLAG_NOMATCH != 0;
        member.interface = self.interface.map(|name| {
            let (is_physical, is_wildcard) = (self.flags & FLAG_PHYSDEV != 0, self.flags & FLAG_WILDCARD != 0);
            Box::new(Interface { name, is_physical, is_wildcard })
        });
        Ok(())
    }
}

/// Whether a member has what its type says; the second address is checked as little as the first one's family.
fn has(member: &Member, part: Part) -> bool {
    match part {
        Part::Address | Part::Net => member.first.is_some(),
        Part::Port => member.port.is_some_and(|port| port.protocol.is_some()),
        Part::BarePort => member.port.is_some(),
        // A bitmap:ip,mac may not know it yet.
        Part::Mac => member.mac.is_some() || member.first.is_some(),
        Part::Interface => member.interface.is_some(),
        Part::Mark => member.mark.is_some(),
        Part::Set => false,
    }
}

fn net(address: Option<IpAddr>, prefix: Option<u8>) -> Result<Option<Net>> {
    let Some(address) = address else { return Ok(None) };
    let prefix = prefix.unwrap_or_else(|| host_prefix(address));
    if prefix > host_prefix(address) {
        return Err(IpSetError::Malformed("a prefix is longer than its address"));
    }
    Ok(Some(Net::of(address, prefix)))
}

/// `IPSET_ATTR_IPADDR_IPV4` 1 or `_IPV6` 2, nested.
fn address(attribute: Attribute<'_>) -> Result<IpAddr> {
    let inner = Attributes::new(attribute.value).into_iter().next().ok_or(IpSetError::Malformed("an address"))?;
    match inner.kind {
        1 => Ok(IpAddr::V4(Ipv4Addr::from(*chunk::<4>(inner)?))),
        2 => Ok(IpAddr::V6(Ipv6Addr::from(*chunk::<16>(inner)?))),
        _ => Err(IpSetError::Malformed("an address of an unknown family")),
    }
}

fn chunk<const N: usize>(attribute: Attribute<'_>) -> Result<&[u8; N]> {
    attribute.value.first_chunk().ok_or(IpSetError::Malformed("an attribute is too short"))
}

fn byte(attribute: Attribute<'_>) -> Result<u8> {
    chunk::<1>(attribute).map(|[byte]| *byte)
}

// Numbers are in network order.

fn half(attribute: Attribute<'_>) -> Result<u16> {
    chunk(attribute).map(|bytes| u16::from_be_bytes(*bytes))
}

fn word(attribute: Attribute<'_>) -> Result<u32> {
    chunk(attribute).map(|bytes| u32::from_be_bytes(*bytes))
}

fn long(attribute: Attribute<'_>) -> Result<u64> {
    chunk(attribute).map(|bytes| u64::from_be_bytes(*bytes))
}

/// Up to the first NUL.
fn text(value: &[u8]) -> String {
    let value = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}
