//! Links, addresses and routes as rtnetlink messages (uapi/linux/rtnetlink.h, if_link.h, if_addr.h).

use std::net::IpAddr;
use std::os::fd::RawFd;

use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use tracer_netfilter::netlink::transaction::{Body, Request};

/// `VETH_INFO_PEER` (uapi/linux/veth.h): a whole link message without its netlink header.
const VETH_INFO_PEER: u16 = 1;

/// One end of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) name: &'static str,
    /// Given, so that it need not be asked for; large, as some kernels put tunnel devices into each new namespace. The
    /// two ends' differ: with equal ones the kernel may take a second to notice the carrier
    /// (`linkwatch_urgent_event`, net/core/link_watch.c, 6.18).
    pub(super) index: u32,
}

/// A pair of virtual Ethernet devices: `near` here, `far` in the namespace behind the descriptor `there`.
pub(super) fn veth(near: End, far: End, there: RawFd) -> Request {
    let peer = named(far).put(libc::IFLA_NET_NS_FD, &there.to_ne_bytes());
    let kind = Body::default()
        .text(libc::IFLA_INFO_KIND, "veth")
        .nest(libc::IFLA_INFO_DATA, &Body::default().nest(VETH_INFO_PEER, &peer));
    create(libc::RTM_NEWLINK, named(near).nest(libc::IFLA_LINKINFO, &kind))
}

/// Brings a link up.
pub(super) fn up(index: u32) -> Request {
    let flag = libc::IFF_UP as u32;
    Request { kind: libc::RTM_NEWLINK, flags: NLM_F_ACK, body: Body::new(&link(index, flag)) }
}

/// Gives an address to a link; IPv6 without duplicate address detection, which would take a second.
pub(super) fn address(index: u32, address: IpAddr, prefix: u8) -> Request {
    let bytes = octets(address);
    let flags = if address.is_ipv6() { libc::IFA_F_NODAD as u8 } else { 0 };
    let mut fixed = [family(address), prefix, flags, 0, 0, 0, 0, 0];
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    let body = Body::new(&fixed).put(libc::IFA_LOCAL, &bytes).put(libc::IFA_ADDRESS, &bytes);
    create(libc::RTM_NEWADDR, body)
}

/// Everything else of its family goes `via` this router.
pub(super) fn default_route(via: IpAddr, index: u32) -> Request {
    let body = Body::new(&route(family(via), 0, libc::RTN_UNICAST))
        .put(libc::RTA_GATEWAY, &octets(via))
        .put(libc::RTA_OIF, &index.to_ne_bytes());
    create(libc::RTM_NEWROUTE, body)
}

/// Packets to these addresses are thrown away silently.
pub(super) fn blackhole(network: IpAddr, prefix: u8) -> Request {
    let body = Body::new(&route(family(network), prefix, libc::RTN_BLACKHOLE)).put(libc::RTA_DST, &octets(network));
    create(libc::RTM_NEWROUTE, body)
}

fn create(kind: u16, body: Body) -> Request {
    Request { kind, flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, body }
}

fn named(end: End) -> Body {
    Body::new(&link(end.index, 0)).text(libc::IFLA_IFNAME, end.name)
}

/// `struct ifinfomsg`: family, padding, type (2), index (4), flags (4), which of the flags to change (4).
fn link(index: u32, flags: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&flags.to_ne_bytes());
    fixed
}

/// `struct rtmsg`: family, destination and source prefix, TOS, table, protocol, scope (0 is universe), type, flags (4).
fn route(family: u8, prefix: u8, kind: u8) -> [u8; 12] {
    [family, prefix, 0, 0, libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, 0, kind, 0, 0, 0, 0]
}

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_a_link_within_a_link() {
        let request = veth(End { name: "a", index: 2 }, End { name: "b", index: 3 }, 7);
        assert_eq!((request.kind, request.flags), (libc::RTM_NEWLINK, 0x0604));
        let peer = Body::new(&[0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).text(3, "b").put(28, &[7, 0, 0, 0]);
        let data = Body::default().nest(1, &peer);
        let info = Body::default().text(1, "veth").nest(2, &data);
        let whole = Body::new(&[0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).text(3, "a").nest(18, &info);
        assert_eq!(request.body, whole);
    }

    #[test]
    fn an_address_names_its_link_and_needs_no_detection() {
        let request = address(3, "2001:db8::1".parse().unwrap(), 64);
        assert_eq!(request.body.bytes()[..8], [10, 64, 2, 0, 3, 0, 0, 0]);
        assert_eq!(request.body.bytes().len(), 8 + 2 * 20);
        assert_eq!(address(3, "192.0.2.1".parse().unwrap(), 24).body.bytes()[..4], [2, 24, 0, 0]);
    }

    #[test]
    fn a_blackhole_has_a_destination_and_no_way_out() {
        let bytes = blackhole("10.244.7.0".parse().unwrap(), 24).body;
        let destination = [8, 0, 1, 0, 10, 244, 7, 0];
        assert_eq!(bytes.bytes(), [&[2, 24, 0, 0, 254, 4, 0, 6, 0, 0, 0, 0][..], &destination].concat());
    }

    #[test]
    fn a_link_is_brought_up_and_nothing_else_is_changed() {
        assert_eq!(up(5).body.bytes(), [0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    }
}
