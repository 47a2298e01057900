//! The next hop of a packet and what the node knows of it: the route that leads there, its neighbour entry, the tables'
//! limits, and who could have answered.
//!
//! Rule: the routing and neighbour tables are read a moment after the drop; what contradicts the drop is kept as it is,
//! and explaining says so.

pub mod answerer;
pub mod hop;
pub mod link;
pub mod table;

use std::net::IpAddr;
use std::sync::Arc;

use answerer::Answerer;
use hop::NextHop;
use table::{Asking, Counts, Entry, Table};

use super::recent::Recent;
use super::{Packet, Scene, route, sysctl};
use crate::host::error::NetlinkError;
use crate::host::{HostError, Interface};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Where the packet's destination leads to now.
    pub hop: Option<NextHop>,
    /// The device of the next hop.
    pub device: Option<Interface>,
    pub entry: Lookup,
    /// Entries of the namespace in the next hop's family.
    pub counts: Option<Counts>,
    pub table: Option<Table>,
    /// `table_fulls` of the reading before, if there was one.
    pub table_fulls_before: Option<u64>,
    pub asking: Option<Asking>,
    /// IPv6 has no settings for the device: it is off there (`disable_ipv6` keeps them, an MTU below 1280 does not).
    pub has_no_ipv6: bool,
    /// The other end of a veth device.
    pub answerer: Option<Answerer>,
}

/// A neighbour entry that was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    #[default]
    NotRead,
    Absent,
    Found(Entry),
}

/// What the kernel answered, if the namespace could be entered.
type Answer<T> = Result<Result<T, NetlinkError>, HostError>;

/// A family's table, and how the device asks.
type Limits = (Option<Table>, Option<Asking>);

const ENTRIES: &str = "the neighbour entries";
const LIMITS: &str = "the limits of the neighbour table";

/// What is kept of earlier readings.
#[derive(Debug, Default)]
pub(super) struct Memory {
    links: link::Memory,
    answerers: answerer::Memory,
    /// By namespace and family.
    counts: Recent<(u32, bool), Answer<Counts>>,
    /// By namespace, family and device.
    limits: Recent<(u32, bool, u32), Answer<Limits>>,
    /// IPv6 routes, by namespace.
    routes: Recent<u32, Answer<Arc<Vec<route::Entry>>>>,
    /// By family: IPv4, IPv6.
    table_fulls: [Option<u64>; 2],
}

/// Whether the next hop is what the packet was dropped for: not for a neighbour discovery message that breaks a rule.
fn is_about_next_hop(packet: &Packet) -> bool {
    !packet.reason.as_deref().is_some_and(|reason| reason.contains("NDISC") || reason.contains("ARP"))
}

/// Reads it.
pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory) -> Result<Neighbours, HostError> {
    if !is_about_next_hop(&scene.question.packet) {
        return Ok(Neighbours::default());
    }
    let packet = &scene.question.packet;
    let looked = scene.inside(|| hop::next_hop(packet).map(|hop| hop.map(look)))?;
    let Some(mut look) = scene.note("the route of the packet", looked).flatten() else {
        return Ok(Neighbours::default());
    };
    let mut facts = Neighbours::default();
    tables(scene, memory, &look.hop, &mut facts)?;
    if let Some(failed) = another(scene, memory, &look, facts.counts.as_ref()) {
        look = failed;
    }
    facts.has_no_ipv6 = look.has_no_ipv6;
    facts.device = scene.note("the device of the next hop", look.device).flatten();
    facts.entry = match scene.note("the neighbour entry of the next hop", look.entry) {
        None => Lookup::NotRead,
        Some(None) => Lookup::Absent,
        Some(Some(entry)) => Lookup::Found(entry),
    };
    if let Some(peer) = facts.device.as_ref().and_then(|device| link::peer(scene, &mut memory.links, device)) {
        let answerer = answerer::read(scene, &mut memory.answerers, peer, look.hop.address);
        facts.answerer = scene.note("the other end of the link", answerer).flatten();
    }
    facts.hop = Some(look.hop);
    Ok(facts)
}

/// What is read of a next hop inside the packet's namespace.
struct Look {
    hop: NextHop,
    device: Result<Option<Interface>, NetlinkError>,
    entry: Result<Option<Entry>, NetlinkError>,
    has_no_ipv6: bool,
}

fn look(hop: NextHop) -> Look {
    let is_named = hop.address.is_ipv6() && !hop.device_name.contains('/');
    let conf = format!("net/ipv6/conf/{}/mtu", hop.device_name);
    Look {
        device: link::link(hop.device),
        entry: table::entry(hop.device, hop.address),
        has_no_ipv6: is_named && sysctl::read(&conf).is_err_and(|errno| errno.0 == libc::ENOENT),
        hop,
    }
}

/// The gateway that failed where the route leads to one that answers: IPv6 turns to another one by itself.
fn another(scene: &mut Scene<'_>, memory: &mut Memory, look: &Look, counts: Option<&Counts>) -> Option<Look> {
    let packet = &scene.question.packet;
    let destination = packet.destination.filter(IpAddr::is_ipv6)?;
    let answers = matches!(&look.entry, Ok(Some(entry)) if !entry.is_unanswered());
    let left_by = if packet.goes_out_by == 0 { packet.interface.index } else { packet.goes_out_by };
    let failed = counts.filter(|_| answers)?.unanswered.iter().filter(|(device, _)| *device == left_by);
    let failed: Vec<IpAddr> = failed.map(|(_, address)| *address).collect();
    if failed.is_empty() {
        return None;
    }
    let read = |scene: &mut Scene<'_>| scene.inside(hop::ipv6_routes);
    let routes = scene.recent(&mut memory.routes, "the IPv6 routes", scene.question.netns.inode, read)?.ok()?.ok()?;
    let found = scene.inside(|| {
        let mut hops = failed.iter().filter_map(|via| hop::by_gateway(&routes, destination, left_by, *via));
        // Of two it is not known which one it was.
        hops.next().filter(|_| hops.next().is_none()).map(self::look)
    });
    found.ok().flatten()
}

fn tables(scene: &mut Scene<'_>, memory: &mut Memory, hop: &NextHop, facts: &mut Neighbours) -> Result<(), HostError> {
    let (inode, is_ipv6) = (scene.question.netns.inode, hop.address.is_ipv6());
    let read = |scene: &mut Scene<'_>| scene.inside(|| table::counts(hop.address));
    let counts = scene.recent(&mut memory.counts, ENTRIES, (inode, is_ipv6), read).transpose()?;
    let read = |scene: &mut Scene<'_>| scene.inside(|| table::limits(hop.address, hop.device));
    let limits = scene.recent(&mut memory.limits, LIMITS, (inode, is_ipv6, hop.device), read).transpose()?;
    facts.counts = counts.and_then(|counts| scene.note(ENTRIES, counts));
    if let Some((table, asking)) = limits.and_then(|limits| scene.note(LIMITS, limits)) {
        (facts.table, facts.asking) = (table, asking);
    }
    if let Some(before) = memory.table_fulls.get_mut(usize::from(is_ipv6))
        && let Some(table) = facts.table
    {
        facts.table_fulls_before = before.replace(table.table_fulls);
    }
    Ok(())
}
