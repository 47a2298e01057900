//! A queue is full, or a device takes nothing: the queue or the other end is named, and what is proposed helps.

use anyhow::{Context as _, Result};
use tracer_tests::event::{Event, key};
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, ROUTER_1, ROUTER_2, Router, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Story, eventually, remedy, require, sysctl};

const BUCKET: &str = "tc qdisc add dev {dev} root handle 8001: tbf rate 8kbit burst 1540 limit 3000";
const CLASSES: &str = "tc qdisc add dev c0 root handle 1: htb default 1 &&
     tc class add dev c0 parent 1: classid 1:1 htb rate 8kbit burst 1500 &&
     tc qdisc add dev c0 parent 1:1 handle 8002: pfifo limit 1";

/// Packets that a queue dropped, by its own count.
pub(crate) fn dropped(namespace: &NetNs, interface: &str, kind: &str) -> Result<u64> {
    let shown = namespace.exec(&format!("tc -s -j qdisc show dev {interface}"))?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    let queues = shown.as_array().context("no list")?;
    let queue = queues.iter().find(|queue| queue["kind"] == kind).with_context(|| format!("no {kind} in {shown}"))?;
    queue["drops"].as_u64().with_context(|| format!("no drops in {queue}"))
}

fn wanted(namespace: &NetNs, interface: &str, cause: &str) -> Result<Expect> {
    Expect::drop("QDISC_DROP").cause(cause).problem().hook("qdisc").interface(interface).netns(namespace)
}

/// Nobody asks for a neighbour again: the questions and answers would meet the full queue too.
fn acquainted(lab: &Router) -> Result<()> {
    for family in Family::BOTH {
        let hosts = [
            (&lab.client, "c0", ROUTER_1, "02:77:00:00:01:01"),
            (&lab.router, "r1", CLIENT, "02:77:00:00:01:02"),
            (&lab.router, "r2", SERVER, "02:77:00:00:02:02"),
            (&lab.server, "s0", ROUTER_2, "02:77:00:00:02:01"),
        ];
        for (host, device, other, mac) in hosts {
            let other = other.ip(family);
            host.exec(&format!("ip neighbour replace {other} lladdr {mac} dev {device} nud permanent"))?;
        }
    }
    Ok(())
}

/// Waits until a device takes packets: a carrier that came is noticed up to a second later.
pub(crate) fn runs(namespace: &NetNs, device: &str) -> Result<()> {
    reaches(namespace, device, "UP|UNKNOWN")
}

/// Waits until a device takes no packets: so is a carrier that went.
fn stops(namespace: &NetNs, device: &str) -> Result<()> {
    reaches(namespace, device, "DOWN|LOWERLAYERDOWN")
}

fn reaches(namespace: &NetNs, device: &str, states: &str) -> Result<()> {
    until(namespace, &format!("ip -o link show dev {device} | grep -qE 'state ({states}) '"))
}

/// Repeats a command until it succeeds.
fn until(namespace: &NetNs, command: &str) -> Result<()> {
    eventually(command, || Ok(namespace.exec(command).is_ok()))
}

fn remedies(event: &Event, parts: &[&str]) {
    let remedies = event.texts(key::REMEDY);
    for part in parts {
        assert!(remedies.iter().any(|remedy| remedy.contains(part)), "no {part} in {remedies:?}");
    }
}

/// Ten large datagrams meet the queue `kind` of `namespace`; the longer queue that is proposed takes as many, and
/// without the queue they arrive.
fn is_full(setup: &str, router: bool, kind: &str, names: &[&str], undo: &str) -> Result<()> {
    require!(TOKEN_BUCKET);
    for family in Family::BOTH {
        let lab = topology::router()?;
        acquainted(&lab)?;
        let (namespace, device) = if router { (&lab.router, "r2") } else { (&lab.client, "c0") };
        namespace.exec(&setup.replace("{dev}", device))?;
        let mut story = Story::of(namespace)?;
        let ten_more = || lab.client.run(|| udp::send(SERVER.port(family, 9999), 10, 1000));
        let sent = ten_more()?;
        let drops = dropped(namespace, device, kind)?;
        let event = story.names(wanted(namespace, device, "qdisc")?.flow(&sent.flow).sure("derived"), drops)?;
        for name in names {
            event.says(key::SUMMARY, &name.replace("{dev}", device))?;
        }
        event.says(key::EVIDENCE, &format!("qdisc {kind}"))?;
        remedies(&event, &["tc -s qdisc show dev", "tc qdisc change dev", "tc qdisc del dev"]);

        remedy::apply(&event, "tc qdisc change dev", namespace)?;
        let before = dropped(namespace, device, kind)?;
        ten_more()?;
        assert_eq!(dropped(namespace, device, kind)?, before, "the longer queue takes them");
        // Emptying a queue is no drop of this flow's packets by a full queue, but it is seen: so it ends here.
        story.end()?;

        namespace.exec(undo).or_else(|_| remedy::apply(&event, "tc qdisc del", namespace))?;
        let mut again = Story::of(namespace)?;
        again.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        again.end()?;
    }
    Ok(())
}

#[test]
fn a_token_bucket_of_the_sender() -> Result<()> {
    let says = ["the tbf qdisc 8001: of c0 (rate 8 kbit/s, limit 3000 bytes) ", "full: ", "packets dropped so far"];
    is_full(BUCKET, false, "tbf", &says, "false")
}

#[test]
fn a_token_bucket_of_a_router() -> Result<()> {
    let says = ["the tbf qdisc 8001: of r2 (rate 8 kbit/s, limit 3000 bytes) "];
    is_full(BUCKET, true, "tbf", &says, "false")
}

#[test]
fn a_queue_in_a_class() -> Result<()> {
    let says = ["the pfifo qdisc 8002: of c0 (limit 1 packet, in class 1:1 with 8 kbit/s) "];
    is_full(CLASSES, false, "pfifo", &says, "tc qdisc del dev c0 root")
}

/// A later reading has the one before to compare with; one that would cost too much is not made, so a few are waited for.
#[test]
fn a_counter_that_rose() -> Result<()> {
    require!(TOKEN_BUCKET);
    let lab = topology::router()?;
    acquainted(&lab)?;
    lab.client.exec(&BUCKET.replace("{dev}", "c0"))?;
    let mut story = Story::of(&lab.client)?;
    let mut before = 0;
    for port in 9000..9050 {
        let sent = lab.client.run(|| udp::send(SERVER.port(Family::V4, port), 10, 1000))?;
        let drops = dropped(&lab.client, "c0", "tbf")?;
        let event = story.names(wanted(&lab.client, "c0", "qdisc")?.flow(&sent.flow), drops - before)?;
        before = drops;
        if event.text(key::CONFIDENCE) == "certain" {
            event.says(key::EVIDENCE, "more than when it was read before")?;
            return story.end().map(drop);
        }
    }
    anyhow::bail!("a counter rose with each drop, and none was taken as proof");
}

/// What waited in a queue that is removed is no problem of the queue.
#[test]
fn a_queue_that_is_removed() -> Result<()> {
    require!(TOKEN_BUCKET);
    let lab = topology::router()?;
    acquainted(&lab)?;
    lab.client.exec("tc qdisc add dev c0 root tbf rate 1kbit burst 1540 limit 30000")?;
    let mut story = Story::of(&lab.client)?;
    // The first uses up the burst, the others wait for many seconds.
    let sent = lab.client.run(|| udp::send(SERVER.port(Family::V4, 9999), 3, 1000))?;
    lab.client.exec("tc qdisc del dev c0 root")?;
    let emptied = Expect::any().with(key::KIND, "drop").with(key::SEVERITY, "expected").netns(&lab.client)?;
    let event = story.names(emptied.flow(&sent.flow).cause("qdisc"), 2)?;
    event.says(key::SUMMARY, "the queue of c0 was emptied")?;
    story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}

#[test]
fn packets_without_a_class() -> Result<()> {
    require!(TOKEN_BUCKET);
    for family in Family::BOTH {
        let lab = topology::router()?;
        lab.client.exec("tc qdisc add dev c0 root handle 1: htb default 30 direct_qlen 0")?;
        let mut story = Story::of(&lab.client)?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 9999), 2, 20))?;
        let event = story.names(wanted(&lab.client, "c0", "qdisc")?.flow(&sent.flow).sure("derived"), 2)?;
        event.says(key::SUMMARY, "the htb qdisc 1: of c0 has no class for it")?;
        event.says(key::SUMMARY, "its default class 1:30 does not exist")?;
        event.says(key::SUMMARY, "direct_qlen 0")?;
        remedy::apply(&event, "tc qdisc del dev c0 root", &lab.client)?;
        story.control(udp::deliver(&lab.client, &lab.server, SERVER.port(family, CONTROL_PORT))?);
        story.end()?;
    }
    Ok(())
}

#[test]
fn the_other_end_of_a_cable_is_down() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        // The route stays for as long as its device is up.
        let _stay = sysctl::set(&lab.client, "net/ipv4/conf/c0/ignore_routes_with_linkdown", "0")?;
        lab.client.exec(&format!(
            "ip neighbour replace {} lladdr 02:77:00:00:02:02 dev c0 nud permanent",
            NEIGHBOUR.ip(family)
        ))?;
        let mut story = Story::of(&lab.client)?;
        lab.server.exec("ip link set s0 down")?;
        stops(&lab.client, "c0")?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, 9999), 2, 20))?;
        let event = story.names(wanted(&lab.client, "c0", "device")?.flow(&sent.flow).sure("derived"), 2)?;
        let name = lab.server.name();
        event.says(key::SUMMARY, &format!("c0 has no carrier: its other end s0 in {name} is down"))?;
        event.says(key::EVIDENCE, "c0 (veth) is up without a carrier")?;
        remedy::apply(&event, "ip link set dev s0 up", &lab.server)?;
        runs(&lab.client, "c0")?;
        runs(&lab.server, "s0")?;
        // IPv6 loses its addresses with the device, and one that is set while it comes up may be without its route.
        let (address, length) = (NEIGHBOUR.ip(family), family.pick(24, 64));
        until(
            &lab.server,
            &format!(
                "ip route get {address} | grep -q ^local || {{
                    ip address del {address}/{length} dev s0; ip address add {address}/{length} dev s0 nodad; false;
                }}"
            ),
        )?;
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
        story.end()?;
    }
    Ok(())
}

/// The question for the next hop is what is lost then.
#[test]
fn the_other_end_is_down_and_the_neighbour_unknown() -> Result<()> {
    let lab = topology::pair()?;
    let mut story = Story::of(&lab.client)?;
    lab.client.exec("ip neighbour flush dev c0")?;
    lab.server.exec("ip link set s0 down")?;
    stops(&lab.client, "c0")?;
    // The sender asks the first time, a timer would later.
    let once = sysctl::set(&lab.client, "net/ipv4/neigh/c0/mcast_solicit", "1")?;
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 9999), 1, 20))?;
    let wanted = wanted(&lab.client, "c0", "device")?.with(key::PROTOCOL, "arp").sure("derived");
    let event = story.names(wanted, 1)?;
    let entry = || lab.client.exec(&format!("ip neighbour show {} dev c0", NEIGHBOUR.v4));
    eventually("the kernel asks no more", || Ok(entry()?.contains("FAILED")))?;
    drop(once);
    event.says(key::SUMMARY, &format!("its other end s0 in {} is down", lab.server.name()))?;
    remedy::apply(&event, "ip link set dev s0 up", &lab.server)?;
    runs(&lab.client, "c0")?;
    runs(&lab.server, "s0")?;
    story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(Family::V4, CONTROL_PORT))?);
    story.end().map(drop)
}
