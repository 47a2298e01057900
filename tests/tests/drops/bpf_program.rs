//! A BPF program says no: the one cause that no ruleset shows.

use anyhow::Result;
use tracer_tests::bpf::{Attach, attach_verdict};
use tracer_tests::topology::{self, NEIGHBOUR, Pair};
use tracer_tests::traffic::raw::index;
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Story, require};

const TC_ACT_SHOT: i32 = 2;
const XDP_DROP: i32 = 1;

/// A program at one end of a pair drops what the client sends.
fn drops(lab: &Pair, at: (&NetNs, &str), program: (Attach, i32), named: (&str, &str, &[&str])) -> Result<()> {
    let mut story = Story::of(at.0)?;
    for family in Family::BOTH {
        let link = at.0.run(|| attach_verdict(program.0, index(at.1)?, program.1))?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 9999), 3, 20))?;
        let wanted = Expect::drop(named.0).cause("bpf_program").problem().hook(named.1).interface(at.1).netns(at.0)?;
        story.names(wanted.flow(&sent.flow).freed_in(named.2), 3)?;
        drop(link);
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, 7777))?);
    }
    story.end().map(drop)
}

#[test]
fn at_tc_ingress() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let named = ("TC_INGRESS", "ingress", &["__netif_receive_skb_core", "sch_handle_ingress"][..]);
    drops(&lab, (&lab.server, "s0"), (Attach::TcxIngress, TC_ACT_SHOT), named)
}

#[test]
fn at_tc_egress() -> Result<()> {
    require!(TCX);
    let lab = topology::pair()?;
    let named = ("TC_EGRESS", "egress", &["__dev_queue_xmit", "sch_handle_egress"][..]);
    drops(&lab, (&lab.client, "c0"), (Attach::TcxEgress, TC_ACT_SHOT), named)
}

#[test]
fn at_xdp_of_a_veth() -> Result<()> {
    // The kernel's own XDP reason is not given here.
    let lab = topology::pair()?;
    let named = ("NOT_SPECIFIED", "device", &["veth_xdp_rcv_skb"][..]);
    drops(&lab, (&lab.server, "s0"), (Attach::Xdp, XDP_DROP), named)
}
