//! An IPsec policy forbids the packet.

use anyhow::Result;
use tracer_tests::topology::{self, SERVER, ip};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, require};

#[test]
fn policy_blocks_forwarding() -> Result<()> {
    require!(XFRM);
    let lab = topology::router()?;
    ip(
        &lab.router,
        "xfrm policy add src 10.99.1.2/32 dst 10.99.2.2/32 dir fwd action block
         xfrm policy add src fd99:1::2/128 dst fd99:2::2/128 dir fwd action block",
    )?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 9999), 1, 20))?;
        // The IPv6 side gives no reason.
        let reason = family.pick("XFRM_POLICY", "NOT_SPECIFIED");
        let wanted = Expect::drop(reason).cause("ipsec").hook("forward").interface("r1").netns(&lab.router)?;
        story.names(wanted.flow(&sent.flow).freed_in(&[family.pick("ip_forward", "ip6_forward")]), 1)?;
    }
    story.end().map(drop)
}
