//! The neighbour tables: one entry, how many there are, and the limits.
//!
//! Rule: `gc_thresh` and the number of entries are the machine's: one table a family serves every namespace
//! (`net/core/neighbour.c`, 5.10 to 6.18). Entries are those of the namespace.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::neighbour_table::{NeighbourTableAttribute, NeighbourTableMessage, NeighbourTableParameter};

use crate::host::error::NetlinkError;
use crate::host::rtnetlink;
use crate::node::route::family;

/// What the kernel knows of one neighbour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As `ip neigh` prints it: `FAILED`.
    pub state: String,
    /// Questions asked without an answer (`NDA_PROBES`).
    pub probes: u32,
    pub link_address: Vec<u8>,
    /// Put there by somebody else than the kernel: `extern_learn`, as overlays do.
    pub is_external: bool,
}

impl Entry {
    /// Whether there is no answer so far.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.state.as_str(), "FAILED" | "INCOMPLETE" | "NONE")
    }
}

/// Entries that never answered which are kept.
const MOST_UNANSWERED: usize = 16;

/// How many entries a namespace has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub all: usize,
    pub failed: usize,
    pub incomplete: usize,
    /// Device and address of those that failed: some of them if there are many.
    pub unanswered: Vec<(u32, IpAddr)>,
}

/// A family's table of the whole machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Table {
    pub entries: u32,
    pub gc_thresh1: u32,
    pub gc_thresh2: u32,
    pub gc_thresh3: u32,
    /// Entries that were not made because the table was full, since boot.
    pub table_fulls: u64,
    /// Neighbours that never answered, since boot.
    pub res_failed: u64,
}

/// How a device asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asking {
    /// Bytes of packets (`skb->truesize`) that may wait for one neighbour.
    pub queue_bytes: u32,
    /// Multicast or broadcast questions before it is given up.
    pub probes: u32,
    /// Milliseconds between them.
    pub interval: u64,
}

/// The entry of one neighbour on a device; `None` if there is none (any more).
///
/// # Errors
/// Why the kernel did not say.
pub fn entry(device: u32, address: IpAddr) -> Result<Option<Entry>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = family(address.is_ipv6());
    request.header.ifindex = device;
    request.attributes.push(NeighbourAttribute::Destination(match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    }));
    let answer = match rtnetlink::get(&RouteNetlinkMessage::GetNeighbour(request)) {
        Err(NetlinkError::Refused(errno)) if errno.0 == libc::ENOENT => return Ok(None),
        answer => answer?,
    };
    Ok(answer.iter().find_map(neighbour).map(parse))
}

fn neighbour(message: &RouteNetlinkMessage) -> Option<&NeighbourMessage> {
    match message {
        RouteNetlinkMessage::NewNeighbour(message) => Some(message),
        _ => None,
    }
}

fn parse(message: &NeighbourMessage) -> Entry {
    let mut entry = Entry {
        state: message.header.state.to_string().to_uppercase(),
        probes: 0,
        link_address: Vec::new(),
        is_external: message.header.flags.contains(NeighbourFlags::ExtLearned),
    };
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Probes(probes) => entry.probes = *probes,
            NeighbourAttribute::LinkLayerAddress(address) => entry.link_address.clone_from(address),
            _ => {}
        }
    }
    entry
}

fn address(message: &NeighbourMessage) -> Option<IpAddr> {
    message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

fn list(is_ipv6: bool) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = family(is_ipv6);
    rtnetlink::dump(&RouteNetlinkMessage::GetNeighbour(request))
}

/// The hardware addresses of the IPv4 neighbours on a device of the calling thread's namespace.
///
/// # Errors
/// Why the kernel gave no list.
pub(in crate::node) fn hardware(device: u32) -> Result<Vec<(Vec<u8>, IpAddr)>, NetlinkError> {
    let list = list(false)?;
    let there = list.iter().filter_map(neighbour).filter(|message| message.header.ifindex == device);
    Ok(there.filter_map(|message| Some((parse(message).link_address, address(message)?))).collect())
}

/// The entries of the calling thread's namespace for a family, counted.
///
/// # Errors
/// Why the kernel gave no list.
pub fn counts(of: IpAddr) -> Result<Counts, NetlinkError> {
    Ok(list(of.is_ipv6())?.iter().filter_map(neighbour).fold(Counts::default(), |mut counts, message| {
        counts.all += 1;
        match message.header.state {
            NeighbourState::Failed => {
                counts.failed += 1;
                let room = counts.unanswered.len() < MOST_UNANSWERED;
                let address = address(message).filter(|_| room);
                counts.unanswered.extend(address.map(|address| (message.header.ifindex, address)));
            }
            NeighbourState::Incomplete => counts.incomplete += 1,
            _ => {}
        }
        counts
    }))
}

/// A family's table, and how this device asks.
///
/// # Errors
/// Why the kernel gave no list.
pub fn limits(of: IpAddr, device: u32) -> Result<(Option<Table>, Option<Asking>), NetlinkError> {
    let mut request = NeighbourTableMessage::default();
    request.header.family = family(of.is_ipv6());
    let list = rtnetlink::dump(&RouteNetlinkMessage::GetNeighbourTable(request))?;
    let messages = list.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbourTable(table) if table.header.family == family(of.is_ipv6()) => Some(table),
        _ => None,
    });
    let (mut table, mut asking) = (None, None);
    for message in messages {
        table = table.or_else(|| whole(&message.attributes));
        asking = asking.or_else(|| device_asks(&message.attributes, device));
    }
    Ok((table, asking))
}

/// Only the message of the whole table has thresholds.
fn whole(attributes: &[NeighbourTableAttribute]) -> Option<Table> {
    let mut table = Table::default();
    for attribute in attributes {
        match attribute {
            NeighbourTableAttribute::Threshold1(value) => table.gc_thresh1 = *value,
            NeighbourTableAttribute::Threshold2(value) => table.gc_thresh2 = *value,
            NeighbourTableAttribute::Threshold3(value) => table.gc_thresh3 = *value,
            NeighbourTableAttribute::Config(config) => table.entries = config.entries,
            NeighbourTableAttribute::Stats(stats) => {
                (table.table_fulls, table.res_failed) = (stats.table_fulls, stats.res_failed);
            }
            _ => {}
        }
    }
    (table.gc_thresh3 > 0).then_some(table)
}

fn device_asks(attributes: &[NeighbourTableAttribute], device: u32) -> Option<Asking> {
    let parameters = attributes.iter().find_map(|attribute| match attribute {
        NeighbourTableAttribute::Parms(parameters) => Some(parameters),
        _ => None,
    })?;
    if !parameters.contains(&NeighbourTableParameter::Ifindex(device)) {
        return None;
    }
    let mut asking = Asking::default();
    for parameter in parameters {
        match parameter {
            NeighbourTableParameter::QueueLenbytes(bytes) => asking.queue_bytes = *bytes,
            NeighbourTableParameter::McastProbes(probes) => asking.probes = *probes,
            NeighbourTableParameter::RetransTime(interval) => asking.interval = *interval,
            _ => {}
        }
    }
    Some(asking)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_this_machine_are_read() {
        let (table, asking) = limits("10.0.0.1".parse().unwrap(), 1).unwrap();
        let table = table.unwrap();
        assert!(table.gc_thresh3 >= table.gc_thresh1, "{table:?}");
        assert!(asking.unwrap().probes > 0, "{asking:?}");
    }

    #[test]
    fn an_entry_that_is_not_there_is_none() {
        assert_eq!(entry(1, "127.0.0.77".parse().unwrap()), Ok(None));
        assert!(counts("10.0.0.1".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_entry_has_its_state_and_probes() {
        let mut message = NeighbourMessage::default();
        message.header.state = NeighbourState::Failed;
        message.header.flags = NeighbourFlags::ExtLearned;
        message.attributes.push(NeighbourAttribute::Probes(3));
        let entry = parse(&message);
        assert_eq!((entry.state.as_str(), entry.probes, entry.is_external), ("FAILED", 3, true));
    }
}
