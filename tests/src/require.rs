//! What a story needs of the kernel. It is tried, not looked up; where it does not work the story is skipped with a
//! stated reason, unless this kernel is new enough and built with it: then that is a failure.

use std::io::Write as _;

use anyhow::{Result, bail};

use crate::kernel;
use crate::netns::NetNs;

/// One capability of a kernel.
#[derive(Debug)]
pub struct Feature {
    pub name: &'static str,
    /// The first mainline release that has it.
    since: (u32, u32),
    /// The build option behind it.
    option: &'static str,
    /// Succeeds in a fresh namespace where the feature works.
    trial: &'static str,
}

pub const BRIDGE: Feature =
    Feature { name: "bridges", since: (2, 6), option: "CONFIG_BRIDGE", trial: "ip link add br0 type bridge" };

pub const BRIDGE_NETFILTER: Feature = Feature {
    name: "iptables for bridged packets",
    since: (2, 6),
    option: "CONFIG_BRIDGE_NETFILTER",
    trial: "ip link add br0 type bridge && test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
};

pub const VXLAN: Feature = Feature {
    name: "VXLAN",
    since: (3, 7),
    option: "CONFIG_VXLAN",
    trial: "ip link add vx1 type vxlan id 1 local 127.0.0.1 dstport 4789",
};

pub const TOKEN_BUCKET: Feature = Feature {
    name: "the tbf queueing discipline",
    since: (2, 6),
    option: "CONFIG_NET_SCH_TBF",
    trial: "ip link add v0 type veth peer v1 && tc qdisc add dev v0 root tbf rate 8kbit burst 1540 limit 3000",
};

pub const NFT_INGRESS: Feature = Feature {
    name: "nftables at ingress of the inet family",
    since: (5, 10),
    option: "CONFIG_NETFILTER_INGRESS",
    trial: "nft 'table inet t { chain c { type filter hook ingress device lo priority 0; }; }'",
};

pub const NFT_EGRESS: Feature = Feature {
    name: "nftables at egress",
    since: (5, 16),
    option: "CONFIG_NETFILTER_EGRESS",
    trial: "nft 'table netdev t { chain c { type filter hook egress device lo priority 0; }; }'",
};

pub const XFRM: Feature = Feature {
    name: "IPsec policies",
    since: (2, 6),
    option: "CONFIG_XFRM_USER",
    trial: "ip xfrm policy add src 192.0.2.1/32 dst 192.0.2.2/32 dir fwd action block",
};

pub const TUN: Feature =
    Feature { name: "tun devices", since: (2, 6), option: "CONFIG_TUN", trial: "ip tuntap add tun0 mode tun" };

pub const TCX: Feature =
    Feature { name: "BPF programs at tc (tcx)", since: (6, 6), option: "CONFIG_NET_XGRESS", trial: "true" };

pub const CLS_BPF: Feature = Feature {
    name: "BPF programs as tc filters",
    since: (4, 5),
    option: "CONFIG_NET_CLS_BPF",
    trial: "tc qdisc add dev lo clsact && tc filter add dev lo ingress bpf da bytecode '1,6 0 0 0'",
};

pub const CGROUP_BPF: Feature = Feature {
    name: "BPF programs of cgroups",
    since: (4, 10),
    option: "CONFIG_CGROUP_BPF",
    trial: "grep -q ' cgroup2 ' /proc/self/mounts",
};

/// What the development kernel was built without, and the packaged ones have as modules.
pub const MATCHALL: Feature = Feature {
    name: "tc filters for all packets (matchall) with an action",
    since: (4, 8),
    option: "CONFIG_NET_CLS_MATCHALL",
    trial: "tc qdisc add dev lo clsact && tc filter add dev lo ingress matchall action drop",
};

pub const FLOWER: Feature = Feature {
    name: "tc filters by keys (flower) with an action",
    since: (4, 5),
    option: "CONFIG_NET_CLS_FLOWER",
    trial: "tc qdisc add dev lo clsact && tc filter add dev lo ingress protocol ip flower ip_proto udp action drop",
};

pub const U32: Feature = Feature {
    name: "tc filters by offset (u32) with an action",
    since: (4, 5),
    option: "CONFIG_NET_ACT_GACT",
    trial: "tc qdisc add dev lo clsact &&
            tc filter add dev lo ingress protocol ip u32 match ip dport 9 0xffff action drop",
};

pub const NETEM: Feature = Feature {
    name: "the netem queueing discipline",
    since: (2, 6),
    option: "CONFIG_NET_SCH_NETEM",
    trial: "tc qdisc add dev lo root netem loss 100%",
};

pub const FQ_CODEL: Feature = Feature {
    name: "the fq_codel queueing discipline",
    since: (3, 5),
    option: "CONFIG_NET_SCH_FQ_CODEL",
    trial: "tc qdisc add dev lo root fq_codel limit 1",
};

pub const BRIDGE_VLANS: Feature = Feature {
    name: "VLANs of bridge ports",
    since: (3, 9),
    option: "CONFIG_BRIDGE_VLAN_FILTERING",
    trial: "ip link add br0 type bridge vlan_filtering 1 && bridge vlan show",
};

/// Whether the story can be told here; says why not.
pub fn usable(feature: &Feature) -> Result<bool> {
    let (since, running) = (feature.since, kernel::release()?);
    let trial = if running < since {
        Err(anyhow::anyhow!("it came with {}.{}, this is {}.{}", since.0, since.1, running.0, running.1))
    } else {
        NetNs::new("try")?.exec(feature.trial)
    };
    let Err(error) = trial else { return Ok(true) };
    if running >= since && kernel::configured(feature.option) != Some(false) {
        bail!("{} should work on this kernel ({} is not off): {error:#}", feature.name, feature.option);
    }
    skip(&format!("no {}: {error:#}", feature.name))?;
    Ok(false)
}

/// Whether the kernel knows a drop reason that came with release `since`; says so if not.
pub fn reason(name: &str, since: (u32, u32)) -> Result<bool> {
    if kernel::knows_reason(name)? {
        return Ok(true);
    }
    let running = kernel::release()?;
    anyhow::ensure!(
        running < since,
        "{name} came with {since:?} and this is {running:?}, but its BTF has no such name"
    );
    skip(&format!("{name} came with {}.{}", since.0, since.1))?;
    Ok(false)
}

/// Says that the test is skipped, past the capture of its harness: a skip that nobody sees is a test that nobody runs.
pub fn skip(why: &str) -> Result<()> {
    let thread = std::thread::current();
    Ok(writeln!(std::io::stderr(), "skipped {}: {why}", thread.name().unwrap_or("test"))?)
}

/// Ends the test with success, and a line that says why, where the kernel lacks a feature.
#[macro_export]
macro_rules! require {
    ($($feature:ident),+) => {
        $(if !$crate::require::usable(&$crate::require::$feature)? {
            return Ok(());
        })+
    };
}
