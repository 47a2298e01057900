//! A queue is full.

use anyhow::Result;
use tracer_tests::topology::{self, SERVER};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Story, require};

/// Where queues free what they do not take: 6.12 to 6.18, 5.10, 6.1, 7.2.
const FREED_IN: [&str; 5] =
    ["__dev_queue_xmit", "__dev_xmit_skb", "kfree_skb_list", "kfree_skb_list_reason", "__tcf_kfree_skb_list"];

/// A token bucket of two packets at `interface`.
fn tight(namespace: &NetNs, interface: &str) -> Result<()> {
    namespace.exec(&format!("tc qdisc add dev {interface} root tbf rate 8kbit burst 1540 limit 3000")).map(drop)
}

/// Packets that the queue dropped, by its own count.
fn dropped(namespace: &NetNs, interface: &str) -> Result<u64> {
    let shown = namespace.exec(&format!("tc -s -j qdisc show dev {interface} root"))?;
    let shown: serde_json::Value = serde_json::from_str(&shown)?;
    shown[0]["drops"].as_u64().ok_or_else(|| anyhow::anyhow!("no drops in {shown}"))
}

#[test]
fn of_the_sender() -> Result<()> {
    require!(TOKEN_BUCKET);
    for family in Family::BOTH {
        let lab = topology::router()?;
        tight(&lab.client, "c0")?;
        let mut story = Story::of(&lab.client)?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 9999), 10, 1000))?;
        let wanted =
            Expect::drop("QDISC_DROP").cause("qdisc").problem().hook("qdisc").interface("c0").netns(&lab.client)?;
        let drops = dropped(&lab.client, "c0")?;
        story.names(wanted.flow(&sent.flow).freed_in(&FREED_IN), drops)?;
        story.end()?;
    }
    Ok(())
}

#[test]
fn of_a_router() -> Result<()> {
    require!(TOKEN_BUCKET);
    for family in Family::BOTH {
        let lab = topology::router()?;
        tight(&lab.router, "r2")?;
        let mut story = Story::of(&lab.router)?;
        let sent = lab.client.run(|| udp::send(SERVER.port(family, 9999), 10, 1000))?;
        assert_eq!(sent.accepted, 10);
        let wanted =
            Expect::drop("QDISC_DROP").cause("qdisc").problem().hook("qdisc").interface("r2").netns(&lab.router)?;
        let drops = dropped(&lab.router, "r2")?;
        story.names(wanted.flow(&sent.flow).freed_in(&FREED_IN), drops)?;
        story.end()?;
    }
    Ok(())
}
