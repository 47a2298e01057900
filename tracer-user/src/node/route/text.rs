//! Routes as `ip route show` prints them (`print_route` of iproute2 6.1), on one line.
//!
//! Rule: names that iproute2 has built in; those that the files of `/etc/iproute2` add stay numbers, except for the
//! protocols that Debian's own files name.

use std::net::IpAddr;

use netlink_packet_route::route::RouteMetric;

use super::entry::{Entry, Hop, Prefix, USER_HZ};

/// Name of a device by its index.
pub type Names<'a> = &'a dyn Fn(u32) -> Option<String>;

/// `RTM_F_CLONED` is no route of a table.
const FLAGS: [(u32, &str); 11] = [
    (0x1, "dead"),
    (0x4, "onlink"),
    (0x2, "pervasive"),
    (0x8, "offload"),
    (0x40, "trap"),
    (0x100, "notify"),
    (0x10, "linkdown"),
    (0x20, "unresolved"),
    (0x4000, "rt_offload"),
    (0x8000, "rt_trap"),
    (0x2000_0000, "rt_offload_failed"),
];
/// Bits of `rtnh_flags`, which has eight.
const HOP_FLAGS: u32 = 0xff;
/// `RTPROT_BOOT` and `RT_SCOPE_UNIVERSE` are not printed.
const BOOT: u8 = 3;
const EVERYWHERE: u8 = 0;
/// Next hops of a multipath route that are printed.
const MOST_HOPS: usize = 8;

impl Entry {
    /// The line of `ip route show`, without the table.
    pub fn text(&self, names: Names<'_>) -> String {
        let mut words = Vec::new();
        words.extend((self.kind != super::entry::UNICAST).then(|| kind(self.kind)));
        words.push(self.destination.text("default"));
        words.extend(self.source.map(|source| format!("from {}", source.text("0/0"))));
        words.extend(self.nexthop.map(|number| format!("nhid {number}")));
        let only = self.hops.first().filter(|_| !self.is_multipath);
        words.extend(only.and_then(|hop| hop.encapsulation).map(|kind| format!("encap {kind}")));
        words.extend((self.tos != 0).then(|| format!("tos {:#04x}", self.tos)));
        if let Some(hop) = only {
            words.extend(hop.via.map(|via| self.via(via)));
            words.extend((hop.device != 0).then(|| device(hop.device, names)));
        }
        words.extend((self.protocol != BOOT).then(|| format!("proto {}", protocol(self.protocol))));
        words.extend((self.scope != EVERYWHERE).then(|| format!("scope {}", scope(self.scope))));
        words.extend(self.preferred_source.map(|source| format!("src {source}")));
        words.extend(self.metric.map(|metric| format!("metric {metric}")));
        words.extend(flags(self.flags));
        words.extend(only.and_then(|hop| hop.realm).map(realm));
        words.extend((self.expires != 0).then(|| format!("expires {}sec", self.expires / USER_HZ)));
        words.extend(metrics(&self.metrics));
        words.extend(self.preference.map(|preference| format!("pref {}", self::preference(preference))));
        if self.is_multipath {
            self.hops.iter().take(MOST_HOPS).for_each(|hop| self.next_hop(hop, names, &mut words));
            words.extend((self.hops.len() > MOST_HOPS).then(|| format!("… ({} next hops)", self.hops.len())));
        }
        words.join(" ")
    }

    /// The same without what it does for packets and how it fares: its metrics, marks and preference.
    pub(in crate::node) fn bare(&self, names: Names<'_>) -> String {
        let hops = self.hops.iter().map(|hop| Hop { flags: 0, encapsulation: None, ..hop.clone() });
        let bare = Self {
            flags: 0,
            nexthop: None,
            hops: hops.collect(),
            metrics: Vec::new(),
            preference: None,
            expires: 0,
            ..self.clone()
        };
        bare.text(names)
    }

    fn next_hop(&self, hop: &Hop, names: Names<'_>, words: &mut Vec<String>) {
        words.push("nexthop".to_owned());
        words.extend(hop.encapsulation.map(|kind| format!("encap {kind}")));
        words.extend(hop.via.map(|via| self.via(via)));
        words.extend(hop.realm.map(realm));
        words.push(device(hop.device, names));
        words.push(format!("weight {}", hop.weight));
        words.extend(flags(hop.flags & HOP_FLAGS));
    }

    fn via(&self, via: IpAddr) -> String {
        match via {
            IpAddr::V6(via) if !self.is_ipv6() => format!("via inet6 {via}"),
            via => format!("via {via}"),
        }
    }

    /// What `ip route del` (or `ip -6 route del`) needs to find this route and no other; device names are as they are,
    /// so they are to be quoted for a shell.
    pub fn key(&self, names: Names<'_>, quoted: impl Fn(&str) -> String) -> String {
        let mut words = Vec::new();
        words.extend((self.kind != super::entry::UNICAST).then(|| kind(self.kind)));
        words.push(self.destination.text("default"));
        words.extend(self.source.map(|source| format!("from {}", source.text("0/0"))));
        words.extend((self.tos != 0).then(|| format!("tos {:#04x}", self.tos)));
        if let Some(hop) = self.hops.first().filter(|_| !self.is_multipath && !self.refuses()) {
            words.extend(hop.via.map(|via| self.via(via)));
            let name = names(hop.device).filter(|_| hop.device != 0);
            words.extend(name.map(|name| format!("dev {}", quoted(&name))));
        }
        words.extend((self.table != MAIN).then(|| format!("table {}", table(self.table))));
        words.extend(self.metric.filter(|metric| *metric != 0).map(|metric| format!("metric {metric}")));
        words.join(" ")
    }
}

impl Prefix {
    /// As ip(8) prints it; `all` for the prefix of length 0.
    pub(super) fn text(&self, all: &str) -> String {
        match self.length {
            0 => all.to_owned(),
            _ if self.is_host() => self.address.to_string(),
            length => format!("{}/{length}", self.address),
        }
    }
}

/// `RT_TABLE_MAIN`.
pub(super) const MAIN: u32 = 254;

/// `RT_TABLE_LOCAL`.
pub(super) const LOCAL: u32 = 255;

/// A table's name, or its number.
pub fn table(number: u32) -> String {
    match number {
        LOCAL => "local".to_owned(),
        MAIN => "main".to_owned(),
        253 => "default".to_owned(),
        number => number.to_string(),
    }
}

/// The word for an `RTN_` value.
pub(super) fn kind(kind: u8) -> String {
    const KINDS: [&str; 11] = [
        "none",
        "unicast",
        "local",
        "broadcast",
        "anycast",
        "multicast",
        "blackhole",
        "unreachable",
        "prohibit",
        "throw",
        "nat",
    ];
    KINDS.get(usize::from(kind)).map_or_else(|| kind.to_string(), |name| (*name).to_owned())
}

/// The word for an `RTPROT_` value.
pub(super) fn protocol(number: u8) -> String {
    let name = match number {
        0 => "unspec",
        1 => "redirect",
        2 => "kernel",
        3 => "boot",
        4 => "static",
        8 => "gated",
        9 => "ra",
        10 => "mrt",
        11 => "zebra",
        12 => "bird",
        13 => "dnrouted",
        14 => "xorp",
        15 => "ntk",
        16 => "dhcp",
        18 => "keepalived",
        42 => "babel",
        186 => "bgp",
        187 => "isis",
        188 => "ospf",
        189 => "rip",
        192 => "eigrp",
        _ => return number.to_string(),
    };
    name.to_owned()
}

fn scope(number: u8) -> String {
    let name = match number {
        200 => "site",
        253 => "link",
        254 => "host",
        255 => "nowhere",
        _ => return number.to_string(),
    };
    name.to_owned()
}

fn preference(number: u8) -> String {
    match number {
        0 => "medium".to_owned(),
        1 => "high".to_owned(),
        3 => "low".to_owned(),
        number => format!("{number:#x}"),
    }
}

fn device(index: u32, names: Names<'_>) -> String {
    format!("dev {}", names(index).unwrap_or_else(|| format!("if{index}")))
}

pub(super) fn realm((source, destination): (u16, u16)) -> String {
    match source {
        0 => format!("realm {destination}"),
        source => format!("realms {source}/{destination}"),
    }
}

fn flags(flags: u32) -> impl Iterator<Item = String> {
    FLAGS.iter().filter(move |(bit, _)| flags & bit != 0).map(|(_, name)| (*name).to_owned())
}

/// `print_rta_metrics`: times are told in ms or s, `RTAX_LOCK` marks the others.
fn metrics(metrics: &[RouteMetric]) -> Vec<String> {
    let locks = metrics.iter().find_map(|metric| match metric {
        RouteMetric::Lock(bits) => Some(*bits),
        _ => None,
    });
    let show = |number: u32, name: &str, value: String| {
        let lock = if locks.is_some_and(|bits| bits & (1 << number) != 0) { "lock " } else { "" };
        Some(format!("{name} {lock}{value}"))
    };
    let number = |at: u32, name: &str, value: &u32| show(at, name, value.to_string());
    let words = metrics.iter().filter_map(|metric| match metric {
        RouteMetric::Mtu(value) => number(2, "mtu", value),
        RouteMetric::Window(value) => number(3, "window", value),
        RouteMetric::Rtt(value) => show(4, "rtt", time(value / 8)),
        RouteMetric::RttVar(value) => show(5, "rttvar", time(value / 4)),
        RouteMetric::SsThresh(value) => number(6, "ssthresh", value),
        RouteMetric::Cwnd(value) => number(7, "cwnd", value),
        RouteMetric::Advmss(value) => number(8, "advmss", value),
        RouteMetric::Reordering(value) => number(9, "reordering", value),
        RouteMetric::Hoplimit(value) => show(10, "hoplimit", value.cast_signed().max(0).to_string()),
        RouteMetric::InitCwnd(value) => number(11, "initcwnd", value),
        RouteMetric::Features(value) => show(12, "features", features(*value)),
        RouteMetric::RtoMin(value) => show(13, "rto_min", time(*value)),
        RouteMetric::InitRwnd(value) => number(14, "initrwnd", value),
        RouteMetric::QuickAck(value) => number(15, "quickack", value),
        RouteMetric::CcAlgo(name) => show(16, "congctl", name.trim_end_matches('\0').to_owned()),
        RouteMetric::FastopenNoCookie(value) => number(17, "fastopen_no_cookie", value),
        _ => None,
    });
    words.collect()
}

fn features(bits: u32) -> String {
    if bits == 1 { "ecn".to_owned() } else { format!("{bits:#x}") }
}

fn time(milliseconds: u32) -> String {
    if milliseconds >= 1000 { format!("{}s", f64::from(milliseconds) / 1000.0) } else { format!("{milliseconds}ms") }
}
