//! A kernel setting alone refuses the packet.

use anyhow::{Context, Result, ensure};
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, frame, udp};
use tracer_tests::{Expect, Family, Story, remedy, sysctl};

/// A datagram in a frame to everybody, from the client.
fn send_to_all(lab: &Pair, family: Family) -> Result<Flow> {
    let (source, destination) = (CLIENT.port(family, 5000), NEIGHBOUR.port(family, 5001));
    let datagram = frame::udp(source.ip(), destination.ip(), (source.port(), destination.port()), b"to all");
    let (ethertype, packet) = match family {
        Family::V4 => (frame::ETHERTYPE_IPV4, frame::Ipv4::new(CLIENT.v4, NEIGHBOUR.v4, frame::UDP).build(&datagram)),
        Family::V6 => (frame::ETHERTYPE_IPV6, frame::Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, frame::UDP).build(&datagram)),
    };
    lab.client
        .run(|| Interface::sender("c0")?.send(&frame::ethernet([0xff; 6], topology::C0_MAC, ethertype, &packet)))?;
    Ok(Flow { protocol: "udp", source, destination })
}

#[test]
fn ipv6_is_switched_off_on_an_interface() -> Result<()> {
    let lab = topology::pair()?;
    let setting = sysctl::set(&lab.server, "net/ipv6/conf/s0/disable_ipv6", "1")?;
    // The address went with it; the client still knows where it was.
    topology::ip(&lab.client, "neigh replace fd99:1::3 lladdr 02:77:00:00:02:02 dev c0 nud permanent")?;
    let mut story = Story::of(&lab.server)?;
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V6, 9999), 1, 20))?;
    let wanted = Expect::drop("IPV6DISABLED").problem().cause("device").interface("s0").flow(&sent.flow);
    let wanted = wanted.with(key::SYSCTL_NAME, "net.ipv6.conf.s0.disable_ipv6").with(key::SYSCTL_EFFECTIVE, "1");
    let event = story.names(wanted.sure("derived"), 1)?;
    ensure!(event.text(key::SUMMARY).starts_with("net.ipv6.conf.s0.disable_ipv6=1: "), "{event}");
    remedy::apply(&event, "disable_ipv6=0", &lab.server)?;
    topology::ip(&lab.server, "address add fd99:1::3/64 dev s0 nodad")?;
    story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(Family::V6, CONTROL_PORT))?);
    drop(setting);
    story.end().map(drop)
}

#[test]
fn unicast_in_frames_to_everybody() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let directory = family.pick("ipv4", "ipv6");
        let name = format!("net/{directory}/conf/s0/drop_unicast_in_l2_multicast");
        let _setting = sysctl::set(&lab.server, &name, "1")?;
        let mut story = Story::of(&lab.server)?;
        let flow = send_to_all(&lab, family)?;
        let wanted = Expect::drop("UNICAST_IN_L2_MULTICAST").interface("s0").flow(&flow);
        let wanted = wanted.with(key::SYSCTL_NAME, name.replace('/', ".")).with(key::SYSCTL_VALUE, "1");
        let event = story.names(wanted.sure("derived"), 1)?;
        remedy::apply(&event, "drop_unicast_in_l2_multicast=0", &lab.server)?;
        let receiver = lab.server.run(|| Ok(std::net::UdpSocket::bind(NEIGHBOUR.port(family, 5001))?))?;
        receiver.set_read_timeout(Some(tracer_tests::patience()))?;
        story.control(send_to_all(&lab, family).map(|flow| Flow { source: CLIENT.port(family, 5002), ..flow })?);
        receiver.recv(&mut [0; 64]).context("it is still refused")?;
        story.end()?;
    }
    Ok(())
}
