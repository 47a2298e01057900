//! What only kernels with modules have: actions of tc filters, lost packets by netem, fair queues, and bridges that keep
//! VLANs apart.

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::require::Feature;
use tracer_tests::story::CONTROL_PORT;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR, Pair};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, Story, kernel, remedy, require};

use crate::qdisc::dropped;

const PORT: u16 = 9999;

/// A filter drops the client's datagrams; it is named as tc shows it, with its own count, and gone when it is deleted as
/// proposed.
fn filter_drops(
    feature: &Feature,
    filter: impl Fn(Family) -> &'static str,
    shown: impl Fn(Family) -> String,
) -> Result<()> {
    if !require::usable(feature)? {
        return Ok(());
    }
    for (at_server, interface, direction, reason) in
        [(true, "s0", "ingress", "TC_INGRESS"), (false, "c0", "egress", "TC_EGRESS")]
    {
        for family in Family::BOTH {
            let lab = topology::pair()?;
            let namespace = if at_server { &lab.server } else { &lab.client };
            namespace.exec(&format!("tc qdisc add dev {interface} clsact"))?;
            namespace.exec(&format!("tc filter add dev {interface} {direction} {}", filter(family)))?;
            let mut story = Story::of(namespace)?;
            let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 3, 20))?;
            let sure: &[&str] = if kernel::tells_reasons() { &["derived"] } else { &["derived", "inferred"] };
            let wanted = Expect::drop(reason).cause("bpf_program").problem().netns(namespace)?;
            let wanted = wanted.with_any(key::CONFIDENCE, sure.iter().copied()).flow(&sent.flow);
            let event = story.names(wanted, 3)?;
            let named = format!("the tc filter protocol {} action drop", shown(family));
            event.says(key::SUMMARY, &format!("{named} at {interface} {direction} dropped it"))?;
            event.says(key::EVIDENCE, "the action drop of this filter has dropped ")?;
            ensure!(event.at(key::PROGRAM_ID).is_none(), "a filter without a program: {event}");
            remedy::apply(&event, "tc -s filter show", namespace)?;
            remedy::apply(&event, "tc filter del", namespace)?;
            story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
            story.end()?;
        }
    }
    Ok(())
}

#[test]
fn an_action_for_all_packets() -> Result<()> {
    let all = "pref 10 matchall action drop";
    filter_drops(&require::MATCHALL, |_| all, |_| "all pref 10 matchall handle 0x1".to_owned())
}

#[test]
fn an_action_of_a_flower_filter() -> Result<()> {
    let filter = |family: Family| {
        family.pick(
            "protocol ip pref 10 flower ip_proto udp dst_port 9999 action drop",
            "protocol ipv6 pref 10 flower ip_proto udp dst_port 9999 action drop",
        )
    };
    filter_drops(&require::FLOWER, filter, |family| format!("{} pref 10 flower handle 0x1", family.pick("ip", "ipv6")))
}

#[test]
fn an_action_of_a_u32_filter() -> Result<()> {
    let filter = |family: Family| {
        family.pick(
            "protocol ip pref 10 u32 match ip dport 9999 0xffff action drop",
            "protocol ipv6 pref 10 u32 match ip6 dport 9999 0xffff action drop",
        )
    };
    filter_drops(&require::U32, filter, |family| format!("{} pref 10 u32 handle 800::800", family.pick("ip", "ipv6")))
}

/// Two hosts that need not ask for each other: the questions and answers would meet the queue too.
fn acquainted(family: Family) -> Result<Pair> {
    let lab = topology::pair()?;
    let both = [(&lab.client, "c0", NEIGHBOUR, "02:77:00:00:02:02"), (&lab.server, "s0", CLIENT, "02:77:00:00:01:02")];
    for (host, device, other, mac) in both {
        let other = other.ip(family);
        host.exec(&format!("ip neighbour replace {other} lladdr {mac} dev {device} nud permanent"))?;
    }
    Ok(lab)
}

/// What a queue of `c0` drops.
fn wanted(lab: &Pair) -> Result<Expect> {
    // QDISC_OVERLIMIT in some kernels, QDISC_DROP in others that have both.
    let wanted = Expect::any().with(key::KIND, "drop").cause("qdisc").problem().hook("qdisc").interface("c0");
    wanted.netns(&lab.client)
}

#[test]
fn packets_that_netem_loses() -> Result<()> {
    require!(NETEM);
    for family in Family::BOTH {
        let lab = acquainted(family)?;
        lab.client.exec("tc qdisc add dev c0 root handle 8001: netem loss 100%")?;
        let mut story = Story::of(&lab.client)?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 3, 1000))?;
        let event = story.names(wanted(&lab)?.flow(&sent.flow), 3)?;
        event.says(key::SUMMARY, "the netem qdisc 8001: of c0 drops 100% of the packets on purpose")?;
        event.says(key::EVIDENCE, "qdisc netem 8001: root")?;
        remedy::apply(&event, "tc qdisc del dev c0 root", &lab.client)?;
        story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
        story.end()?;
    }
    Ok(())
}

/// A token bucket lets its fair queue wait.
#[test]
fn a_fair_queue_that_is_full() -> Result<()> {
    require!(FQ_CODEL);
    for family in Family::BOTH {
        let lab = acquainted(family)?;
        lab.client.exec(
            "tc qdisc add dev c0 root handle 1: tbf rate 8kbit burst 1540 limit 30000 &&
             tc qdisc add dev c0 parent 1: handle 8002: fq_codel limit 1",
        )?;
        let mut story = Story::of(&lab.client)?;
        let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 8, 1000))?;
        let drops = dropped(&lab.client, "c0", "fq_codel")?;
        let event = story.names(wanted(&lab)?.flow(&sent.flow), drops)?;
        event.says(key::SUMMARY, "the fq_codel qdisc 8002: of c0 (limit 1 packet")?;
        event.says(key::EVIDENCE, "it hangs below qdisc tbf 1: root")?;
        remedy::apply(&event, "tc qdisc change dev c0", &lab.client)?;
        let before = dropped(&lab.client, "c0", "fq_codel")?;
        lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 8, 1000))?;
        ensure!(dropped(&lab.client, "c0", "fq_codel")? == before, "the longer queue takes them");
        story.end()?;
        lab.client.exec("tc qdisc del dev c0 root")?;
        let mut again = Story::of(&lab.client)?;
        again.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
        again.end()?;
    }
    Ok(())
}

/// The VLAN of the port by which it came is not the one of the port by which it is to leave.
#[test]
fn a_bridge_that_keeps_vlans_apart() -> Result<()> {
    require!(BRIDGE_VLANS);
    for family in Family::BOTH {
        for refused_by in ["r1", "r2"] {
            let lab = topology::bridge()?;
            lab.bridge.exec(&format!(
                "ip link set br0 type bridge vlan_filtering 1 && bridge vlan del vid 1 dev {refused_by}"
            ))?;
            let mut story = Story::of(&lab.bridge)?;
            let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(family, PORT), 1, 20))?;
            // Newer kernels count a frame for no port as one without a target.
            let wanted = Expect::one_of(&["NOT_SPECIFIED", "NO_TX_TARGET"]).cause("device").problem();
            let wanted = wanted.interface("r1").netns(&lab.bridge)?;
            let event = story.names(wanted.flow(&sent.flow), 1)?;
            event.says(key::UNDECIDED, "br0 keeps VLANs apart")?;
            remedy::apply(&event, "bridge vlan show", &lab.bridge)?;
            lab.bridge.exec(&format!("bridge vlan add vid 1 dev {refused_by} pvid untagged"))?;
            story.control(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(family, CONTROL_PORT))?);
            story.end()?;
        }
    }
    Ok(())
}
