//! Connection tracking and address translation that could not do their work: dropped like by a legacy rule.
//!
//! Rule: they are named only if their statistics moved and no rule can have done it.

use super::super::hook::Netfilter;
use crate::event::{Cause, Confidence, Explanation, Hook};
use crate::netfilter::{Pressure, Ruling};

/// What connection tracking has to do with a drop that no rule made.
pub(super) fn explanation(part: Netfilter, hook: Hook, ruling: &Ruling) -> Option<Explanation> {
    let pressure = ruling.conntrack.filter(|_| part == Netfilter::Hook)?;
    match hook {
        Hook::Prerouting | Hook::Output if is_full(&pressure) => Some(full(&pressure, ruling)),
        Hook::Postrouting | Hook::Input if pressure.insert_failed > 0 => Some(exhausted(&pressure, ruling)),
        _ => None,
    }
}

/// Drops moved, and not for translations; or there is no room left now.
const fn is_full(pressure: &Pressure) -> bool {
    let no_room = pressure.max > 0 && pressure.count >= pressure.max;
    no_room || (pressure.is_delta && pressure.drop > pressure.insert_failed)
}

fn full(pressure: &Pressure, ruling: &Ruling) -> Explanation {
    let mut explanation = Explanation::new(
        Cause::ConntrackFull,
        Confidence::Derived,
        format!("the connection table is full ({} of {} entries)", pressure.count, pressure.max),
    );
    explanation.evidence = vec![
        format!("the namespace holds {} connections, {} are allowed", pressure.count, pressure.max),
        moved(pressure.drop, "drop", pressure),
        no_rule(ruling),
    ];
    explanation
}

fn exhausted(pressure: &Pressure, ruling: &Ruling) -> Explanation {
    let mut explanation = Explanation::new(
        Cause::NatExhausted,
        Confidence::Derived,
        "address translation found no free port for a new connection".to_owned(),
    );
    explanation.evidence = vec![moved(pressure.insert_failed, "insert_failed", pressure), no_rule(ruling)];
    explanation
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn ruling(pressure: Pressure) -> Ruling {
        let conntrack = Some(pressure);
        Ruling { suspects: Vec::new(), rules: 3, read: SystemTime::UNIX_EPOCH, unknown: Vec::new(), conntrack }
    }

    #[test]
    fn only_what_moved_is_named_and_only_where_it_can_be() {
        let exhausted = ruling(Pressure { insert_failed: 6, drop: 6, is_delta: true, count: 9, max: 100 });
        let cause = |hook, ruling| explanation(Netfilter::Hook, hook, ruling).map(|explanation| explanation.cause);
        assert_eq!(cause(Hook::Postrouting, &exhausted), Some(Cause::NatExhausted));
        assert_eq!(cause(Hook::Prerouting, &exhausted), None);
        let full = ruling(Pressure { insert_failed: 0, drop: 5, is_delta: true, count: 3, max: 3 });
        assert_eq!(cause(Hook::Prerouting, &full), Some(Cause::ConntrackFull));
        assert_eq!(cause(Hook::Forward, &full), None);
        assert_eq!(explanation(Netfilter::Nftables, Hook::Prerouting, &full), None);
        let idle = ruling(Pressure { max: 100, is_delta: true, ..Pressure::default() });
        assert_eq!(cause(Hook::Prerouting, &idle), None);
    }
}
