//! Each suspect, judged by the numbers.

use std::collections::BTreeMap;

use super::check::{self, Target};
use super::numbers::Numbers;
use super::{Platform, Scored};
use crate::event::{Counter, Suspect, SuspectKind};
use crate::node::socket::diag::TCP;

/// Ports that clouds give to a node, or to an address, for one destination: Azure's load balancer by pool size (32 to
/// 1024), Cloud NAT (64 and its doubles), a NAT gateway of AWS (55,000) and of Azure (64,512).
const PLATEAUS: [u64; 13] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 55_000, 64_512];

const IN_TURNS: &str = "answered and failed ones were begun in turns";

/// Counters that are told.
const MOST_COUNTERS: usize = 16;

fn scored(
    what: SuspectKind,
    numbers: &Numbers,
    platform: Platform,
    (score, summary, evidence): (i32, String, Vec<String>),
) -> Scored {
    let target = Target { protocol: numbers.example.0, server: numbers.example.1, uplink: numbers.uplinks.first() };
    let check = check::checks(what, platform, &target);
    Scored { score, suspect: Suspect { what, summary, evidence, check } }
}

fn attempts(count: u64) -> String {
    if count == 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

/// `1 attempt to other hosts was answered`.
fn answered(count: u64, which: &str) -> String {
    format!("{} {which} {} answered", attempts(count), if count == 1 { "was" } else { "were" })
}

/// Something on the way drops them silently. Refuted where attempts to the same are answered in between.
pub(super) fn firewall(numbers: &Numbers, platform: Platform) -> Option<Scored> {
    let Numbers { same, other_ports, other_hosts, elsewhere, .. } = numbers;
    let (ports, hosts) = (numbers.ports_told(), numbers.hosts_told());
    let mut score = 20;
    let mut evidence = Vec::new();
    if same.alive > 0 {
        if !numbers.began_to_fail() {
            return None;
        }
        score -= 10;
        if let Some(hosts) = numbers.all_stopped() {
            score += 80;
            let alive = attempts(same.alive);
            evidence.push(format!(
                "{hosts} hosts answered at {ports} at first ({alive}) and do not any more, and no other host does: rules may \
                 have changed since"
            ));
        } else {
            let answered = answered(same.alive, "before the first of these");
            evidence.push(format!("{answered}: a rule would have to have been changed during the run"));
        }
    } else if numbers.example.0 == TCP {
        evidence.push("no refusal came back either, as a host sends where no program has the port".to_owned());
    } else {
        evidence.push("no ICMP error came back either, as a host sends where no program has the port".to_owned());
    }
    // That the host is there is known where it answers at the port itself.
    if other_ports.alive > 0 && same.alive == 0 {
        score += 60;
        let answered = answered(other_ports.alive, "to other ports of the same");
        evidence.push(format!("{answered}: the host is there"));
    }
    let tried = numbers.hosts.len() + other_hosts.failed_hosts.len();
    if numbers.ports.len() == 1 && tried > 1 && same.alive + other_hosts.alive == 0 {
        score += 40;
        evidence.push(format!("{ports} fails at all {tried} hosts that it was tried at"));
        if elsewhere.alive > 0 {
            score += 10;
            evidence.push(answered(elsewhere.alive, "to other ports elsewhere"));
        }
    } else if other_hosts.alive > 0 && other_ports.alive == 0 && numbers.all_stopped().is_none() {
        let answering = other_hosts.alive_hosts.len();
        evidence.push(format!("{answering} other hosts answer at {ports}: a rule would be one for {hosts}"));
    }
    let summary = format!("a firewall, security group or access list on the way drops {ports} to {hosts}");
    Some(scored(SuspectKind::Firewall, numbers, platform, (score, summary, evidence)))
}

/// No port is left for more. Refuted where none is answered, and where nobody translates.
pub(super) fn translation(numbers: &Numbers, platform: Platform) -> Option<Scored> {
    let Numbers { same, elsewhere, .. } = numbers;
    if same.established == 0 || same.failed == 0 || (numbers.is_private() && platform != Platform::Other) {
        return None;
    }
    let (ports, hosts) = (numbers.ports_told(), numbers.hosts_told());
    let (mut score, mut evidence) = (40, Vec::new());
    if same.failed.saturating_mul(20) < same.established + same.failed {
        score -= 25;
        evidence.push("against: few fail, and chance loses as many".to_owned());
    }
    if let Some(hosts) = numbers.all_stopped() {
        score -= 40;
        evidence.push(format!("against: {hosts} hosts do not answer any more, and ports run out for each by itself"));
    } else if numbers.began_to_fail() {
        score += 20;
        evidence.push("all that were answered were begun before the first that was not".to_owned());
    } else {
        evidence.push(IN_TURNS.to_owned());
    }
    let near = |limit: &&u64| same.established.abs_diff(**limit) * 50 <= **limit;
    if let Some(limit) = PLATEAUS.iter().find(near) {
        score += 20;
        evidence.push(format!("{} were answered, about {limit}: as many ports as some clouds give", same.established));
    }
    let (ports_seen, is_more) = numbers.ok_ports;
    if ports_seen > 1 {
        let least = if is_more { "at least " } else { "" };
        evidence.push(format!("those that were answered came from {least}{ports_seen} different ports"));
    }
    if numbers.failed_clients > 1 {
        score += 5;
        evidence.push(format!("at least {} clients failed alike", numbers.failed_clients));
    }
    if elsewhere.established > 0 {
        score += 10;
        let answered = answered(elsewhere.established, "to other hosts");
        evidence.push(format!("{answered}: ports are counted by destination"));
    }
    if numbers.is_private() {
        score -= 30;
        evidence.push(format!("against: {} is a private address, seldom translated for", numbers.example.1.ip()));
    }
    let summary = format!("who translates the source addresses (SNAT) has no free port left for {ports} at {hosts}");
    Some(scored(SuspectKind::SnatExhausted, numbers, platform, (score, summary, evidence)))
}

/// Nobody is there, or not all of those who were. The first is refuted by any answer of the host.
pub(super) fn dead_host(numbers: &Numbers, platform: Platform) -> Option<Scored> {
    let Numbers { same, other_ports, elsewhere, .. } = numbers;
    let hosts = numbers.hosts_told();
    if same.established > 0 {
        let when = if numbers.began_to_fail() {
            "all that were answered were begun before the first that was not"
        } else {
            IN_TURNS
        };
        let summary = format!(
            "{hosts} (or a load balancer before it) takes only some: it is overloaded, or some of its backends are down"
        );
        return Some(scored(SuspectKind::DeadHost, numbers, platform, (25, summary, vec![when.to_owned()])));
    }
    if same.alive + other_ports.alive > 0 {
        return None;
    }
    let mut score = 25;
    let mut evidence = vec![format!("nothing came back from {hosts} in the whole run")];
    if !other_ports.failed_ports.is_empty() {
        score += 35;
        let (failed, ports) = (attempts(other_ports.failed), other_ports.failed_ports.len());
        evidence.push(match ports {
            1 => format!("{failed} to another port of it failed as well"),
            _ => format!("{failed} to {ports} other ports of it failed as well"),
        });
    } else if numbers.hosts.len() == 1 && numbers.ports.len() > 1 {
        score += 35;
        evidence.push(format!("it fails at all {} ports that were tried", numbers.ports.len()));
    }
    if elsewhere.alive > 0 {
        score += 10;
        evidence.push(format!("{} in the same time", answered(elsewhere.alive, "to other hosts")));
    }
    let more = i32::try_from(numbers.hosts.len().saturating_sub(1)).unwrap_or(i32::MAX).min(3);
    if more > 0 {
        // That several go down at once is less likely than what they have in common.
        score -= more * 15;
        evidence.push(format!("against: {} hosts at once", numbers.hosts.len()));
    }
    let summary = format!("{hosts} is down, or not there any more");
    Some(scored(SuspectKind::DeadHost, numbers, platform, (score, summary, evidence)))
}

/// Packets are led nowhere. Refuted by any answer from there, or from its neighbours.
pub(super) fn routing(numbers: &Numbers, platform: Platform) -> Option<Scored> {
    let Numbers { same, other_ports, elsewhere, .. } = numbers;
    if same.alive + other_ports.alive > 0 {
        return None;
    }
    let failed_hosts = numbers.hosts.len() + elsewhere.failed_hosts.len();
    let (score, summary, evidence) = if elsewhere.alive == 0 && failed_hosts > 1 {
        let by = numbers.uplinks.first().map(|uplink| format!(" by {uplink}")).unwrap_or_default();
        let failed = attempts(same.failed + elsewhere.failed);
        (
            90,
            format!(
                "nothing that leaves this node{by} comes back: the network behind it, its route, or the route back"
            ),
            format!("{failed} to {failed_hosts} hosts failed, and none to any host was answered"),
        )
    } else if let Some((network, is_alive)) = numbers.network() {
        if is_alive {
            return None;
        }
        let answering = elsewhere.alive_hosts.len();
        (
            70,
            format!("the network has no route to {network}, or none back"),
            format!(
                "all {} hosts are in {network}; {answering} hosts outside of it answer, and none inside",
                numbers.hosts.len()
            ),
        )
    } else if numbers.neighbour().is_some() {
        return None;
    } else {
        let hosts = numbers.hosts_told();
        let evidence = format!("nothing came back from {hosts}, and nothing near it answers");
        (10, format!("the network has no route to {hosts}, or none back"), evidence)
    };
    Some(scored(SuspectKind::Routing, numbers, platform, (score, summary, vec![evidence])))
}

/// Somebody on the way says that a rule of his refuses.
pub(super) fn prohibited(numbers: &Numbers, platform: Platform) -> Option<Scored> {
    if !numbers.is_prohibited {
        return None;
    }
    let (ports, hosts) = (numbers.ports_told(), numbers.hosts_told());
    let evidence = vec!["somebody on the way says with ICMP that it is administratively prohibited".to_owned()];
    let summary = format!("a firewall, security group or access list on the way refuses {ports} to {hosts}");
    Some(scored(SuspectKind::Firewall, numbers, platform, (100, summary, evidence)))
}

/// Some are taken, some refused.
pub(super) fn some_refuse(numbers: &Numbers, platform: Platform) -> Option<Scored> {
    let same = &numbers.same;
    if same.established == 0 || numbers.is_prohibited {
        return None;
    }
    let evidence =
        vec![format!("{} to the same went well, and {} were refused", attempts(same.established), same.refused)];
    let hosts = numbers.hosts_told();
    let summary = format!("{hosts} (or a load balancer before it) takes only some: some of its backends are down");
    Some(scored(SuspectKind::DeadHost, numbers, platform, (25, summary, evidence)))
}

pub(super) fn mtu(numbers: &Numbers, platform: Platform) -> Scored {
    let (lost, total) = (numbers.large_lost, numbers.same.established.max(numbers.large_lost));
    let evidence = vec![format!("large segments were sent again and again in {lost} of {}", connections(total))];
    let summary =
        format!("something on the way to {} takes only smaller packets, and does not say so", numbers.hosts_told());
    scored(SuspectKind::Mtu, numbers, platform, (90, summary, evidence))
}

fn connections(count: u64) -> String {
    if count == 1 { "1 connection".to_owned() } else { format!("{count} connections") }
}

/// Whether a counter is one of those that a cloud's card counts drops by its limits in.
pub fn is_allowance(counter: &Counter) -> bool {
    counter.name.ends_with("allowance_exceeded")
}

/// The counters of a cloud's allowances that rose.
pub(super) fn allowance(numbers: &Numbers, counters: &[Counter]) -> Option<Scored> {
    let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
    for counter in counters.iter().filter(|counter| is_allowance(counter)) {
        let device = counter.interface.as_ref().and_then(|interface| interface.name.as_deref()).unwrap_or("a card");
        let name = format!("{} of {device}", counter.name);
        if by_name.len() < MOST_COUNTERS || by_name.contains_key(&name) {
            *by_name.entry(name).or_default() += counter.delta;
        }
    }
    if by_name.is_empty() {
        return None;
    }
    let is_connections = by_name.keys().any(|name| name.starts_with("conntrack"));
    let mut evidence: Vec<String> = by_name.iter().map(|(name, delta)| format!("{name} rose by {delta}")).collect();
    let mut score = if is_connections { 80 } else { 55 };
    if numbers.same.established == 0 && !is_connections {
        score -= 30;
        evidence.push("against: none of these was answered, and a limit of packets lets some through".to_owned());
    }
    let what = if is_connections { "tracked connections" } else { "packets or bandwidth" };
    let summary = format!("the cloud drops packets of this machine, which is over its allowance of {what}");
    Some(scored(SuspectKind::NicAllowance, numbers, Platform::Aws, (score, summary, evidence)))
}
