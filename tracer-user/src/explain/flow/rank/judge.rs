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

/// Counters that are told.
const MOST_COUNTERS: usize = 16;

pub(super) const ALL: [fn(&Numbers, Platform) -> Scored; 5] = [firewall, translation, dead_host, routing, mtu];

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

fn firewall(numbers: &Numbers, platform: Platform) -> Scored {
    let Numbers { same, other_ports, other_hosts, elsewhere, .. } = numbers;
    let (ports, hosts) = (numbers.ports_told(), numbers.hosts_told());
    let mut score = 20;
    let mut evidence = Vec::new();
    if numbers.is_prohibited {
        score += 100;
        evidence.push("somebody on the way says with ICMP that it is administratively prohibited".to_owned());
    }
    if same.alive == 0 {
        evidence
            .push(format!("{ports} to {hosts}: {} failed, none was answered, not even with a refusal", same.failed));
    } else {
        score -= 60;
        evidence.push(format!("against: {} to the same were answered in this run", attempts(same.alive)));
        if let Some(hosts) = numbers.all_stopped() {
            score += 120;
            evidence.push(format!(
                "{hosts} hosts answered at {ports} at first and do not any more, and no other host does"
            ));
        } else if numbers.is_end() {
            score += 50;
            evidence.push(
                "all that were answered were begun before the first that was not: a rule would have to have been changed \
                 during the run"
                    .to_owned(),
            );
        }
    }
    // That the host is there is known where it answers at the port itself.
    if other_ports.alive > 0 && same.alive == 0 {
        score += 60;
        evidence.push(format!(
            "{} to other ports of the same were answered: the host is there",
            attempts(other_ports.alive)
        ));
    }
    let tried = numbers.hosts.len() + other_hosts.failed_hosts.len();
    if numbers.ports.len() == 1 && tried > 1 && other_hosts.alive == 0 {
        score += 40;
        evidence.push(format!("{ports} fails at all {tried} hosts that it was tried at"));
        if elsewhere.alive > 0 {
            score += 10;
            evidence.push(format!("{} to other ports elsewhere were answered", attempts(elsewhere.alive)));
        }
    } else if other_hosts.alive > 0 && other_ports.alive == 0 && numbers.all_stopped().is_none() {
        let hosts = other_hosts.alive_hosts.len();
        evidence.push(format!("against a rule for the port alone: {hosts} other hosts answer at it"));
    }
    let summary = format!("a firewall, security group or access list on the way drops {ports} to {hosts}");
    scored(SuspectKind::Firewall, numbers, platform, (score, summary, evidence))
}

fn translation(numbers: &Numbers, platform: Platform) -> Scored {
    let Numbers { same, elsewhere, .. } = numbers;
    let (ports, hosts) = (numbers.ports_told(), numbers.hosts_told());
    let total = same.established + same.failed;
    let mut evidence = vec![format!("{} of {} to {ports} at {hosts} failed", same.failed, attempts(total))];
    // Without any success it is another thing, and a few failures are chance.
    let mut score = if same.established == 0 || same.failed == 0 { -200 } else { 40 };
    if same.failed.saturating_mul(20) < total {
        score -= 25;
        evidence.push("against: these are few, as chance loses them".to_owned());
    }
    if let Some(hosts) = numbers.all_stopped() {
        score -= 40;
        evidence.push(format!("against: {hosts} hosts do not answer any more, and ports run out for each by itself"));
    } else if numbers.is_end() {
        score += 20;
        evidence.push("all that were answered were begun before the first that was not".to_owned());
    } else {
        evidence.push("answered and failed ones were begun in turns".to_owned());
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
        evidence.push(format!(
            "{} to other hosts were answered: ports are counted by destination",
            attempts(elsewhere.established)
        ));
    }
    if numbers.is_private() {
        score -= 50;
        evidence.push(format!(
            "against: {} is a private address, which clouds do not translate for",
            numbers.example.1.ip()
        ));
    }
    let summary = format!("who translates the source addresses (SNAT) has no free port left for {ports} at {hosts}");
    scored(SuspectKind::SnatExhausted, numbers, platform, (score, summary, evidence))
}

fn dead_host(numbers: &Numbers, platform: Platform) -> Scored {
    let Numbers { same, other_ports, elsewhere, .. } = numbers;
    let hosts = numbers.hosts_told();
    if same.alive > 0 {
        let evidence = vec![
            format!("{} of {} failed", same.failed, attempts(same.failed + same.alive)),
            format!("against: {} were answered", attempts(same.alive)),
        ];
        let summary = format!(
            "{hosts} (or a load balancer before it) takes only some: it is overloaded, or some of its backends are down"
        );
        return scored(SuspectKind::DeadHost, numbers, platform, (25, summary, evidence));
    }
    let mut score = 25;
    let mut evidence = vec![format!(
        "nothing came back from {hosts} in the whole run: {} failed",
        attempts(same.failed + other_ports.failed)
    )];
    if !other_ports.failed_ports.is_empty() && other_ports.alive == 0 {
        score += 35;
        evidence.push(format!("other ports of it fail as well: {}", other_ports.failed_ports.len()));
    } else if numbers.hosts.len() == 1 && numbers.ports.len() > 1 && other_ports.alive == 0 {
        score += 35;
        evidence.push(format!("it fails at all {} ports that were tried", numbers.ports.len()));
    }
    if other_ports.alive > 0 {
        // Somebody who is there would refuse what nobody listens for.
        score = 5;
        evidence.push(format!("against: {} to other ports of it were answered", attempts(other_ports.alive)));
        if numbers.example.0 == TCP {
            evidence.push("against: a host without a program at the port sends a RST".to_owned());
        }
    } else if elsewhere.alive > 0 {
        score += 10;
        evidence.push(format!("{} to other hosts were answered in the same time", attempts(elsewhere.alive)));
    }
    let more = i32::try_from(numbers.hosts.len().saturating_sub(1)).unwrap_or(i32::MAX);
    if more > 0 {
        // That several go down at once is less likely than what they have in common.
        score -= more.min(3) * 15;
        evidence.push(format!("against: {} hosts at once", numbers.hosts.len()));
    }
    let summary = format!("{hosts} is down, or not there any more");
    scored(SuspectKind::DeadHost, numbers, platform, (score, summary, evidence))
}

fn routing(numbers: &Numbers, platform: Platform) -> Scored {
    let Numbers { same, other_ports, elsewhere, .. } = numbers;
    let mut score = 10;
    let (mut summary, mut evidence) =
        (format!("the network has no route to {}, or none back", numbers.hosts_told()), Vec::new());
    let failed_hosts = numbers.hosts.len() + elsewhere.failed_hosts.len();
    let is_alive = same.alive + other_ports.alive;
    if is_alive > 0 {
        // Packets get there and back.
        score = -100;
    } else if elsewhere.alive == 0 && failed_hosts > 1 {
        score = 90;
        let by = match numbers.uplinks.first() {
            Some(uplink) => format!(" by {uplink}"),
            None => String::new(),
        };
        summary = format!(
            "nothing that leaves this node{by} comes back: the network behind it, its route, or the route back"
        );
        evidence.push(format!(
            "{} to {failed_hosts} hosts failed, and none to any host was answered",
            attempts(same.failed + elsewhere.failed)
        ));
    } else if let Some((network, is_alive)) = numbers.network() {
        evidence.push(format!("all {} hosts are in {network}", numbers.hosts.len()));
        if is_alive {
            score = -100;
        } else if elsewhere.alive > 0 {
            score = 70;
            summary = format!("the network has no route to {network}, or none back");
            evidence.push(format!("{} hosts outside of it answer, and none inside", elsewhere.alive_hosts.len()));
        }
    } else if let Some(neighbour) = numbers.neighbour() {
        score = 2;
        evidence.push(format!("against: {neighbour}, next to it, answers"));
    } else {
        evidence.push(format!("nothing came back from {}, and nothing near it answers", numbers.hosts_told()));
    }
    scored(SuspectKind::Routing, numbers, platform, (score, summary, evidence))
}

fn mtu(numbers: &Numbers, platform: Platform) -> Scored {
    let mut evidence = Vec::new();
    let mut score = 0;
    if numbers.is_mtu {
        score += 90;
        evidence.push("the handshake went through, and large segments were sent again and again".to_owned());
    }
    if numbers.large_lost > 0 {
        score += 40;
        evidence.push(format!(
            "large segments got lost in {} of {} connections",
            numbers.large_lost, numbers.same.established
        ));
    }
    let summary =
        format!("something on the way to {} takes only smaller packets, and does not say so", numbers.hosts_told());
    scored(SuspectKind::Mtu, numbers, platform, (score, summary, evidence))
}

/// The counters of a cloud's allowances that rose.
pub(super) fn allowance(numbers: &Numbers, counters: &[&Counter]) -> Scored {
    let mut by_name: BTreeMap<String, u64> = BTreeMap::new();
    for counter in counters.iter().filter(|counter| counter.name.ends_with("allowance_exceeded")) {
        let device = counter.interface.as_ref().and_then(|interface| interface.name.as_deref()).unwrap_or("a card");
        let name = format!("{} of {device}", counter.name);
        if by_name.len() < MOST_COUNTERS || by_name.contains_key(&name) {
            *by_name.entry(name).or_default() += counter.delta;
        }
    }
    let is_connections = by_name.keys().any(|name| name.starts_with("conntrack"));
    let mut evidence: Vec<String> = by_name.iter().map(|(name, delta)| format!("{name} rose by {delta}")).collect();
    let mut score = match (by_name.is_empty(), is_connections) {
        (true, _) => 0,
        (false, true) => 80,
        (false, false) => 55,
    };
    if score > 0 && numbers.same.established == 0 {
        score -= 30;
        evidence.push(
            "against: not one of the attempts to the same was answered, and a limit lets some through".to_owned(),
        );
    }
    let what = if is_connections { "tracked connections" } else { "packets or bandwidth" };
    let summary = format!("the cloud drops packets of this machine, which is over its allowance of {what}");
    scored(SuspectKind::NicAllowance, numbers, Platform::Aws, (score, summary, evidence))
}
