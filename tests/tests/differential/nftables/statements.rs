//! What rules of nft do.

use tracer_netfilter::model::Hook;

use super::Site;
use super::sets::{Objects, marks};
use crate::random::Random;
use crate::universe::{MARKS, MASKS};

/// Marks that are set, the counter, and a verdict or none. The counter stands right before what ends the packet, so that it
/// counts what the verdict meets.
pub(super) fn some(random: &mut Random, site: Site, later: &[String], objects: &mut Objects) -> String {
    let set = if random.percent(30) { effect(random, site) } else { String::new() };
    format!("{set}counter {}", verdict(random, site, later, objects))
}

fn verdict(random: &mut Random, site: Site, later: &[String], objects: &mut Objects) -> String {
    let has_ip = site.table != "netdev";
    match random.below(20) {
        0..=4 => "drop".to_owned(),
        5 if has_ip && matches!(site.hook, Hook::Input | Hook::Forward | Hook::Output) => reject(random, site),
        6 => "accept".to_owned(),
        7 => "return".to_owned(),
        8..=12 if !later.is_empty() => format!("jump {}", random.pick(later)),
        13 if !later.is_empty() => format!("goto {}", random.pick(later)),
        14..=16 => objects.verdict_map(random, later),
        _ => "continue".to_owned(),
    }
}

fn reject(random: &mut Random, site: Site) -> String {
    let with = match random.below(3) {
        0 if site.table == "inet" => " with icmpx admin-prohibited",
        0 => site.style.family.pick(" with icmp host-prohibited", " with icmpv6 addr-unreachable"),
        _ => "",
    };
    format!("reject{with}")
}

/// Something that changes what later rules see, or nothing they look at.
fn effect(random: &mut Random, site: Site) -> String {
    let (value, mask) = (random.pick(&MARKS), random.pick(&MASKS));
    let ip = site.style.family.pick("ip", "ip6");
    match random.below(12) {
        0..=2 => format!("meta mark set {value:#x} "),
        3 => format!("meta mark set meta mark or {value:#x} "),
        4 => format!("meta mark set meta mark and {mask:#x} "),
        5 => format!("meta mark set meta mark xor {value:#x} "),
        6 => format!("meta mark set th dport map {{ {} }} ", marks(random)),
        7 => "meta mark set th dport map @marks ".to_owned(),
        8 if site.is_tracked => format!("ct mark set {value:#x} "),
        9 if site.is_tracked => (*random.pick(&["ct mark set meta mark ", "meta mark set ct mark "])).to_owned(),
        10 if site.is_raw && site.style.is_tracked => "notrack ".to_owned(),
        11 if site.table != "netdev" => format!("update @seen {{ {ip} saddr }} "),
        _ => "log prefix \"differential\" ".to_owned(),
    }
}
