//! Nobody answers ARP or neighbour solicitations.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Dual, Expect, Family, NetNs, Story, neighbour, sysctl};

const SILENT_BESIDE_CLIENT: Dual =
    Dual { v4: Ipv4Addr::new(10, 99, 1, 99), v6: Ipv6Addr::new(0xfd99, 1, 0, 0, 0, 0, 0, 0x99) };
const SILENT_BESIDE_SERVER: Dual =
    Dual { v4: Ipv4Addr::new(10, 99, 2, 99), v6: Ipv6Addr::new(0xfd99, 2, 0, 0, 0, 0, 0, 0x99) };

/// The client sends to `silent`; the one who asks for it in vain is `watched`, at `interface`.
fn fails(watched: fn(&topology::Router) -> &NetNs, interface: &str, silent: Dual) -> Result<()> {
    let lab = topology::router()?;
    let watched = watched(&lab);
    let mut story = Story::of(watched)?;
    for family in Family::BOTH {
        let one = || lab.client.run(|| udp::send(silent.port(family, 53), 1, 20));
        let sent = neighbour::unanswered(watched, interface, silent.ip(family), one)?;
        // IPv6 gives the packet back to be answered with ICMPv6, and has no reason for it.
        let reason = family.pick("NEIGH_FAILED", "NOT_SPECIFIED");
        let wanted =
            Expect::drop(reason).cause("neighbour").problem().hook("neighbour").interface(interface).netns(watched)?;
        story.names(wanted.flow(&sent.flow).freed_in(&["neigh_invalidate"]), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn failed_for_a_forwarded_packet() -> Result<()> {
    fails(|lab| &lab.router, "r2", SILENT_BESIDE_SERVER)
}

#[test]
fn failed_for_a_packet_of_our_own() -> Result<()> {
    fails(|lab| &lab.client, "c0", SILENT_BESIDE_CLIENT)
}

#[test]
fn too_many_packets_wait_for_an_answer() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.client)?;
    for family in Family::BOTH {
        let queue = format!("net/{}/neigh/c0/unres_qlen_bytes", family.name());
        let _short = sysctl::set(&lab.client, &queue, "0")?;
        let sent = lab.client.run(|| udp::send(SILENT_BESIDE_CLIENT.port(family, 53), 6, 20))?;
        let wanted = Expect::drop("NEIGH_QUEUEFULL")
            .cause("neighbour")
            .problem()
            .hook("neighbour")
            .interface("c0")
            .netns(&lab.client)?;
        // The newest one waits, in a queue of none.
        story.names(wanted.flow(&sent.flow).freed_in(&["__neigh_event_send"]), 5)?;
    }
    story.end().map(drop)
}
