//! A device does not take a packet: the setting of the port, the network number or the program is named, and what is
//! proposed helps.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, Bridge, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Story, remedy, require, sysctl, tun};

use crate::qdisc::runs;

/// What a bridge was told, and what whydrop says about it.
struct Setting<'a> {
    set: &'a str,
    reasons: &'a [&'a str],
    says: &'a str,
    remedy: &'a str,
}

/// With the bridge set up so, the client's datagrams end at its port `r1`, until it is told what is proposed.
fn keeps(setting: &Setting<'_>) -> Result<()> {
    require!(BRIDGE);
    for family in Family::BOTH {
        let lab: Bridge = topology::bridge()?;
        lab.bridge.exec(setting.set)?;
        let mut story = Story::of(&lab.bridge)?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 81), 1, 20))?;
        let wanted = Expect::finest(setting.reasons)?.cause("device").problem().hook("device").interface("r1");
        let event = story.names(wanted.netns(&lab.bridge)?.flow(&sent.flow).sure("derived"), 1)?;
        event.says(key::SUMMARY, setting.says)?;
        event.says(key::EVIDENCE, "port r1 of br0: state ")?;
        remedy::apply(&event, setting.remedy, &lab.bridge)?;
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
        story.end()?;
    }
    Ok(())
}

#[test]
fn the_port_of_the_sender_is_disabled() -> Result<()> {
    keeps(&Setting {
        set: "bridge link set dev r1 state 0",
        reasons: &["BRIDGE_INGRESS_STP_STATE", "NOT_SPECIFIED"],
        says: "bridge port r1 is in state disabled",
        remedy: "bridge link set dev r1 state 3",
    })
}

#[test]
fn the_port_of_the_receiver_is_disabled() -> Result<()> {
    keeps(&Setting {
        set: "bridge link set dev r2 state 0 && bridge fdb replace 02:77:00:00:02:02 dev r2 master static",
        reasons: &["NOT_SPECIFIED"],
        says: "bridge port r2 is in state disabled",
        remedy: "bridge link set dev r2 state 3",
    })
}

#[test]
fn the_ports_are_isolated() -> Result<()> {
    keeps(&Setting {
        set: "bridge link set dev r1 isolated on && bridge link set dev r2 isolated on",
        reasons: &["NOT_SPECIFIED"],
        says: "bridge port r1 is isolated, and so is r2",
        remedy: "bridge link set dev r1 isolated off",
    })
}

#[test]
fn flooding_is_off() -> Result<()> {
    keeps(&Setting {
        set: "bridge link set dev r2 flood off learning off; bridge fdb del 02:77:00:00:02:02 dev r2 master",
        reasons: &["NO_TX_TARGET", "NOT_SPECIFIED"],
        says: "02:77:00:00:02:02 is unknown to br0, and flooding is off on r2",
        remedy: "bridge link set dev r2 flood on",
    })
}

#[test]
fn the_port_is_locked() -> Result<()> {
    keeps(&Setting {
        set: "bridge link set dev r1 learning off && bridge link set dev r1 locked on;
              bridge fdb del 02:77:00:00:01:02 dev r1 master",
        reasons: &["NOT_SPECIFIED"],
        says: "bridge port r1 is locked, and 02:77:00:00:01:02 is not known behind it",
        remedy: "bridge link set dev r1 locked off",
    })
}

/// The frame would have to leave by the port it came in by.
#[test]
fn hairpin_is_off() -> Result<()> {
    require!(BRIDGE);
    for family in Family::BOTH {
        let lab = topology::bridge()?;
        lab.bridge.exec("bridge fdb add 02:00:00:00:00:31 dev r1 master static")?;
        let beside = family.pick("10.99.1.31", "fd99:1::31");
        lab.client.exec(&format!("ip neighbour add {beside} lladdr 02:00:00:00:00:31 dev c0 nud permanent"))?;
        let to = |port| Ok::<_, anyhow::Error>(std::net::SocketAddr::new(beside.parse()?, port));
        let mut story = Story::of(&lab.bridge)?;
        let sent = lab.client.run(|| udp::send(to(81)?, 1, 20))?;
        let wanted = Expect::drop("NOT_SPECIFIED").cause("device").problem().interface("r1").netns(&lab.bridge)?;
        let event = story.names(wanted.flow(&sent.flow).sure("derived"), 1)?;
        event.says(key::SUMMARY, "02:00:00:00:00:31 is behind bridge port r1, where it came in, and hairpin is off")?;
        remedy::apply(&event, "bridge link set dev r1 hairpin on", &lab.bridge)?;
        story.control(lab.client.run(|| udp::send(to(82)?, 1, 20))?.flow);
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
        story.end()?;
    }
    Ok(())
}

/// Addresses of both families on `tun0`, which is silent until spoken to.
fn tunnel(namespace: &NetNs, queue: u32) -> Result<()> {
    namespace.exec(&format!(
        "sysctl -qw net.ipv6.conf.tun0.addr_gen_mode=1 net.ipv6.conf.tun0.router_solicitations=0 &&
         ip link set tun0 txqueuelen {queue} up && ip address add 10.88.0.1/24 dev tun0 &&
         ip address add fd88::1/64 dev tun0 nodad"
    ))?;
    Ok(())
}

fn behind_the_tunnel(family: Family, port: u16) -> std::net::SocketAddr {
    family.pick(([10, 88, 0, 5], port).into(), ([0xfd88, 0, 0, 0, 0, 0, 0, 5], port).into())
}

#[test]
fn a_program_does_not_read() -> Result<()> {
    require!(TUN);
    let comm = std::fs::read_to_string("/proc/self/comm")?;
    for family in Family::BOTH {
        let namespace = NetNs::new("t")?;
        let _unread = namespace.run(tun::open)?;
        let _silent = sysctl::set(&namespace, "net/ipv6/conf/tun0/mldv1_unsolicited_report_interval", "1")?;
        tunnel(&namespace, 2)?;
        let mut story = Story::of(&namespace)?;
        let sent = namespace.run(|| udp::send(behind_the_tunnel(family, 53), 8, 20))?;
        let wanted = Expect::finest(&["FULL_RING", "NOT_SPECIFIED"])?.cause("device").problem().hook("device");
        let wanted = wanted.interface("tun0").netns(&namespace)?.flow(&sent.flow).sure("derived");
        let report = story.names(wanted, 6)?;
        let pid = std::process::id();
        report.says(key::SUMMARY, "the queue of tun0 (txqueuelen 2 packets) is full: ")?;
        report.says(key::SUMMARY, &format!("{} (pid {pid}) does not read fast enough", comm.trim_end()))?;
        remedy::apply(&report, "ip link set dev tun0 txqueuelen 1000", &namespace)?;
        story.control(namespace.run(|| udp::send(behind_the_tunnel(family, 54), 8, 20))?.flow);
        story.end()?;
    }
    Ok(())
}

#[test]
fn no_program_has_the_tunnel_open() -> Result<()> {
    require!(TUN);
    for family in Family::BOTH {
        let namespace = NetNs::new("t")?;
        namespace.exec("ip tuntap add tun0 mode tun")?;
        tunnel(&namespace, 500)?;
        let mut story = Story::of(&namespace)?;
        let sent = namespace.run(|| udp::send(behind_the_tunnel(family, 53), 2, 20))?;
        let wanted = Expect::drop("QDISC_DROP").cause("device").problem().interface("tun0").netns(&namespace)?;
        let event = story.names(wanted.flow(&sent.flow).sure("derived"), 2)?;
        event.says(key::SUMMARY, "tun0 has no carrier: no program ")?;
        event.says(key::SUMMARY, "has the tun device open")?;
        event.says(key::REMEDY, "start the program that serves tun0")?;
        let _opened = namespace.run(tun::open)?;
        runs(&namespace, "tun0")?;
        story.control(namespace.run(|| udp::send(behind_the_tunnel(family, 54), 2, 20))?.flow);
        story.end()?;
    }
    Ok(())
}

/// A VXLAN device without IPv6 of its own, which would send at once.
fn overlay(namespace: &NetNs, name: &str, options: &str, address: &str) -> Result<()> {
    namespace.exec(&format!(
        "ip link add {name} address {address} type vxlan dstport 4789 {options} &&
         sysctl -qw net.ipv6.conf.{name}.addr_gen_mode=1 net.ipv6.conf.{name}.router_solicitations=0 \
         net.ipv6.conf.{name}.accept_dad=0 && ip link set {name} up"
    ))?;
    Ok(())
}

#[test]
fn a_network_that_no_device_has() -> Result<()> {
    require!(VXLAN);
    for family in Family::BOTH {
        let lab: Pair = topology::pair()?;
        let (here, there) = (CLIENT.ip(family), NEIGHBOUR.ip(family));
        overlay(&lab.server, "vx1", &format!("id 1 local {there}"), "02:77:00:00:09:01")?;
        overlay(&lab.client, "vx77", &format!("id 77 local {here} remote {there}"), "02:77:00:00:09:07")?;
        lab.client.exec(
            "ip address add 10.244.7.1/24 dev vx77 &&
             ip neighbour add 10.244.7.2 lladdr 02:77:00:00:09:08 dev vx77 nud permanent",
        )?;
        let mut story = Story::of(&lab.server)?;
        lab.client.run(|| udp::send(([10, 244, 7, 2], 81).into(), 1, 20))?;
        let wanted = Expect::finest(&["VXLAN_VNI_NOT_FOUND", "NOT_SPECIFIED"])?.cause("device").problem();
        let wanted = wanted.netns(&lab.server)?.with(key::DESTINATION_PORT, 4789).sure("derived");
        let event = story.names(wanted.interface("s0"), 1)?;
        event.says(key::SUMMARY, "no vxlan device has VNI 77 (vx1 has 1)")?;
        event.says(key::EVIDENCE, &format!("vx1 is a vxlan device with VNI 1, port 4789, local {there}, up"))?;
        remedy::apply(&event, "type vxlan id 77", &lab.server)?;
        lab.server.exec("ip link set vxlan77 address 02:77:00:00:09:08 && ip address add 10.244.7.2/24 dev vxlan77")?;
        story.control(udp::deliver(&lab.client, &lab.server, ([10, 244, 7, 2], CONTROL_PORT).into())?);
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_destination_whose_node_is_not_known() -> Result<()> {
    require!(VXLAN);
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let (here, there) = (CLIENT.ip(family), NEIGHBOUR.ip(family));
        overlay(&lab.client, "vx1", &format!("id 1 local {here} nolearning"), "02:77:00:00:09:01")?;
        overlay(&lab.server, "vx1", &format!("id 1 local {there} nolearning"), "02:77:00:00:09:02")?;
        lab.client.exec(
            "ip address add 10.244.7.1/24 dev vx1 &&
             ip neighbour add 10.244.7.2 lladdr 02:77:00:00:09:02 dev vx1 nud permanent",
        )?;
        lab.server.exec("ip address add 10.244.7.2/24 dev vx1")?;
        let mut story = Story::of(&lab.client)?;
        let sent = lab.client.run(|| udp::send(([10, 244, 7, 2], 81).into(), 1, 20))?;
        let wanted = Expect::finest(&["NO_TX_TARGET", "NOT_SPECIFIED"])?.cause("device").interface("vx1");
        let event = story.names(wanted.netns(&lab.client)?.flow(&sent.flow).sure("derived"), 1)?;
        event.says(key::SUMMARY, "vx1 (VNI 1) does not know the node of 02:77:00:00:09:02")?;
        event.says(key::REMEDY, "bridge fdb append 02:77:00:00:09:02 dev vx1 dst NODE")?;
        lab.client.exec(&format!("bridge fdb append 02:77:00:00:09:02 dev vx1 dst {there}"))?;
        story.control(udp::deliver(&lab.client, &lab.server, ([10, 244, 7, 2], CONTROL_PORT).into())?);
        story.end()?;
    }
    Ok(())
}

/// A frame that claims the tunnel's own address: somebody uses it twice, or the overlay is a loop.
#[test]
fn a_frame_with_our_own_address() -> Result<()> {
    require!(VXLAN);
    let lab = topology::pair()?;
    let (here, there) = (CLIENT.v4, NEIGHBOUR.v4);
    overlay(&lab.server, "vx1", &format!("id 1 local {there}"), "02:77:00:00:09:02")?;
    overlay(&lab.client, "vx1", &format!("id 1 local {here} remote {there}"), "02:77:00:00:09:02")?;
    lab.client.exec(
        "ip address add 10.244.7.1/24 dev vx1 &&
         ip neighbour add 10.244.7.2 lladdr 02:77:00:00:09:09 dev vx1 nud permanent",
    )?;
    lab.server.exec("ip address add 10.244.7.2/24 dev vx1")?;
    let mut story = Story::of(&lab.server)?;
    lab.client.run(|| udp::send(([10, 244, 7, 2], 81).into(), 1, 20))?;
    let wanted = Expect::finest(&["LOCAL_MAC", "NOT_SPECIFIED"])?.cause("device").freed_in(&["vxlan_rcv"]);
    let event = story.names(wanted.netns(&lab.server)?.with(key::SEVERITY, "problem").sure("derived"), 1)?;
    event.says(key::SUMMARY, "vx1's own address 02:77:00:00:09:02 as its source")?;
    lab.client.exec("ip link set vx1 address 02:77:00:00:09:01")?;
    lab.client.exec("ip neighbour replace 10.244.7.2 lladdr 02:77:00:00:09:02 dev vx1 nud permanent")?;
    story.control(udp::deliver(&lab.client, &lab.server, ([10, 244, 7, 2], CONTROL_PORT).into())?);
    story.end().map(drop)
}
