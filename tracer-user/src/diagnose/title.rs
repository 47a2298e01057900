//! What a finding is called: what does not work, for whom, in one sentence.

use std::collections::BTreeSet;

use crate::decode::protocol;
use crate::event::{Cause, Explanation, Outcome};
use crate::sink::thousands;

use super::Expectation;
use super::group::{Failure, Group, Kind};
use super::harm::Harm;
use super::names::{named_clients, named_destination};
use super::service;
use super::talk::Talk;

/// The title of a group's finding.
pub(super) fn title(group: &Group, harm: &Harm, said: &Explanation, expectations: &[Expectation]) -> String {
    let Some((first, hit)) = group.by_count().into_iter().next() else {
        return format!("packets are lost ({}): {}", group.place, said.summary);
    };
    let failed = group.failed();
    let share = if harm.answered > 0 && failed > 0 && group.outcome() != Outcome::Established {
        format!(", {} of {} attempts", thousands(failed), thousands(failed + harm.answered))
    } else {
        String::new()
    };
    let what = format!("{} {}{share}", subject(group, first, expectations), verb(group, said));
    match service::known(first, hit.translated.as_ref()) {
        Some(consequence) => format!("{consequence}: {what}"),
        None => what,
    }
}

/// `tcp from 12 clients to 10.0.0.1:80`, `tcp from pod shop/client (10.244.1.5) to Service shop/web port http (10.96.0.10:80)`.
fn subject(group: &Group, first: &Talk, expectations: &[Expectation]) -> String {
    let from = named_clients(group).unwrap_or_else(|| clients(group));
    let protocols: BTreeSet<_> = group.hits.keys().map(|talk| talk.protocol).collect();
    let what = if protocols.len() == 1 { protocol::name(first.protocol) } else { "traffic".to_owned() };
    let what = if matches!(group.kind, Kind::Dns(_)) { "DNS".to_owned() } else { what };
    // A name that was asked for is rather told as it was asked for.
    let is_asked = expectations.iter().any(|expectation| expectation.host().is_some() && expectation.is_of(first));
    let to = named_destination(group).filter(|_| !is_asked);
    let to = to.unwrap_or_else(|| destination(group, first, expectations));
    format!("{what} from {from} to {to}")
}

/// `10.0.0.9`, `12 clients`.
pub(super) fn clients(group: &Group) -> String {
    let clients: BTreeSet<_> = group.hits.keys().map(|talk| talk.client).collect();
    match clients.first() {
        Some(client) if clients.len() == 1 => client.to_string(),
        _ => format!("{} clients", thousands(clients.len() as u64)),
    }
}

/// `10.0.0.1:80`, `port 443 of 12 addresses`, `3 ports of 10.0.0.1`, `7 destinations`.
pub(super) fn destination(group: &Group, first: &Talk, expectations: &[Expectation]) -> String {
    let servers = group.servers();
    let ports: BTreeSet<_> = servers.iter().map(|(_, server)| server.port()).collect();
    let addresses: BTreeSet<_> = servers.iter().map(|(_, server)| server.ip()).collect();
    match (addresses.len(), ports.len()) {
        (1, 1) => {
            let name = expectations.iter().find(|expectation| expectation.is_of(first)).and_then(Expectation::host);
            let name = name.filter(|host| host.name.parse::<std::net::IpAddr>().is_err());
            let address = if first.port == 0 { first.server.to_string() } else { first.server().to_string() };
            name.map_or(address.clone(), |host| format!("{} ({address})", host.name))
        }
        (addresses, 1) if first.port != 0 => {
            format!("port {} of {} addresses", first.port, thousands(addresses as u64))
        }
        (addresses, 1) => format!("{} addresses", thousands(addresses as u64)),
        (1, ports) => format!("{} ports of {}", thousands(ports as u64), first.server),
        _ => format!("{} destinations", thousands(servers.len() as u64)),
    }
}

fn verb(group: &Group, said: &Explanation) -> &'static str {
    match group.kind {
        Kind::Dns(Failure::Error) => return "is answered with an error",
        Kind::Dns(Failure::Slow) => return "is answered late",
        _ => {}
    }
    match (group.outcome(), said.cause) {
        // Its attempts were seen, and not one of them was told.
        (Outcome::Dropped, Cause::NoSocket) if group.failed() > 0 && group.refused == 0 => "is never answered",
        (Outcome::Dropped, Cause::NoSocket) | (Outcome::Rejected, _) => "is refused",
        // It arrived, and what should say so did not.
        (Outcome::Dropped, _) if group.said.iter().any(|said| said.explanation.cause == Cause::NoSocket) => {
            "is never answered"
        }
        (Outcome::Dropped, _) => "is dropped on this node",
        (Outcome::NoAnswer, Cause::Upstream) => "leaves this node and is never answered",
        (Outcome::NoAnswer, _) => "is never answered",
        (Outcome::Established, _) => "is answered, and stalls then",
    }
}
