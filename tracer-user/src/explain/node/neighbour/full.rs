//! No neighbour entry could be made.

use super::looks;
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::Observation;
use crate::explain::node::{command, doubt};
use crate::explain::quoted;
use crate::node::neighbour::Neighbours;
use crate::node::neighbour::hop::NextHop;
use crate::node::neighbour::table::Table;

/// Lowest MTU with which a device keeps IPv6 (`IPV6_MIN_MTU`, RFC 8200 section 5).
const IPV6_MIN_MTU: u32 = 1280;

pub(super) fn refine(explanation: &mut Explanation, facts: &Neighbours, hop: &NextHop, drop: &Observation<'_>) {
    if facts.has_no_ipv6 {
        return without_ipv6(explanation, facts, hop, drop);
    }
    let Some(table) = facts.table else { return };
    let family = if hop.address.is_ipv4() { "ipv4" } else { "ipv6" };
    let setting = format!("net.{family}.neigh.default.gc_thresh3");
    let rose = facts.table_fulls_before.map(|before| (before, table.table_fulls)).filter(|(before, now)| now > before);
    let is_full = table.entries >= table.gc_thresh3;
    explanation.evidence.push(format!(
        "the table of the whole machine has {} entries; {setting} is {}, gc_thresh2 {}, gc_thresh1 {}",
        table.entries, table.gc_thresh3, table.gc_thresh2, table.gc_thresh1
    ));
    explanation.evidence.push(match rose {
        Some((before, now)) => format!("its counter table_fulls rose from {before} to {now}"),
        None => format!("its counter table_fulls is {} since boot", table.table_fulls),
    });
    super::counts(explanation, facts, hop);
    if rose.is_none() && !is_full {
        let held = format!("the neighbour table has room now: {} of {} entries", table.entries, table.gc_thresh3);
        return doubt(explanation, held);
    }
    explanation.confidence = if rose.is_some() { Confidence::Certain } else { Confidence::Derived };
    explanation.summary = format!(
        "no entry for the next hop {} on {}: the neighbour table is full ({} entries, {setting} is {})",
        hop.address, hop.device_name, table.entries, table.gc_thresh3
    );
    let value = table.gc_thresh3.to_string();
    explanation.sysctl = Some(vec![Sysctl { name: setting, value: value.clone(), effective: value }]);
    explanation.remedy = looks(hop, drop);
    explanation.remedy.push(raise(family, &table));
    explanation
        .remedy
        .push("make it permanent in /etc/sysctl.d; nodes with many pods need some entries for each".into());
}

/// The limits are the machine's: they stand in the initial namespace only.
fn raise(family: &str, table: &Table) -> String {
    let limit = |value: u32| u64::from(value.max(128)) * 4;
    format!(
        "sysctl -w net.{family}.neigh.default.gc_thresh3={} net.{family}.neigh.default.gc_thresh2={} \
         net.{family}.neigh.default.gc_thresh1={}",
        limit(table.gc_thresh3.max(table.entries)),
        limit(table.gc_thresh2),
        limit(table.gc_thresh1)
    )
}

fn without_ipv6(explanation: &mut Explanation, facts: &Neighbours, hop: &NextHop, drop: &Observation<'_>) {
    let name = &hop.device_name;
    let mtu = facts.device.as_ref().map(|device| device.mtu);
    let small = mtu.filter(|mtu| *mtu < IPV6_MIN_MTU);
    let because = small.map(|mtu| format!(" (its MTU {mtu} is below {IPV6_MIN_MTU})")).unwrap_or_default();
    explanation.summary = format!("no entry for the next hop {} on {name}: {name} has no IPv6{because}", hop.address);
    explanation.confidence = Confidence::Derived;
    explanation.evidence.push(format!("{name} has no IPv6 settings: IPv6 is off there"));
    if let Some(mtu) = mtu {
        explanation.evidence.push(format!("the MTU of {name} is {mtu}; IPv6 needs {IPV6_MIN_MTU}"));
    }
    explanation.remedy = looks(hop, drop);
    if small.is_some() {
        explanation.remedy.push(command(drop, &format!("ip link set dev {} mtu 1500", quoted(name))));
    }
}
