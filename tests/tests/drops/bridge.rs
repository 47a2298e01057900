//! A bridge does not pass a frame on.

use anyhow::Result;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, Bridge, NEIGHBOUR};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, require};

/// With the bridge set up by `commands`, the client's datagrams end at the port `r1`.
fn keeps(commands: &str, undo: &str, reasons: &[&str], freed_in: &[&str]) -> Result<()> {
    require!(BRIDGE);
    let lab: Bridge = topology::bridge()?;
    lab.bridge.exec(commands)?;
    let mut story = Story::of(&lab.bridge)?;
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 81), 1, 20))?;
        let wanted =
            Expect::finest(reasons)?.cause("device").problem().hook("device").interface("r1").netns(&lab.bridge)?;
        story.names(wanted.flow(&sent.flow).freed_in(freed_in), 1)?;
    }
    lab.bridge.exec(undo)?;
    for family in Family::BOTH {
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

const FINISH: &[&str] = &["br_handle_frame_finish"];

#[test]
fn the_port_is_disabled() -> Result<()> {
    keeps(
        "bridge link set dev r1 state 0",
        "bridge link set dev r1 state 3",
        &["BRIDGE_INGRESS_STP_STATE", "NOT_SPECIFIED"],
        &["br_handle_frame", "br_handle_frame_finish"],
    )
}

#[test]
fn the_ports_are_isolated_from_each_other() -> Result<()> {
    let both = |state| format!("for port in r1 r2; do bridge link set dev $port isolated {state}; done");
    keeps(&both("on"), &both("off"), &["NOT_SPECIFIED"], FINISH)
}

#[test]
fn nobody_has_the_address_and_flooding_is_off() -> Result<()> {
    // No learning, or the next frame from the server would bring its address back.
    let off = "bridge link set dev r2 flood off learning off; bridge fdb del 02:77:00:00:02:02 dev r2 master";
    keeps(off, "bridge link set dev r2 flood on", &["NO_TX_TARGET", "NOT_SPECIFIED"], FINISH)
}
