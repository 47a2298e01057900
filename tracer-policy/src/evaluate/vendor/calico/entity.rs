//! `source` and `destination` of a rule.
//!
//! Rule: selectors are about the endpoints that Calico knows; what is no pod may still be in a NetworkSet, or be a host
//! endpoint.

use std::net::IpAddr;

use serde_json::Value;

use super::super::fields::{contains, is_set, list, short, text};
use super::super::question::{Party, Question};
use super::super::truth::Truth;
use super::{label, port};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Source,
    Destination,
}

/// Whether an end of the connection is as demanded; yes where nothing is.
pub(super) fn matches(question: &Question<'_>, entity: Option<&Value>, place: Place, scope: Option<&str>) -> Truth {
    let Some(entity) = entity.filter(|entity| entity.is_object()) else { return Truth::Yes };
    let (party, address) = match place {
        Place::Source => question.source(),
        Place::Destination => question.destination(),
    };
    nets(entity, address)
        .and(|| ports(question, entity, place))
        .and(|| selected(question, entity, party, address, scope))
        .and(|| not_selected(question, entity, party, address))
        .and(|| services(question, entity, address, place, scope))
}

fn nets(entity: &Value, address: IpAddr) -> Truth {
    let within = |field| Truth::any(list(entity, field).iter().map(|block| contains(block, address)));
    let wanted = if is_set(entity, "nets") { within("nets") } else { Truth::Yes };
    wanted.and(|| within("notNets").not())
}

fn ports(question: &Question<'_>, entity: &Value, place: Place) -> Truth {
    if place == Place::Source {
        let is_asked = is_set(entity, "ports") || is_set(entity, "notPorts");
        return if is_asked { Truth::Unknown("which port the source has".into()) } else { Truth::Yes };
    }
    let within = |field| Truth::any(list(entity, field).iter().map(|entry| port::is(question, entry)));
    let wanted = if is_set(entity, "ports") { within("ports") } else { Truth::Yes };
    wanted.and(|| within("notPorts").not())
}

/// `selector`, `namespaceSelector`, `serviceAccounts`: without a namespace, a policy in one is about its own.
fn selected(question: &Question<'_>, entity: &Value, party: Party<'_>, address: IpAddr, scope: Option<&str>) -> Truth {
    let (selector, namespaces) = (text(entity, "selector"), text(entity, "namespaceSelector"));
    let accounts = entity.get("serviceAccounts").filter(|accounts| accounts.is_object());
    if selector.is_none() && namespaces.is_none() && accounts.is_none() {
        return Truth::Yes;
    }
    let Party::Pod(pod) = party else {
        return if accounts.is_some() { Truth::No } else { in_a_set(address) };
    };
    let near = match (namespaces, scope) {
        (Some(_), _) | (None, None) => label::namespace_matches(question, pod, namespaces),
        (None, Some(own)) => Truth::of(*pod.id.namespace == *own),
    };
    near.and(|| label::pod_matches(question, pod, selector)).and(|| match accounts {
        None => Truth::Yes,
        Some(accounts) => {
            let own = pod.service_account.as_deref().unwrap_or("default");
            let names = list(accounts, "names");
            let is_named = names.is_empty() || names.iter().any(|name| name.as_str() == Some(own));
            Truth::of(is_named).and(|| label::account_matches(text(accounts, "selector")))
        }
    })
}

fn not_selected(question: &Question<'_>, entity: &Value, party: Party<'_>, address: IpAddr) -> Truth {
    match (text(entity, "notSelector"), party) {
        (None, _) => Truth::Yes,
        (selector @ Some(_), Party::Pod(pod)) => label::pod_matches(question, pod, selector).not(),
        (Some(_), Party::Node(_) | Party::Outside) => in_a_set(address),
    }
}

fn in_a_set(address: IpAddr) -> Truth {
    Truth::Unknown(format!("whether {address} is in a NetworkSet or is a host endpoint of Calico"))
}

/// `services`: the backends of a Service, and their ports where they are the destination.
fn services(question: &Question<'_>, entity: &Value, address: IpAddr, place: Place, scope: Option<&str>) -> Truth {
    let Some(service) = entity.get("services").filter(|service| service.is_object()) else { return Truth::Yes };
    let name = text(service, "name").unwrap_or_default();
    let namespace = text(service, "namespace").or(scope).unwrap_or_default();
    let mut slices =
        question.world.slices().filter(|slice| *slice.service == *name && *slice.id.namespace == *namespace).peekable();
    if slices.peek().is_none() {
        return Truth::Unknown(format!("the backends of the Service {} are not known", short(name)));
    }
    let (port, protocol) = (question.connection.port, question.connection.protocol);
    let is_backend = slices.any(|slice| {
        let has_port = slice.ports.iter().any(|(_, number, of)| (*number, *of) == (port, protocol));
        (place == Place::Source || has_port)
            && slice.backends.iter().any(|backend| backend.addresses.contains(&address))
    });
    Truth::of(is_backend)
}
