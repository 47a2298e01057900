//! Rules that drop what connection tracking calls INVALID: why it does, and what lets it through.

use std::io::Write as _;

use anyhow::{Context, Result, ensure};
use socket2::SockRef;
use tracer_tests::event::key;
use tracer_tests::firewall::{Backend, Chain, nft};
use tracer_tests::topology::{self, Router, SERVER};
use tracer_tests::traffic::frame::{self, ACK, SYN, Segment};
use tracer_tests::traffic::raw::Interface;
use tracer_tests::traffic::{Flow, tcp};
use tracer_tests::{Event, Expect, Family, Story, patience, remedy, sysctl};

use super::{arrives, ends, segment, send};

const RST: u8 = 4;
const PORT: u16 = 8080;
const INVALID: &str = "-m conntrack --ctstate INVALID -j DROP";

/// The drop of this flow by a rule of the router, because it is invalid.
fn wanted(lab: &Router, flow: &Flow) -> Result<Expect> {
    let wanted = Expect::drop("NETFILTER_DROP").problem().hook("forward").netns(&lab.router)?.flow(flow);
    Ok(wanted.cause("conntrack_invalid").sure("certain").with(key::RULE_NUMBER, 1))
}

/// With both ways that iptables has to ask for it.
fn rules(lab: &Router) -> Result<Vec<tracer_tests::firewall::Rule<'_>>> {
    let rule = |family| Chain::filter(&lab.router, Backend::Nft, family, "FORWARD").append(INVALID);
    Family::BOTH.into_iter().map(rule).collect()
}

fn setting(event: &Event, name: &str) -> Result<()> {
    let name = format!("net.netfilter.nf_conntrack_{name}");
    ensure!(event.text(key::SYSCTL_NAME) == name, "another setting than {name}: {event}");
    ensure!(event.texts(key::REMEDY)[0].contains(&format!("sysctl -w {name}=")), "it does not come first: {event}");
    Ok(())
}

#[test]
fn a_connection_that_is_taken_up_in_its_middle() -> Result<()> {
    let texts = [
        (Backend::Legacy, INVALID),
        (Backend::Nft, INVALID),
        (Backend::Legacy, "-m state --state INVALID,RELATED -j DROP"),
        (Backend::Nft, "-m conntrack ! --ctstate NEW,ESTABLISHED -j DROP"),
    ];
    for (backend, text) in texts {
        let lab = topology::router()?;
        for family in Family::BOTH {
            let _strict = sysctl::set(&lab.router, "net/netfilter/nf_conntrack_tcp_loose", "0")?;
            let _rule = Chain::filter(&lab.router, backend, family, "FORWARD").append(text)?;
            let mut story = Story::of(&lab.router)?;
            let stray =
                |port| segment(&lab, family, &Segment { ports: (port, PORT), flags: ACK, ..Segment::default() });
            let event = story.names(wanted(&lab, &stray(4001)?)?, 1)?;
            setting(&event, "tcp_loose")?;
            ensure!(event.text(key::SUMMARY).contains("INVALID: it is no SYN"), "{event}");
            event.says(key::EVIDENCE, "statistic invalid rose by 1 since the look before the drop")?;
            remedy::apply(&event, "tcp_loose=1", &lab.router)?;
            let mut wire = lab.server.run(|| Interface::listener("s0"))?;
            let passes = Segment { ports: (4002, PORT), flags: ACK, data: b"through", ..Segment::default() };
            story.control(segment(&lab, family, &passes)?);
            arrives(&mut wire, b"through")?;
            story.end()?;
        }
    }
    Ok(())
}

#[test]
fn rules_of_nft_and_chains_that_let_only_known_connections_pass() -> Result<()> {
    let chains = [
        "type filter hook forward priority 0; ct state invalid counter drop;",
        "type filter hook forward priority 0; ct state vmap { established : accept, related : accept, invalid : drop };",
        "type filter hook forward priority 0; ct state { new, established, related } accept; counter drop;",
    ];
    for (index, chain) in chains.iter().enumerate() {
        let lab = topology::router()?;
        nft(&lab.router, &format!("table inet t {{ chain c {{ {chain} }}; }}"))?;
        let _strict = sysctl::set(&lab.router, "net/netfilter/nf_conntrack_tcp_loose", "0")?;
        let mut story = Story::of(&lab.router)?;
        for family in Family::BOTH {
            let flow = segment(&lab, family, &Segment { ports: (4001, PORT), flags: ACK, ..Segment::default() })?;
            let number = if index == 2 { 2 } else { 1 };
            let wanted = Expect::drop("NETFILTER_DROP").hook("forward").netns(&lab.router)?.flow(&flow);
            let wanted = wanted.cause("conntrack_invalid").with(key::RULE_NUMBER, number);
            setting(&story.names(wanted, 1)?, "tcp_loose")?;
        }
        story.end()?;
    }
    Ok(())
}

/// A rule that would drop it in any state did not do it for that.
#[test]
fn a_rule_that_asks_for_no_state_stays_a_rule() -> Result<()> {
    let lab = topology::router()?;
    nft(
        &lab.router,
        "table inet t { chain c { type filter hook forward priority 0;
            tcp dport 8080 counter drop; ct state invalid counter drop; }; }",
    )?;
    let _strict = sysctl::set(&lab.router, "net/netfilter/nf_conntrack_tcp_loose", "0")?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let flow = segment(&lab, family, &Segment { ports: (4001, PORT), flags: ACK, ..Segment::default() })?;
        let wanted = Expect::drop("NETFILTER_DROP").netns(&lab.router)?.flow(&flow).cause("netfilter_rule");
        story.names(wanted.with(key::RULE_NUMBER, 1), 1)?;
    }
    story.end().map(drop)
}

/// Where a real connection stands, learnt from a segment of data on the wire.
fn learn(wire: &mut Interface, family: Family, source_port: u16, data: &[u8]) -> Result<(u32, u32)> {
    let tcp = 14 + family.pick(20, 40);
    let is_it = |frame: &[u8]| frame.get(tcp..tcp + 2) == Some(&source_port.to_be_bytes()[..]) && frame.ends_with(data);
    let frame = wire.receive(patience(), is_it)?.context("no data on the wire")?;
    let number = |at: usize| u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    Ok((number(tcp + 4).wrapping_add(data.len() as u32), number(tcp + 8)))
}

#[test]
fn numbers_outside_the_window() -> Result<()> {
    let cases = [(ACK, 100_000_000_u32, "tcp_be_liberal"), (RST, 0_u32.wrapping_sub(100), "tcp_ignore_invalid_rst")];
    for (flags, away, name) in cases {
        let lab = topology::router()?;
        let _rules = rules(&lab)?;
        for family in Family::BOTH {
            let _strict = sysctl::set(&lab.router, &format!("net/netfilter/nf_conntrack_{name}"), "0")?;
            let mut story = Story::of(&lab.router)?;
            let mut wire = lab.client.run(|| Interface::listener("c0"))?;
            let mut connection = tcp::connect(&lab.client, &lab.server, SERVER.port(family, PORT))?;
            connection.client.write_all(b"whydrop")?;
            let (next, acknowledged) = learn(&mut wire, family, connection.flow.source.port(), b"whydrop")?;
            // Its answer has passed the router.
            let mut answer = lab.client.run(|| Interface::listener("c0"))?;
            (&connection.server).write_all(b"answer")?;
            arrives(&mut answer, b"answer")?;
            let wrong = Segment {
                ports: (connection.flow.source.port(), PORT),
                flags,
                sequence: next.wrapping_add(away),
                acknowledged,
                options: &[],
                data: b"outside",
            };
            segment(&lab, family, &wrong)?;
            let event = story.names(wanted(&lab, &connection.flow)?, 1)?;
            setting(&event, name)?;
            ensure!(event.text(key::SUMMARY).contains("its connection stands in ESTABLISHED"), "{event}");
            remedy::apply(&event, &format!("{name}=1"), &lab.router)?;
            // The story's end counts the drops of this flow: still one.
            let mut server = lab.server.run(|| Interface::listener("s0"))?;
            segment(&lab, family, &Segment { data: b"let through", ..wrong })?;
            arrives(&mut server, b"let through")?;
            SockRef::from(&connection.server).set_linger(Some(std::time::Duration::ZERO))?;
            story.end()?;
        }
    }
    Ok(())
}

#[test]
fn an_answer_whose_question_went_another_way() -> Result<()> {
    let lab = topology::router()?;
    let _rules = rules(&lab)?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let flow = segment(&lab, family, &Segment { ports: (443, PORT), flags: SYN | ACK, ..Segment::default() })?;
        let event = story.names(wanted(&lab, &flow)?, 1)?;
        ensure!(event.text(key::SUMMARY).contains("asymmetric routing"), "{event}");
        remedy::apply(&event, "route get", &lab.router)?;
        let late = segment(&lab, family, &Segment { ports: (444, PORT), flags: RST, ..Segment::default() })?;
        let event = story.names(wanted(&lab, &late)?, 1)?;
        ensure!(
            event.text(key::SUMMARY).contains("a RST of a connection that is not in the table any more"),
            "{event}"
        );
    }
    story.end().map(drop)
}

#[test]
fn a_checksum_that_is_wrong() -> Result<()> {
    let lab = topology::router()?;
    let _rules = rules(&lab)?;
    for family in Family::BOTH {
        let _checked = sysctl::set(&lab.router, "net/netfilter/nf_conntrack_checksum", "1")?;
        let mut story = Story::of(&lab.router)?;
        let (source, destination) = ends(family);
        let wrong = |port, data: &[u8]| {
            let datagram = frame::udp(source, destination, (port, PORT), data);
            send(&lab, family, frame::UDP, &frame::corrupt(datagram, frame::UDP_CHECKSUM))?;
            Ok::<_, anyhow::Error>(Flow {
                protocol: "udp",
                source: (source, port).into(),
                destination: (destination, PORT).into(),
            })
        };
        let event = story.names(wanted(&lab, &wrong(5001, b"broken")?)?, 1)?;
        setting(&event, "checksum")?;
        ensure!(event.text(key::SUMMARY).contains("its checksum is 0x"), "{event}");
        let mut wire = lab.server.run(|| Interface::listener("s0"))?;
        remedy::apply(&event, "nf_conntrack_checksum=0", &lab.router)?;
        story.control(wrong(5002, b"still broken")?);
        arrives(&mut wire, b"still broken")?;
        story.end()?;
    }
    Ok(())
}

#[test]
fn an_error_about_a_connection_that_is_not_there() -> Result<()> {
    let lab = topology::router()?;
    let _rules = rules(&lab)?;
    let mut story = Story::of(&lab.router)?;
    for family in Family::BOTH {
        let (source, destination) = ends(family);
        // The server is told of a datagram that it never sent.
        let datagram = frame::udp(destination, source, (5353, PORT), b"never sent");
        let inner = match family {
            Family::V4 => frame::Ipv4::new(SERVER.v4, topology::CLIENT.v4, frame::UDP).build(&datagram),
            Family::V6 => frame::Ipv6::new(SERVER.v6, topology::CLIENT.v6, frame::UDP).build(&datagram),
        };
        let unreachable = frame::icmp(source, destination, family.pick(3, 1), 1, &[&[0; 4][..], &inner].concat());
        send(&lab, family, family.pick(frame::ICMP, frame::ICMPV6), &unreachable)?;
        let flow = Flow { protocol: family.icmp(), source: (source, 0).into(), destination: (destination, 0).into() };
        let event = story.names(wanted(&lab, &flow)?, 1)?;
        let about = format!("an ICMP error about udp {} > ", SERVER.port(family, 5353));
        ensure!(event.text(key::SUMMARY).contains(&about), "{event}");
    }
    story.end().map(drop)
}
