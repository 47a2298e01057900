//! What carries a tunnel's packets.
//!
//! Rule: what the device itself names comes first; else the route to its other end tells.

use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoGeneve, InfoVxlan, LinkAttribute, LinkInfo, LinkMessage};

use crate::host::{Interface, rtnetlink};
use crate::node::Packet;
use crate::node::neighbour::{hop, link};

/// The way that a tunnel's packets take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Below {
    /// The device that they leave by.
    pub interface: Interface,
    /// Whether the outer packets are IPv6.
    pub is_ipv6: bool,
}

/// What is below `device`, in the calling thread's namespace; `None` where it has nothing below or that is not told.
pub(super) fn below(device: &Interface) -> Option<Below> {
    if device.kind.as_deref() == Some("veth") {
        return None;
    }
    let (named, remote) = info(device.index);
    let index = match device.link.filter(|lower| lower.nsid.is_none()) {
        Some(lower) => lower.index,
        None => named.or_else(|| way(remote?))?,
    };
    let interface = link::link(index).ok().flatten()?;
    Some(Below { interface, is_ipv6: remote.is_some_and(|remote| remote.is_ipv6()) })
}

/// The device that leads to the tunnel's other end.
fn way(remote: IpAddr) -> Option<u32> {
    let packet = Packet { destination: Some(remote), ..Packet::default() };
    hop::next_hop(&packet).ok().flatten().map(|hop| hop.device)
}

/// The lower device that a tunnel names, and an address of its outer packets.
fn info(index: u32) -> (Option<u32>, Option<IpAddr>) {
    let mut request = LinkMessage::default();
    request.header.index = index;
    let answer = rtnetlink::get(&RouteNetlinkMessage::GetLink(request)).unwrap_or_default();
    let attributes = answer.into_iter().filter_map(|message| match message {
        RouteNetlinkMessage::NewLink(link) => Some(link.attributes),
        _ => None,
    });
    let infos = attributes.flatten().filter_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let data = infos.flatten().find_map(|info| match info {
        LinkInfo::Data(data) => Some(data),
        _ => None,
    });
    data.map(|data| named(&data)).unwrap_or_default()
}

fn named(data: &InfoData) -> (Option<u32>, Option<IpAddr>) {
    let (mut lower, mut address) = (None, None);
    match data {
        InfoData::Vxlan(infos) => {
            for info in infos {
                match info {
                    InfoVxlan::Link(index) if *index != 0 => lower = Some(*index),
                    InfoVxlan::Group(to) => address = Some(IpAddr::V4(*to)),
                    InfoVxlan::Group6(to) => address = Some(IpAddr::V6(*to)),
                    InfoVxlan::Local(own) => address = address.or(Some(IpAddr::V4(*own))),
                    InfoVxlan::Local6(own) => address = address.or(Some(IpAddr::V6(*own))),
                    _ => {}
                }
            }
        }
        InfoData::Geneve(infos) => {
            for info in infos {
                match info {
                    InfoGeneve::Remote(to) => address = Some(IpAddr::V4(*to)),
                    InfoGeneve::Remote6(to) => address = Some(IpAddr::V6(*to)),
                    _ => {}
                }
            }
        }
        _ => {}
    }
    (lower, address)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_tunnel_names_its_lower_device_or_its_other_end() {
        let remote = Ipv4Addr::new(10, 0, 0, 2);
        let vxlan = InfoData::Vxlan(vec![InfoVxlan::Link(3), InfoVxlan::Group(remote)]);
        assert_eq!(named(&vxlan), (Some(3), Some(IpAddr::V4(remote))));
        let geneve = InfoData::Geneve(vec![InfoGeneve::Remote6("fd00::1".parse().unwrap())]);
        assert_eq!(named(&geneve), (None, "fd00::1".parse().ok()));
    }
}
