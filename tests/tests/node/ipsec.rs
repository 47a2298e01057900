//! An IPsec policy refuses the packet.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, SERVER, ip};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, remedy, require};

#[test]
fn a_policy_blocks_forwarding() -> Result<()> {
    require!(XFRM);
    for family in Family::BOTH {
        let lab = topology::router()?;
        let selector = family.pick("src 10.99.1.2/32 dst 10.99.2.2/32", "src fd99:1::2/128 dst fd99:2::2/128");
        // Another one, which these packets do not meet.
        let other = family.pick("src 10.0.0.0/8 dst 10.99.3.0/24", "src fd99::/16 dst fd99:3::/64");
        ip(
            &lab.router,
            &format!("xfrm policy add {selector} dir fwd action block\nxfrm policy add {other} dir fwd action block"),
        )?;
        let mut story = Story::of(&lab.router)?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 9999), 1, 20))?;
        // The kernel has no reason for it in IPv6.
        let wanted = Expect::drop(family.pick("XFRM_POLICY", "NOT_SPECIFIED")).problem().cause("ipsec").sure("derived");
        let event = story.names(wanted.interface("r1").netns(&lab.router)?.flow(&sent.flow), 1)?;
        let named = format!("`{selector} dir fwd action block priority 0`");
        ensure!(event.text(key::SUMMARY).contains(&named), "{event}");
        remedy::apply(&event, "xfrm policy get", &lab.router)?;
        remedy::apply(&event, "xfrm policy delete", &lab.router)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, 9998))?);
        story.end()?;
    }
    Ok(())
}

#[test]
fn a_policy_demands_what_did_not_come_encrypted() -> Result<()> {
    require!(XFRM);
    for family in Family::BOTH {
        let lab = topology::router()?;
        let (source, destination) = family.pick(("10.99.1.2", "10.99.2.2"), ("fd99:1::2", "fd99:2::2"));
        let policy = format!(
            "src {source} dst {destination} dir in tmpl src {source} dst {destination} proto esp mode transport"
        );
        ip(&lab.server, &format!("xfrm policy add {policy}"))?;
        let mut story = Story::of(&lab.server)?;
        let port = SERVER.port(family, 9999);
        let _socket = lab.server.run(|| Ok(std::net::UdpSocket::bind(port)?))?;
        let sent = lab.client.run(|| udp::send(port, 1, 20))?;
        let wanted = Expect::drop("XFRM_POLICY").problem().cause("ipsec").flow(&sent.flow);
        let event = story.names(wanted.netns(&lab.server)?, 1)?;
        ensure!(event.text(key::SUMMARY).ends_with("and it came in the clear"), "{event}");
        remedy::apply(&event, "xfrm policy delete", &lab.server)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, 9998))?);
        story.end()?;
    }
    Ok(())
}
