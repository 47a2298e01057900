//! A packet is larger than what comes next.

use anyhow::Result;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, NEIGHBOUR, SERVER, ip};
use tracer_tests::traffic::echo::{self, Options};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story};

const LARGE: Options = Options { hops: 64, size: 1400, whole: true };

#[test]
fn too_big_to_be_forwarded() -> Result<()> {
    let lab = topology::router()?;
    ip(&lab.router, "link set r2 mtu 1280")?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let request = lab.client.run(|| echo::request(SERVER.ip(family), LARGE))?;
        // IPv6 has turned to the outgoing interface already, to answer from its address.
        let wanted =
            Expect::drop("PKT_TOO_BIG").cause("mtu").problem().hook("forward").interface(family.pick("r1", "r2"));
        let wanted = wanted.netns(&lab.router)?;
        story.names(wanted.flow(&request.flow).freed_in(&[family.pick("ip_forward", "ip6_forward")]), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn the_other_end_of_a_veth_takes_less() -> Result<()> {
    let lab = topology::pair()?;
    ip(&lab.server, "link set s0 mtu 1280")?;
    let mut story = Story::of(&lab.client)?;
    for family in Family::BOTH {
        let request = lab.client.run(|| echo::request(NEIGHBOUR.ip(family), LARGE))?;
        let wanted =
            Expect::drop("NOT_SPECIFIED").cause("mtu").problem().hook("device").interface("c0").netns(&lab.client)?;
        story.names(wanted.flow(&request.flow).freed_in(&["__dev_forward_skb2", "veth_xmit"]), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}
