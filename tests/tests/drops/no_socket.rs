//! Nobody listens on the port.

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Expect, Family, Story, kernel};

fn names_a_closed_port(attempt: impl Fn(Family) -> Result<Flow> + Sync, freed_in: [&[&str]; 2]) -> Result<()> {
    let lab = topology::router()?;
    let mut story = Story::of(&lab.server)?;
    for family in Family::BOTH {
        let flow = lab.client.run(|| attempt(family))?;
        let wanted = Expect::drop("NO_SOCKET").cause("no_socket").problem().hook("socket").interface("s0");
        let wanted = wanted.netns(&lab.server)?;
        let symbols = family.pick(freed_in[0], freed_in[1]);
        let event = story.names(wanted.flow(&flow).freed_in(symbols), 1)?;
        if kernel::tells_reasons() {
            assert_eq!(event.text(key::SUBSYSTEM), "core");
        }
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
    }
    story.end().map(drop)
}

#[test]
fn tcp_port_closed() -> Result<()> {
    names_a_closed_port(|family| tcp::attempt(SERVER.port(family, 81)), [&["tcp_v4_rcv"], &["tcp_v6_rcv"]])
}

#[test]
fn udp_port_closed() -> Result<()> {
    // 7.2 frees both families in `udp_rcv` or `udpv6_rcv`.
    names_a_closed_port(
        |family| Ok(udp::send(SERVER.port(family, 81), 1, 20)?.flow),
        [&["__udp4_lib_rcv", "udp_rcv"], &["__udp6_lib_rcv", "udpv6_rcv"]],
    )
}
