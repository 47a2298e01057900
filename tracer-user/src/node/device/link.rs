//! One network device, as the kernel describes it now.

use std::net::IpAddr;

use crate::host::error::NetlinkError;
use crate::host::{Interface, interface, rtnetlink};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    BridgePortState, InfoBridge, InfoBridgePort, InfoData, InfoPortData, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, State,
};

/// One device (`RTM_NEWLINK`). What the kernel did not tell is `None`.
#[expect(clippy::struct_excessive_bools, reason = "what the kernel tells are flags")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub index: u32,
    pub name: String,
    /// `veth`, `bridge`, `tun`, …; none for a physical device.
    pub kind: Option<String>,
    pub address: Vec<u8>,
    /// Switched on (`IFF_UP`).
    pub is_up: bool,
    /// Whether there is a carrier (`netif_carrier_ok`): a cable, a peer, a program.
    pub has_carrier: bool,
    /// Whether `operstate` is one in which nothing passes: a device that waits for another one is up and has a carrier,
    /// but does not run. A carrier that just came counts a moment later (`linkwatch_do_dev`, net/core/link_watch.c).
    pub is_dormant: bool,
    /// The bridge, bond or VRF that it is a port of.
    pub master: Option<u32>,
    /// A veth's other end, or the device below it.
    pub link: Option<u32>,
    /// The namespace id of that, as seen from this namespace; none for this one.
    pub link_netns: Option<i32>,
    /// `txqueuelen`, packets.
    pub queue_length: Option<u32>,
    pub counters: Counters,
    /// As a port of a bridge.
    pub port: Option<Port>,
    /// A bridge that keeps VLANs apart.
    pub filters_vlans: bool,
    /// As a VXLAN device.
    pub vxlan: Option<Vxlan>,
}

/// Packets that the device counted as lost (`rtnl_link_stats64`), since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub received_dropped: u64,
    pub received_errors: u64,
    pub sent_dropped: u64,
    pub sent_errors: u64,
}

/// A port of a bridge (`IFLA_BRPORT_…`).
#[expect(clippy::struct_excessive_bools, reason = "these are the flags of a bridge port")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    /// `BR_STATE_…` of `include/uapi/linux/if_bridge.h`: 0 disabled, 1 listening, 2 learning, 3 forwarding, 4 blocking.
    pub state: u8,
    pub isolated: bool,
    pub hairpin: bool,
    /// Frames to unknown addresses go out by it.
    pub flood: bool,
    pub learning: bool,
    /// Only known senders may use it.
    pub locked: bool,
}

impl Default for Port {
    fn default() -> Self {
        Self { state: FORWARDING, isolated: false, hairpin: false, flood: true, learning: true, locked: false }
    }
}

/// `BR_STATE_FORWARDING`.
pub const FORWARDING: u8 = 3;

impl Port {
    pub const fn state_name(self) -> &'static str {
        match self.state {
            0 => "disabled",
            1 => "listening",
            2 => "learning",
            3 => "forwarding",
            4 => "blocking",
            _ => "unknown",
        }
    }
}

/// A VXLAN device (`IFLA_VXLAN_…`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vxlan {
    /// Network identifier; 0 with `external`.
    pub vni: u32,
    pub port: u16,
    pub local: Option<IpAddr>,
    /// Where frames go for which there is no entry.
    pub remote: Option<IpAddr>,
    pub learning: bool,
    /// Who sends by it says where to (`collect_md`): it takes every network identifier.
    pub external: bool,
}

impl Link {
    /// What ties it to its other end.
    pub(in crate::node) fn interface(&self) -> Interface {
        let link = self.link.map(|index| interface::Link { index, nsid: self.link_netns });
        Interface { index: self.index, name: self.name.clone(), kind: self.kind.clone(), link, ..Interface::default() }
    }

    /// Whether packets can leave by it.
    pub const fn works(&self) -> bool {
        self.is_up && self.has_carrier && !self.is_dormant
    }

    /// The device with this index in this namespace.
    pub(in crate::node) fn read(index: u32) -> Result<Option<Self>, NetlinkError> {
        let mut request = LinkMessage::default();
        request.header.index = index;
        let answer = rtnetlink::get(&RouteNetlinkMessage::GetLink(request))?;
        Ok(answer.into_iter().find_map(of))
    }

    /// All devices of this namespace.
    pub(in crate::node) fn read_all() -> Result<Vec<Self>, NetlinkError> {
        let answer = rtnetlink::dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
        Ok(answer.into_iter().filter_map(of).collect())
    }
}

fn of(message: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(message) = message else { return None };
    let flags = message.header.flags;
    let mut link = Link {
        index: message.header.index,
        is_up: flags.contains(LinkFlags::Up),
        has_carrier: flags.contains(LinkFlags::LowerUp),
        ..Link::default()
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Address(address) => link.address = address,
            LinkAttribute::Carrier(carrier) => link.has_carrier = carrier != 0,
            LinkAttribute::OperState(state) => {
                link.is_dormant =
                    matches!(state, State::NotPresent | State::Down | State::LowerLayerDown | State::Dormant);
            }
            LinkAttribute::Controller(index) => link.master = Some(index),
            LinkAttribute::Link(index) => link.link = Some(index).filter(|index| *index != 0),
            LinkAttribute::LinkNetNsId(id) => link.link_netns = Some(id),
            LinkAttribute::TxQueueLen(packets) => link.queue_length = Some(packets),
            LinkAttribute::Stats64(counters) => {
                link.counters = Counters {
                    received_dropped: counters.rx_dropped,
                    received_errors: counters.rx_errors,
                    sent_dropped: counters.tx_dropped,
                    sent_errors: counters.tx_errors,
                }
            }
            LinkAttribute::LinkInfo(parts) => link.take_info(&parts),
            _ => {}
        }
    }
    Some(link)
}

impl Link {
    fn take_info(&mut self, parts: &[LinkInfo]) {
        for part in parts {
            match part {
                LinkInfo::Kind(kind) => self.kind = Some(kind.to_string()),
                LinkInfo::PortData(InfoPortData::BridgePort(settings)) => self.port = Some(port(settings)),
                LinkInfo::Data(InfoData::Bridge(settings)) => {
                    self.filters_vlans = settings.contains(&InfoBridge::VlanFiltering(true));
                }
                LinkInfo::Data(InfoData::Vxlan(settings)) => self.vxlan = Some(vxlan(settings)),
                _ => {}
            }
        }
    }
}

fn port(settings: &[InfoBridgePort]) -> Port {
    let mut port = Port::default();
    for setting in settings {
        match setting {
            InfoBridgePort::State(state) => port.state = state_number(*state),
            InfoBridgePort::Isolated(on) => port.isolated = *on,
            InfoBridgePort::HairpinMode(on) => port.hairpin = *on,
            InfoBridgePort::UnicastFlood(on) => port.flood = *on,
            InfoBridgePort::Learning(on) => port.learning = *on,
            InfoBridgePort::Locked(on) => port.locked = *on,
            _ => {}
        }
    }
    port
}

const fn state_number(state: BridgePortState) -> u8 {
    match state {
        BridgePortState::Disabled => 0,
        BridgePortState::Listening => 1,
        BridgePortState::Learning => 2,
        BridgePortState::Forwarding => FORWARDING,
        BridgePortState::Blocking => 4,
        BridgePortState::Other(number) => number,
        _ => u8::MAX,
    }
}

fn vxlan(settings: &[InfoVxlan]) -> Vxlan {
    let mut vxlan = Vxlan::default();
    for setting in settings {
        match setting {
            InfoVxlan::Id(vni) => vxlan.vni = *vni,
            InfoVxlan::Port(port) => vxlan.port = *port,
            InfoVxlan::Local(address) => vxlan.local = Some((*address).into()),
            InfoVxlan::Local6(address) => vxlan.local = Some((*address).into()),
            InfoVxlan::Group(address) => vxlan.remote = Some((*address).into()),
            InfoVxlan::Group6(address) => vxlan.remote = Some((*address).into()),
            InfoVxlan::Learning(on) => vxlan.learning = *on,
            InfoVxlan::CollectMetadata(on) => vxlan.external = *on,
            _ => {}
        }
    }
    vxlan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_works() {
        let all = Link::read_all().unwrap();
        let loopback = all.iter().find(|link| link.name == "lo").unwrap();
        assert_eq!(Link::read(loopback.index).unwrap().unwrap().name, "lo");
        assert!(loopback.kind.is_none() && loopback.port.is_none());
    }

    #[test]
    fn a_device_is_read_with_what_decides_about_packets() {
        let mut message = LinkMessage::default();
        message.header.index = 7;
        message.header.flags = LinkFlags::Up;
        let settings = vec![InfoBridgePort::State(BridgePortState::Blocking), InfoBridgePort::Isolated(true)];
        message.attributes = vec![
            LinkAttribute::IfName("r1".into()),
            LinkAttribute::Carrier(0),
            LinkAttribute::Controller(9),
            LinkAttribute::LinkInfo(vec![LinkInfo::PortData(InfoPortData::BridgePort(settings))]),
        ];
        let link = of(RouteNetlinkMessage::NewLink(message)).unwrap();
        assert_eq!((link.is_up, link.has_carrier, link.works(), link.master), (true, false, false, Some(9)));
        let port = link.port.unwrap();
        assert_eq!((port.state_name(), port.isolated, port.flood), ("blocking", true, true));
    }
}
