//! Connection tracking and address translation that could not do their work, dropped like by a legacy rule; and why a
//! packet is INVALID that a rule drops as such.
//!
//! Rule: the first two are named only if their statistics moved and no rule can have done it, and then no rule is blamed.

mod exhausted;
mod full;
mod invalid;

use std::net::IpAddr;

use super::super::hook::Netfilter;
use super::super::observation::Observation;
use crate::decode::protocol;
use crate::event::{Explanation, Hook};
use crate::netfilter::{Connections, Pressure, Ruling};

/// What connection tracking has to do with a drop that no rule made.
pub(super) fn explanation(part: Netfilter, hook: Hook, ruling: &Ruling, drop: &Observation<'_>) -> Option<Explanation> {
    let pressure = &ruling.conntrack.filter(|_| part == Netfilter::Hook)?;
    match (hook, &ruling.connections) {
        (Hook::Prerouting | Hook::Output, _) if pressure.is_full() => Some(full::explanation(pressure, ruling, drop)),
        (Hook::Postrouting | Hook::Input, Connections::Clash(translation)) => {
            Some(exhausted::explanation(translation, pressure, ruling, drop))
        }
        (Hook::Postrouting | Hook::Input, _) if pressure.insert_failed > 0 => {
            Some(exhausted::without_entry(pressure, ruling))
        }
        _ => None,
    }
}

/// Adds why a packet is invalid that a rule drops for it.
pub(super) fn refine(explanation: &mut Explanation, ruling: &Ruling, drop: &Observation<'_>) {
    let all_need_it = ruling.suspects.iter().all(|suspect| suspect.needs_invalid);
    if let Connections::Invalid(facts) = &ruling.connections
        && all_need_it
    {
        invalid::refine(explanation, facts, ruling, drop);
    }
}

/// A command with the packet's namespace entered.
fn command(drop: &Observation<'_>, command: &str) -> String {
    match drop.netns_entry {
        Some(entry) => format!("{entry} {command}"),
        None => command.to_owned(),
    }
}

/// `10.0.0.1:80`, `[fd00::1]:80`.
fn end(address: IpAddr, port: impl std::fmt::Display) -> String {
    if address.is_ipv6() { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}

/// ` -f ipv6`: conntrack(8) speaks of IPv4 by itself.
const fn family(address: IpAddr) -> &'static str {
    if address.is_ipv6() { " -f ipv6" } else { "" }
}

fn named(number: u8) -> String {
    protocol::name(number)
}

fn no_rule(ruling: &Ruling) -> String {
    if ruling.suspects.is_empty() {
        return "no rule that was read drops such a packet".to_owned();
    }
    "the rules that would drop such a packet saw none: their counters stood still".to_owned()
}

fn moved(by: u64, name: &str, pressure: &Pressure) -> String {
    let since =
        if pressure.is_delta { "since the look before the drop" } else { "since connection tracking began there" };
    format!("conntrack's statistic {name} rose by {by} {since}")
}

fn open(ruling: &Ruling, more: impl IntoIterator<Item = String>) -> Option<String> {
    let all: Vec<String> = more.into_iter().chain(ruling.unknown.iter().cloned()).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::super::super::scenarios::packet;
    use super::*;
    use crate::event::Cause;

    pub(super) fn ruling(pressure: Pressure, connections: Connections) -> Ruling {
        let (suspects, unknown, conntrack) = (Vec::new(), Vec::new(), Some(pressure));
        Ruling { suspects, rules: 3, read: SystemTime::UNIX_EPOCH, unknown, conntrack, connections }
    }

    #[test]
    fn only_what_moved_is_named_and_only_where_it_can_be() {
        let of = |pressure| ruling(pressure, Connections::None);
        let exhausted =
            of(Pressure { insert_failed: 6, drop: 6, is_delta: true, count: 9, max: 100, ..Pressure::default() });
        let told = |part, hook, ruling: &Ruling| explanation(part, hook, ruling, &packet("udp"));
        let cause = |hook, ruling| told(Netfilter::Hook, hook, ruling).map(|explanation| explanation.cause);
        assert_eq!(cause(Hook::Postrouting, &exhausted), Some(Cause::NatExhausted));
        assert_eq!(cause(Hook::Prerouting, &exhausted), None);
        let full = of(Pressure { drop: 5, is_delta: true, count: 3, max: 3, ..Pressure::default() });
        assert_eq!(cause(Hook::Prerouting, &full), Some(Cause::ConntrackFull));
        assert_eq!(cause(Hook::Forward, &full), None);
        assert_eq!(told(Netfilter::Nftables, Hook::Prerouting, &full), None);
        let idle = of(Pressure { max: 100, is_delta: true, ..Pressure::default() });
        assert_eq!(cause(Hook::Prerouting, &idle), None);
    }
}
