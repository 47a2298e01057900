//! A bridge's ports, and which of them has the packet's destination.

use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Device, Link, Mac};
use crate::host::error::{Errno, NetlinkError};
use crate::host::{HostError, rtnetlink};
use crate::node::Scene;

/// Ports kept of a bridge: the kernel takes no more (`BR_MAX_PORTS`).
const MOST: usize = 1024;

/// The number in a VLAN tag (`VLAN_VID_MASK`).
const VLAN: u16 = 0xfff;

/// The bridge that the packet was on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    pub name: String,
    /// Its own address: frames to it go no further.
    pub address: Vec<u8>,
    pub filters_vlans: bool,
    /// Devices with [`Link::port`].
    pub ports: Vec<Link>,
    /// Where the destination is; `None` if it was not asked for.
    pub destination: Option<Entry>,
    /// Where the source is.
    pub source: Option<Entry>,
}

/// What the forwarding table has about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The port's index.
    Port(u32),
    Missing,
}

impl Bridge {
    pub fn port(&self, index: u32) -> Option<&Link> {
        self.ports.iter().find(|port| port.index == index)
    }
}

pub(super) fn read(scene: &mut Scene<'_>, device: &Device) -> Result<Option<Bridge>, HostError> {
    let Some(link) = &device.link else { return Ok(None) };
    let index = if link.kind.as_deref() == Some("bridge") { link.index } else { link.master.unwrap_or_default() };
    if index == 0 {
        return Ok(None);
    }
    let frame = device.frame;
    let tag = scene.question.packet.dropped.as_deref().map_or(0, |dropped| dropped.event.vlan & VLAN);
    let (links, [destination, source]) = scene.inside(|| {
        let links = Link::read_all();
        let bridge = links.as_ref().ok().and_then(|links| links.iter().find(|link| link.index == index));
        // Untagged frames are of VLAN 1, unless the port says otherwise.
        let vlan = bridge.filter(|bridge| bridge.filters_vlans).map(|_| tag.max(1));
        let entries =
            [frame.destination, frame.source].map(|address| address.map(|address| entry(index, address, vlan)));
        (links, entries)
    })?;
    let links = scene.note("the ports of the bridge cannot be listed", links).unwrap_or_default();
    let mut bridge = Bridge::default();
    for link in links {
        if link.index == index {
            (bridge.name, bridge.address) = (link.name, link.address);
            bridge.filters_vlans = link.filters_vlans;
        } else if link.master == Some(index) && link.port.is_some() && bridge.ports.len() < MOST {
            bridge.ports.push(link);
        }
    }
    let mut note = |entry: Option<Result<Entry, NetlinkError>>| {
        scene.note("the forwarding table of the bridge cannot be asked", entry.transpose()).flatten()
    };
    bridge.destination = note(destination);
    bridge.source = note(source);
    Ok((!bridge.name.is_empty()).then_some(bridge))
}

/// What the forwarding table of this bridge has about an address, in this VLAN if it keeps them apart.
fn entry(bridge: u32, address: Mac, vlan: Option<u16>) -> Result<Entry, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    request.attributes =
        vec![NeighbourAttribute::LinkLayerAddress(address.to_vec()), NeighbourAttribute::Controller(bridge)];
    request.attributes.extend(vlan.map(NeighbourAttribute::Vlan));
    let answer = match rtnetlink::get(&RouteNetlinkMessage::GetNeighbour(request)) {
        Err(NetlinkError::Refused(Errno(libc::ENOENT))) => return Ok(Entry::Missing),
        answer => answer?,
    };
    let port = answer.iter().find_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => Some(message.header.ifindex),
        _ => None,
    });
    port.map(Entry::Port).ok_or(NetlinkError::Malformed)
}
