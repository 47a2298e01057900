//! A packet has gone far enough.

use anyhow::Result;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::echo::{self, Options};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story};

#[test]
fn ttl_and_hop_limit_run_out_at_the_router() -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let options = Options { hops: 1, ..Options::default() };
        let request = lab.client.run(|| echo::request(SERVER.ip(family), options))?;
        // The kernel calls it a header error; the function tells.
        let wanted =
            Expect::drop("IP_INHDR").cause("ttl").problem().hook("forward").interface("r1").netns(&lab.router)?;
        story.names(wanted.flow(&request.flow).freed_in(&[family.pick("ip_forward", "ip6_forward")]), 1)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}
