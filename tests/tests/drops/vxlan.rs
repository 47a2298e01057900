//! A VXLAN device does not take, or cannot send, a packet.

use anyhow::Result;
use tracer_tests::topology::{self, C0_MAC, CLIENT, NEIGHBOUR, Pair, S0_MAC};
use tracer_tests::traffic::frame::{self, Ipv4, UDP};
use tracer_tests::traffic::{Flow, Mac, raw::Interface, udp};
use tracer_tests::{Expect, Family, Story, require};

use crate::frames::{Case, ends, ethernet4, flow, names_each};

const PORT: u16 = 4789;
const INNER_SOURCE: Mac = [2, 0, 0, 0, 0, 5];
const INNER_DESTINATION: Mac = [2, 0, 0, 0, 0, 6];
const VX1_MAC: Mac = [2, 0x77, 0, 0, 9, 9];

/// The server ends the tunnel with network identifier 1.
fn server_ends_a_tunnel(options: &str) -> Result<Pair> {
    let lab = topology::pair()?;
    lab.server.exec(&format!(
        "ip link add vx1 address 02:77:00:00:09:09 type vxlan id 1 local 10.99.1.3 dstport {PORT} {options} &&
         ip address add 10.244.1.1/24 dev vx1 && ip link set vx1 up"
    ))?;
    Ok(lab)
}

/// A frame in a tunnel: VXLAN flags and network identifier as given (RFC 7348 section 5).
fn tunnelled(source_port: u16, flags: u8, vni: u8, inner: (Mac, Mac)) -> Vec<u8> {
    let (source, destination) = ends(Family::V4);
    let inner_ends = ([10, 244, 0, 1], [10, 244, 1, 1]);
    let datagram = frame::udp(inner_ends.0.into(), inner_ends.1.into(), (1, 2), b"inner");
    let packet = Ipv4::new(inner_ends.0.into(), inner_ends.1.into(), UDP).build(&datagram);
    let inner = frame::ethernet(inner.1, inner.0, frame::ETHERTYPE_IPV4, &packet);
    let payload = [&[flags, 0, 0, 0, 0, 0, vni, 0][..], &inner].concat();
    let outer = frame::udp(source, destination, (source_port, PORT), &payload);
    ethernet4(&Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, UDP).build(&outer))
}

fn outer(source_port: u16) -> Flow {
    flow("udp", Family::V4, (source_port, PORT))
}

#[test]
fn header_or_network_is_wrong() -> Result<()> {
    require!(VXLAN);
    let lab = server_ends_a_tunnel("nolearning")?;
    let inner = (INNER_SOURCE, INNER_DESTINATION);
    let freed_in = &["vxlan_rcv"];
    let cases = [
        Case::new(tunnelled(5551, 0, 1, inner), &["VXLAN_INVALID_HDR", "NOT_SPECIFIED"], freed_in).of(&outer(5551)),
        Case::new(tunnelled(5552, 8, 99, inner), &["VXLAN_VNI_NOT_FOUND", "NOT_SPECIFIED"], freed_in).of(&outer(5552)),
    ];
    names_each(&lab, &cases)
}

#[test]
fn the_inner_frame_claims_our_own_address() -> Result<()> {
    require!(VXLAN);
    let lab = server_ends_a_tunnel("nolearning")?;
    let mut story = Story::of(&lab.server)?;
    let frame = tunnelled(5553, 8, 1, (VX1_MAC, VX1_MAC));
    lab.client.run(|| Interface::sender("c0")?.send(&frame))?;
    let wanted = Expect::finest(&["LOCAL_MAC", "NOT_SPECIFIED"])?.netns(&lab.server)?.freed_in(&["vxlan_rcv"]);
    story.names(wanted, 1)?;
    story.end().map(drop)
}

#[test]
fn no_tunnel_end_is_known() -> Result<()> {
    require!(VXLAN);
    let lab = server_ends_a_tunnel("nolearning")?;
    lab.server.exec(
        "ip route add 10.244.0.0/24 via 10.244.1.9 dev vx1 &&
         ip neighbour add 10.244.1.9 lladdr 02:00:00:00:00:09 dev vx1 nud permanent",
    )?;
    let mut story = Story::of(&lab.server)?;
    let sent = lab.server.run(|| udp::send(([10, 244, 0, 5], 53).into(), 1, 20))?;
    let wanted = Expect::finest(&["NO_TX_TARGET", "NOT_SPECIFIED"])?.hook("device").interface("vx1");
    story.names(wanted.netns(&lab.server)?.flow(&sent.flow).freed_in(&["vxlan_xmit"]), 1)?;
    story.end().map(drop)
}

#[test]
fn nobody_ends_a_tunnel() -> Result<()> {
    let lab = topology::pair()?;
    let frame = tunnelled(5554, 8, 1, (C0_MAC, S0_MAC));
    let case = Case::new(frame, &["NO_SOCKET"], &["__udp4_lib_rcv", "udp_rcv"]).of(&outer(5554)).hook("socket");
    names_each(&lab, &[case])
}
