//! A node in a cloud: the internet, a router that can do what clouds do, a node with pods and a Service.
//!
//! Rules: what the cloud does is done in the cloud's own namespace, by a [`Fault`] that counts its packets and ends with its
//! guard: a test proves that it happened. It is no drop that this machine's kernel tells of: a rule of nftables marks the
//! packet, and a filter of tc takes it away where it would leave (`TC_ACT_STOLEN`, `sch_handle_egress`, net/core/dev.c, 6.18).

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use crate::family::{Dual, Family};
use crate::firewall::{nft, nft_counter};
use crate::netns::NetNs;
use crate::sysctl;
use crate::topology::{addressed, default_route, dual, host, ip, reach, wire};
use crate::traffic::Mac;
use crate::traffic::server::Refuser;

/// A client on the internet.
pub const OUTSIDE: Dual = outside(2);
/// Servers on the internet; the first one resolves names as well. Nobody there sends from these by himself.
pub const SERVERS: [Dual; 3] = [outside(11), outside(12), outside(13)];
/// The node's address on its first uplink `n0`.
pub const NODE: Dual = inside(11, 2);
/// The pods' addresses; each pod has a veth `vN` on the node, N from 1. The last one is for a pod that comes later.
pub const PODS: [Dual; 3] = [inside(12, 2), inside(13, 2), inside(14, 2)];
/// The node's address on its second uplink `n1` ([`Cloud::second_uplink`]).
pub const NODE_2: Dual = inside(16, 2);
/// The Service's address.
pub const VIP: Dual = inside(20, 9);

const CLOUD_I: Dual = outside(1);
const CLOUD_N: Dual = inside(11, 1);
const CLOUD_M: Dual = inside(16, 1);
const POD_NETS: std::ops::Range<u8> = 12..15;

/// 10.99.NET.HOST, and fd99:NET::HOST with the same digits.
const fn inside(net: u8, host: u8) -> Dual {
    const fn digits(number: u8) -> u16 {
        (number / 10 * 16 + number % 10) as u16
    }
    dual([10, 99, net, host], [0xfd99, digits(net), 0, 0, 0, 0, 0, digits(host)])
}

/// Addresses that are nobody's and no private ones (RFC 5737, RFC 3849).
const fn outside(host: u8) -> Dual {
    dual([203, 0, 113, host], [0x2001, 0xdb8, 0, 0, 0, 0, 0, host as u16])
}

const fn mac(net: u8, host: u8) -> Mac {
    [2, 0x77, 0, 0, net, host]
}

/// What is marked with this leaves the cloud for nowhere.
const TAKEN: u32 = 0xdead;

/// ```text
/// internet i0 203.0.113.2 .11 .12 .13 -- ci 203.0.113.1  cloud  cn 10.99.11.1 -- n0 10.99.11.2  node  v1 10.99.12.1 -- eth0 10.99.12.2  p1
///                                                                                                   v2 10.99.13.1 -- eth0 10.99.13.2  p2
/// ```
///
/// What pods send out by `n0` is masqueraded; the internet reaches pods and the Service at [`VIP`] through the node.
#[derive(Debug)]
pub struct Cloud {
    pub internet: NetNs,
    pub cloud: NetNs,
    pub node: NetNs,
    pub pods: [NetNs; 2],
    /// For names of tables.
    made: AtomicU32,
}

/// Builds it and waits until all ends reach each other.
pub fn cloud() -> Result<Cloud> {
    let (internet, cloud, node) = (host("i")?, router("x")?, router("n")?);
    wire((&internet, "i0", mac(10, 2)), (&cloud, "ci", mac(10, 1)))?;
    wire((&cloud, "cn", mac(11, 1)), (&node, "n0", mac(11, 2)))?;
    let more: String = SERVERS
        .map(|Dual { v4, v6 }| {
            format!("address add {v4}/24 dev i0\naddress add {v6}/64 dev i0 nodad preferred_lft 0\n")
        })
        .concat();
    ip(&cloud, &(addressed("ci", CLOUD_I) + &addressed("cn", CLOUD_N) + &routes_to_the_node()))?;
    ["ci", "cn"].iter().try_for_each(|device| take_marked(&cloud, device))?;
    ip(&internet, &(addressed("i0", OUTSIDE) + &more + &default_route(CLOUD_I)))?;
    ip(&node, &(addressed("n0", NODE) + &default_route(CLOUD_N)))?;
    let pods = [attach_pod(&node, 0)?, attach_pod(&node, 1)?];
    nft(&node, &translation())?;
    for (pod, address) in pods.iter().zip(PODS) {
        reach(&internet, address)?;
        reach(pod, SERVERS[0])?;
    }
    Ok(Cloud { internet, cloud, node, pods, made: AtomicU32::new(0) })
}

/// Forwards, and takes packets from wherever they come.
fn router(role: &str) -> Result<NetNs> {
    let namespace = host(role)?;
    let routing = ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"].map(|name| (name, "1"));
    let loose = ["net/ipv4/conf/all/rp_filter", "net/ipv4/conf/default/rp_filter"].map(|name| (name, "0"));
    sysctl::set_all(&namespace, &[routing, loose].concat())?;
    Ok(namespace)
}

/// Packets with the mark [`TAKEN`] do not leave by a device. Classic BPF: load `skb->mark` (`SKF_AD_OFF + SKF_AD_MARK`),
/// compare; `TC_ACT_STOLEN` is 4, `TC_ACT_UNSPEC` is -1.
fn take_marked(cloud: &NetNs, device: &str) -> Result<()> {
    let program = format!("4,32 0 0 4294963220,21 0 1 {TAKEN},6 0 0 4,6 0 0 4294967295");
    let add = format!("tc filter add dev {device} egress bpf da bytecode \"{program}\"");
    cloud.exec(&format!("tc qdisc add dev {device} clsact && {add}")).map(drop)
}

fn routes_to_the_node() -> String {
    let pod = |net| format!("route add 10.99.{net}.0/24 via {}\nroute add fd99:{net}::/64 via {}\n", NODE.v4, NODE.v6);
    let pods = POD_NETS.map(pod).collect::<Vec<_>>().concat();
    pods + &format!("route add {} via {}\nroute add {} via {}\n", VIP.v4, NODE.v4, VIP.v6, NODE.v6)
}

/// As kube-proxy and a CNI plugin have it: traffic of pods that leaves the node gets the node's address.
fn translation() -> String {
    let table = |family: &str, nets: &str| {
        format!(
            "table {family} kube {{
                chain services {{ type nat hook prerouting priority -100; }}
                chain local {{ type nat hook output priority -100; }}
                chain post {{ type nat hook postrouting priority 100; oifname n0 {family} saddr {{ {nets} }} masquerade; }}
            }}\n"
        )
    };
    let nets =
        |prefix: &str, end: &str| POD_NETS.map(|net| format!("{prefix}{net}{end}")).collect::<Vec<_>>().join(", ");
    table("ip", &nets("10.99.", ".0/24")) + &table("ip6", &nets("fd99:", "::/64"))
}

fn attach_pod(node: &NetNs, number: u8) -> Result<NetNs> {
    let pod = host(&format!("p{}", number + 1))?;
    let (name, net) = (format!("v{}", number + 1), POD_NETS.start + number);
    wire((node, &name, mac(net, 1)), (&pod, "eth0", mac(net, 2)))?;
    ip(node, &addressed(&name, inside(net, 1)))?;
    ip(&pod, &(addressed("eth0", inside(net, 2)) + &default_route(inside(net, 1))))?;
    Ok(pod)
}

impl Cloud {
    /// A pod that comes later: the last of [`PODS`], behind `v3`.
    pub fn third_pod(&self) -> Result<NetNs> {
        let pod = attach_pod(&self.node, 2)?;
        reach(&pod, SERVERS[0])?;
        Ok(pod)
    }

    /// The Service: TCP connections to a port of [`VIP`] go to a port of a pod (0 or 1).
    pub fn service(&self, port: u16, pod: usize, target: u16) -> Result<()> {
        let Dual { v4, v6 } = PODS[pod];
        let rules = ["services", "local"].map(|chain| {
            format!(
                "add rule ip kube {chain} ip daddr {} tcp dport {port} dnat to {v4}:{target}
                 add rule ip6 kube {chain} ip6 daddr {} tcp dport {port} dnat to [{v6}]:{target}\n",
                VIP.v4, VIP.v6
            )
        });
        nft(&self.node, &rules.concat())
    }

    /// A second uplink `n1` of the node, with a default route that is never the best one.
    pub fn second_uplink(&self) -> Result<()> {
        wire((&self.cloud, "cm", mac(16, 1)), (&self.node, "n1", mac(16, 2)))?;
        ip(&self.cloud, &addressed("cm", CLOUD_M))?;
        let Dual { v4, v6 } = CLOUD_M;
        let routes = format!("route add default via {v4} metric 4000\nroute add default via {v6} metric 4000\n");
        ip(&self.node, &(addressed("n1", NODE_2) + &routes))?;
        reach(&self.node, CLOUD_M)
    }

    /// The cloud sends what is for the node's first address by the second uplink.
    pub fn answers_by_second_uplink(&self) -> Result<()> {
        let routes = format!("route add {} via {}\nroute add {} via {}\n", NODE.v4, NODE_2.v4, NODE.v6, NODE_2.v6);
        ip(&self.cloud, &routes)
    }

    /// Takes away in silence what passes the cloud and matches, in terms of nftables: `iifname ci tcp dport 80`.
    pub fn swallow(&self, what: &str) -> Result<Fault<'_>> {
        self.fault("filter", "forward", 0, &format!("{what} counter meta mark set {TAKEN}"))
    }

    /// One address on the internet that nothing comes back from, in both families.
    pub fn dead(&self, address: Dual) -> Result<[Fault<'_>; 2]> {
        Ok([self.swallow(&format!("ip daddr {}", address.v4))?, self.swallow(&format!("ip6 daddr {}", address.v6))?])
    }

    /// The same, and says "administratively prohibited" to who sent it. Only for TCP.
    pub fn prohibit(&self, port: u16) -> Result<(Fault<'_>, Refuser)> {
        Ok((self.swallow(&format!("tcp dport {port}"))?, Refuser::start(&self.cloud, "cn", CLOUD_N, port)?))
    }

    /// Gives what matches and goes to the internet the cloud's own address and one of these ports. When no port is left, new
    /// connections are swallowed.
    pub fn translate(&self, what: &str, ports: &RangeInclusive<u16>) -> Result<[Fault<'_>; 2]> {
        let (first, last) = (ports.start(), ports.end());
        let rule = format!("oifname ci {what} meta mark != {TAKEN} counter masquerade to :{first}-{last}");
        let translated = self.fault("nat", "postrouting", 100, &rule)?;
        let full = format!("oifname ci {what} ct state new limit rate over 1/day burst {} packets", ports.len());
        Ok([translated, self.swallow(&full)?])
    }

    /// Takes away packets of more than so many bytes (IP header and all).
    pub fn swallow_larger_than(&self, bytes: u32) -> Result<Fault<'_>> {
        self.swallow(&format!("meta length > {bytes}"))
    }

    fn fault(&self, kind: &str, hook: &str, priority: i32, rule: &str) -> Result<Fault<'_>> {
        let table = format!("inet fault{}", self.made.fetch_add(1, Ordering::Relaxed));
        let chain = format!("chain c {{ type {kind} hook {hook} priority {priority}; {rule}; }}");
        nft(&self.cloud, &format!("table {table} {{ {chain}; }}"))
            .with_context(|| format!("the cloud can't {rule}"))?;
        Ok(Fault { namespace: &self.cloud, table })
    }
}

/// Something that the cloud does to packets, until it is dropped.
#[derive(Debug)]
pub struct Fault<'a> {
    namespace: &'a NetNs,
    table: String,
}

impl Fault<'_> {
    /// How many packets it was done to; for a translation: connections.
    pub fn packets(&self) -> Result<u64> {
        Ok(nft_counter(self.namespace, &format!("{} c", self.table))?.packets)
    }
}

impl Drop for Fault<'_> {
    fn drop(&mut self) {
        if let Err(error) = nft(self.namespace, &format!("delete table {}", self.table)) {
            eprintln!("the cloud goes on with {}: {error:#}", self.table);
        }
    }
}

/// The family's word in nftables rules.
pub const fn nft_family(family: Family) -> &'static str {
    match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    }
}
