//! A full connection table: how full, by whom, and what makes room.
//!
//! Rule: `certain` needs a table without room and a drop that it counted.

use super::super::super::observation::Observation;
use super::{command, end, family, moved, named, no_rule, open};
use crate::decode::protocol::{TCP, UDP};
use crate::event::{Cause, Confidence, Explanation, Sysctl};
use crate::netfilter::{Connections, Creator, Pressure, Ruling, Table};

/// What entries of UDP may live without an answer, and of TCP without a packet, where the table is short of room.
const UDP_SECONDS: u64 = 10;
const TCP_SECONDS: u64 = 86_400;

pub(super) fn explanation(pressure: &Pressure, ruling: &Ruling, drop: &Observation<'_>) -> Explanation {
    let is_seen = pressure.is_delta && pressure.has_no_room() && pressure.drop > pressure.insert_failed;
    let confidence = if is_seen { Confidence::Certain } else { Confidence::Derived };
    let (table, unread) = match &ruling.connections {
        Connections::Full(Ok(table)) => (Some(&**table), None),
        Connections::Full(Err(why)) => (None, Some(why.clone())),
        _ => (None, None),
    };
    let first = table.and_then(|table| table.creators.first());
    let mut explanation = Explanation::new(Cause::ConntrackFull, confidence, summary(pressure, table, first));
    explanation.evidence = evidence(pressure, table);
    explanation.evidence.push(no_rule(ruling));
    explanation.remedy = remedy(pressure, table, first, drop);
    let name = "net.netfilter.nf_conntrack_max".to_owned();
    let value = pressure.max.to_string();
    explanation.sysctl = (pressure.max > 0).then(|| vec![Sysctl { name, effective: value.clone(), value }]);
    explanation.unknown = open(ruling, unread);
    explanation
}

fn summary(pressure: &Pressure, table: Option<&Table>, first: Option<&Creator>) -> String {
    let Pressure { count, max, .. } = pressure;
    let full = format!("the connection table is full: {count} of {max} entries (nf_conntrack_max)");
    match (table, first) {
        (Some(table), Some(first)) if first.entries * 2 > table.seen => {
            format!("{full}, most of them from {}", first.address)
        }
        _ => full,
    }
}

fn evidence(pressure: &Pressure, table: Option<&Table>) -> Vec<String> {
    let whose = if pressure.is_max_own { "" } else { ", a limit that is set on the host for all namespaces" };
    let mut facts =
        vec![format!("the namespace holds {} connections, {} are allowed{whose}", pressure.count, pressure.max)];
    if pressure.buckets > 0 {
        facts.push(format!("the host's hash table has {} buckets (nf_conntrack_buckets)", pressure.buckets));
    }
    facts.push(moved(pressure.drop, "drop", pressure));
    if pressure.early_drop > 0 {
        facts.push(format!(
            "{}: other entries were thrown out to make room",
            moved(pressure.early_drop, "early_drop", pressure)
        ));
    }
    let Some(table) = table else { return facts };
    let among = if table.is_whole {
        format!("the {} entries", table.seen)
    } else {
        format!("the first {} entries", table.seen)
    };
    facts
        .extend(table.creators.iter().filter(|creator| creator.entries > 1).map(|creator| of_creator(creator, &among)));
    let protocols: Vec<String> =
        table.protocols.iter().take(3).map(|(number, entries)| format!("{entries} {}", named(*number))).collect();
    facts.push(format!("of {among} {}; {} saw no answer", protocols.join(", "), table.unreplied));
    let timeouts = &table.timeouts;
    facts.extend(
        timeouts
            .udp
            .map(|seconds| format!("an entry of UDP without an answer lives {seconds} s (nf_conntrack_udp_timeout)")),
    );
    facts.extend(timeouts.tcp_established.map(|seconds| {
        format!(
            "an established TCP connection without a packet lives {seconds} s (nf_conntrack_tcp_timeout_established)"
        )
    }));
    facts
}

/// `9412 of the first 20000 entries are from 10.244.1.7, 9000 of them udp to 10.96.0.10:53, 8990 without an answer`.
fn of_creator(creator: &Creator, among: &str) -> String {
    let Creator { address, entries, unreplied, target } = creator;
    let target = target.map(|target| {
        let to = match (target.address, target.port) {
            (Some(address), Some(port)) => end(address, port),
            (Some(address), None) => address.to_string(),
            (None, Some(port)) => format!("port {port} of several addresses"),
            (None, None) => "several addresses".to_owned(),
        };
        format!(", {} of them {} to {to}", target.entries, named(target.protocol))
    });
    format!("{entries} of {among} are from {address}{}, {unreplied} without an answer", target.unwrap_or_default())
}

fn remedy(pressure: &Pressure, table: Option<&Table>, first: Option<&Creator>, drop: &Observation<'_>) -> Vec<String> {
    let of_first = |what: &str| {
        let Creator { address, .. } = first?;
        Some(command(drop, &format!("conntrack {what}{} -s {address}", family(*address))))
    };
    let mut remedy: Vec<String> = of_first("-L").into_iter().collect();
    if pressure.max > 0 {
        let set = format!("sysctl -w net.netfilter.nf_conntrack_max={}", pressure.max.saturating_mul(2));
        remedy.push(if pressure.is_max_own { command(drop, &set) } else { set });
    }
    let most = table.and_then(|table| table.protocols.first()).map(|(protocol, _)| *protocol);
    let timeouts = table.map(|table| table.timeouts).unwrap_or_default();
    let shorter = |name: &str, now: Option<u64>, seconds: u64| {
        let set = format!("sysctl -w net.netfilter.nf_conntrack_{name}={seconds}");
        now.filter(|now| *now > seconds).map(|_| command(drop, &set))
    };
    remedy.extend(match most {
        Some(UDP) => shorter("udp_timeout", timeouts.udp, UDP_SECONDS),
        Some(TCP) => shorter("tcp_timeout_established", timeouts.tcp_established, TCP_SECONDS),
        _ => None,
    });
    remedy.push(
        "keep out of the table what needs no tracking, both directions of it (DNS, health checks): CT --notrack in the raw table, or notrack in a chain of priority raw".to_owned(),
    );
    remedy.extend(of_first("-D"));
    if first.is_none() {
        remedy.push(command(drop, "conntrack -S"));
    }
    remedy
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::super::super::scenarios::packet;
    use super::super::tests::ruling;
    use super::*;
    use crate::netfilter::{Target, Timeouts};

    const FULL: Pressure = Pressure {
        count: 100,
        max: 100,
        buckets: 64,
        is_max_own: false,
        insert_failed: 0,
        drop: 4,
        early_drop: 2,
        invalid: 0,
        is_delta: true,
    };

    fn table() -> Table {
        let target = Target { protocol: UDP, port: Some(53), address: "10.96.0.10".parse().ok(), entries: 50 };
        let creator = Creator { address: [10, 244, 1, 7].into(), entries: 60, unreplied: 49, target: Some(target) };
        Table {
            seen: 80,
            is_whole: false,
            unreplied: 55,
            protocols: vec![(UDP, 70), (TCP, 10)],
            creators: vec![creator],
            timeouts: Timeouts { udp: Some(30), tcp_established: Some(432_000) },
        }
    }

    fn told(pressure: Pressure, connections: Connections, drop: &Observation<'_>) -> Explanation {
        explanation(&pressure, &ruling(pressure, connections), drop)
    }

    #[test]
    fn who_fills_it_is_told_with_what() {
        let drop = Observation { netns_entry: Some("nsenter --net=/run/netns/pod"), ..packet("udp") };
        let told = told(FULL, Connections::Full(Ok(Arc::new(table()))), &drop);
        assert_eq!(told.confidence, Confidence::Certain);
        assert_eq!(
            told.summary,
            "the connection table is full: 100 of 100 entries (nf_conntrack_max), most of them from 10.244.1.7"
        );
        let creator =
            "60 of the first 80 entries are from 10.244.1.7, 50 of them udp to 10.96.0.10:53, 49 without an answer";
        assert!(told.evidence.iter().any(|fact| fact == creator), "{:?}", told.evidence);
        assert!(told.evidence.iter().any(|fact| fact.contains("early_drop rose by 2")));
        assert_eq!(told.remedy[0], "nsenter --net=/run/netns/pod conntrack -L -s 10.244.1.7");
        assert_eq!(told.remedy[1], "sysctl -w net.netfilter.nf_conntrack_max=200", "the host's, not the pod's");
        assert_eq!(told.remedy[2], "nsenter --net=/run/netns/pod sysctl -w net.netfilter.nf_conntrack_udp_timeout=10");
        assert_eq!(told.remedy.last().unwrap(), "nsenter --net=/run/netns/pod conntrack -D -s 10.244.1.7");
        assert!(told.rule.is_none() && told.unknown.is_none());
    }

    #[test]
    fn without_a_table_it_is_said_why_and_what_was_counted_stays() {
        let refused = Connections::Full(Err("the connection table: no".to_owned()));
        let told = told(Pressure { is_delta: false, is_max_own: true, ..FULL }, refused, &packet("udp6"));
        assert_eq!(told.confidence, Confidence::Derived);
        assert_eq!(told.unknown.as_deref(), Some("the connection table: no"));
        assert!(told.remedy.contains(&"conntrack -S".to_owned()));
        assert!(told.evidence[0].ends_with("100 are allowed"), "{}", told.evidence[0]);
    }
}
