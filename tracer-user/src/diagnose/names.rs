//! Who the ends of an attempt are: pods, Services, nodes.
//!
//! Rule: ends are told apart by address and port only, as a name may come later than the first packet. An address that was several
//! pods' in the run has no name.

use std::collections::BTreeSet;

use crate::event::{Drop, Endpoint, PodName};
use crate::sink::thousands;

use super::group::Group;
use super::talk::Talk;

/// The names of two ends; their addresses and ports are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    /// The pod that the server's address was translated to; `None` if that is not known, or was several.
    pub(super) behind: Option<PodName>,
}

impl Names {
    /// `None` if there are none.
    pub(super) fn of(client: &Endpoint, server: &Endpoint, translated: Option<&Endpoint>) -> Option<Box<Self>> {
        let plain = |end: &Endpoint| Endpoint { address: None, port: None, ..end.clone() };
        let behind = translated.and_then(|end| end.pod.clone()).filter(|pod| server.pod.as_ref() != Some(pod));
        let names = Self { client: plain(client), server: plain(server), behind };
        let is_known = names.client != Endpoint::default() || names.server != Endpoint::default();
        (is_known || names.behind.is_some()).then(|| Box::new(names))
    }

    /// Of a dropped packet, whose ends may have been translated since its client sent it.
    pub(super) fn of_drop(drop: &Drop, talk: &Talk) -> Option<Box<Self>> {
        let ends = [&drop.packet.source, &drop.packet.destination];
        let at = |address| ends.into_iter().find(|end| end.address.map(|own| own.to_canonical()) == Some(address));
        let client = at(talk.client).cloned().unwrap_or_default();
        if let Some(server) = at(talk.server) {
            return Self::of(&client, server, None);
        }
        // The server's address is that of a Service, and the packet has that of a pod.
        let behind = ends.into_iter().find(|end| end.service.is_some());
        let service = behind.and_then(|end| end.service.clone());
        Self::of(&client, &Endpoint { service, ..Endpoint::default() }, behind)
    }

    pub(super) fn add(&mut self, other: &Self) {
        add(&mut self.client, &other.client);
        add(&mut self.server, &other.server);
        match (&self.behind, &other.behind) {
            (Some(one), Some(two)) if one != two => self.behind = None,
            (None, Some(two)) if self.server.service.is_none() => self.behind = Some(two.clone()),
            _ => {}
        }
    }
}

fn add(end: &mut Endpoint, other: &Endpoint) {
    match (&end.pod, &other.pod) {
        (Some(one), Some(two)) if one != two => {
            let why = format!("it was that of {} and of {} in this run", text(one), text(two));
            *end = Endpoint { unknown_why: Some(why), ..Endpoint::default() };
        }
        _ if has_name(other) && !has_name(end) && end.unknown_why.is_none() => end.clone_from(other),
        _ if *end == Endpoint::default() => end.clone_from(other),
        _ => {}
    }
}

fn has_name(end: &Endpoint) -> bool {
    end.pod.is_some() || end.service.is_some() || end.node.is_some() || end.name.is_some()
}

fn text(pod: &PodName) -> String {
    format!("{}/{}", pod.namespace, pod.name)
}

/// `pod shop/client (10.244.1.5)`, `3 pods of Deployment shop/client`; `None` if they are not all known.
pub(super) fn named_clients(group: &Group) -> Option<String> {
    let addresses: BTreeSet<_> = group.hits.keys().map(|talk| talk.client).collect();
    let ends: Option<Vec<&Endpoint>> =
        group.hits.values().map(|hit| hit.names.as_deref().map(|names| &names.client)).collect();
    named(&ends?, &addresses.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// `Service shop/web port http (10.96.0.10:80, pod shop/web-0)`, `pod shop/web-0 (10.244.1.7:8080)`.
pub(super) fn named_destination(group: &Group) -> Option<String> {
    let servers = group.servers();
    let addresses: Vec<String> = servers
        .iter()
        .map(|(_, server)| if server.port() == 0 { server.ip().to_string() } else { server.to_string() })
        .collect();
    let names: Option<Vec<&Names>> = group.hits.values().map(|hit| hit.names.as_deref()).collect();
    let names = names?;
    let first = names.first()?;
    let Some(service) = first.server.service.as_ref().filter(|_| first.server.pod.is_none()) else {
        return named(&names.iter().map(|names| &names.server).collect::<Vec<_>>(), &addresses);
    };
    if names.iter().any(|names| names.server.service.as_ref() != Some(service)) {
        return None;
    }
    let port = service.port.as_ref().map(|port| format!(" port {port}")).unwrap_or_default();
    let [address] = addresses.as_slice() else { return None };
    let behind: BTreeSet<_> = names.iter().filter_map(|names| names.behind.as_ref()).collect();
    let pod = match behind.first() {
        Some(pod) if behind.len() == 1 => format!(", pod {}", text(pod)),
        _ => String::new(),
    };
    Some(format!("Service {}/{}{port} ({address}{pod})", service.namespace, service.name))
}

/// One end by its name and address, or several that are pods of one workload.
fn named(ends: &[&Endpoint], addresses: &[String]) -> Option<String> {
    let first = ends.first()?;
    if let [address] = addresses {
        let name = match (&first.pod, &first.node, &first.name) {
            (Some(pod), _, _) => format!("pod {}", text(pod)),
            (None, Some(node), _) => format!("node {node}"),
            (None, None, Some(name)) => name.clone(),
            (None, None, None) => return None,
        };
        return ends.iter().all(|end| end.pod == first.pod).then(|| format!("{name} ({address})"));
    }
    let (workload, namespace) = (first.workload.as_ref()?, &first.pod.as_ref()?.namespace);
    let is_of_it = |end: &&Endpoint| {
        end.workload.as_ref() == Some(workload) && end.pod.as_ref().is_some_and(|pod| pod.namespace == *namespace)
    };
    let pods: BTreeSet<_> = ends.iter().filter_map(|end| end.pod.as_ref()).collect();
    let all = ends.iter().all(is_of_it);
    all.then(|| format!("{} pods of {} {namespace}/{}", thousands(pods.len() as u64), workload.kind, workload.name))
}
