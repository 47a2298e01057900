//! The VXLAN devices of a namespace, and what one of them knows of a destination.

use std::net::IpAddr;

use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Device, Link, Mac, Memory};
use crate::host::error::{Errno, NetlinkError};
use crate::host::{HostError, rtnetlink};
use crate::node::Scene;

/// Devices kept.
const MOST: usize = 256;

/// The overlay networks of this namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    /// Devices with [`Link::vxlan`].
    pub devices: Vec<Link>,
    /// Where the packet's destination is, if its device was asked: nodes; empty if there is no entry.
    pub nodes: Option<Vec<IpAddr>>,
}

pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory, device: &Device) -> Result<Option<Overlay>, HostError> {
    let netns = scene.question.netns.inode;
    let devices = scene.recent(&mut memory.overlays, "the VXLAN devices", netns, |scene| {
        let links = scene.inside(Link::read_all)?;
        let mut links = scene.note("the devices of the namespace cannot be listed", links).unwrap_or_default();
        links.retain(|link| link.vxlan.is_some());
        links.truncate(MOST);
        Ok(links)
    });
    let Some(devices) = devices.transpose()? else { return Ok(None) };
    let sender = device.link.as_ref().filter(|link| link.vxlan.is_some()).map(|link| link.index);
    let nodes = match (sender, device.frame.destination) {
        (Some(index), Some(address)) => {
            let nodes = scene.inside(|| nodes(index, address))?;
            scene.note("the forwarding table of the tunnel cannot be asked", nodes)
        }
        _ => None,
    };
    Ok(Some(Overlay { devices, nodes }))
}

/// Where this device sends frames to an address.
fn nodes(device: u32, address: Mac) -> Result<Vec<IpAddr>, NetlinkError> {
    let mut request = NeighbourMessage::default();
    request.header.family = AddressFamily::Bridge;
    request.header.ifindex = device;
    request.header.flags = NeighbourFlags::Own;
    request.attributes = vec![NeighbourAttribute::LinkLayerAddress(address.to_vec())];
    let answer = match rtnetlink::get(&RouteNetlinkMessage::GetNeighbour(request)) {
        Err(NetlinkError::Refused(Errno(libc::ENOENT))) => return Ok(Vec::new()),
        answer => answer?,
    };
    let attributes = answer.iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewNeighbour(message) => Some(&message.attributes),
        _ => None,
    });
    let nodes = attributes.flatten().filter_map(|attribute| match attribute {
        NeighbourAttribute::Destination(address) => of(address),
        _ => None,
    });
    Ok(nodes.collect())
}

/// The family of the question was that of bridges, so the address comes as bytes.
fn of(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some((*address).into()),
        NeighbourAddress::Inet6(address) => Some((*address).into()),
        NeighbourAddress::Other(bytes) => match bytes.len() {
            4 => bytes.first_chunk::<4>().map(|bytes| (*bytes).into()),
            16 => bytes.first_chunk::<16>().map(|bytes| (*bytes).into()),
            _ => None,
        },
        _ => None,
    }
}
