//! Names of pods, workloads, Services and nodes for the ends of an event.
//!
//! Rule: a function of the event, the index and the time that the event stands for; an end that can't be named for sure has
//! `unknown_why`, never somebody else's name.

mod end;
mod known;
mod local;
mod steady;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::event::{ConntrackEnd, ConntrackTuple, Counter, Dns, Drop, Endpoint, Flow, Netns};
use crate::kubernetes::{Index, Span};

use end::{name_end, name_pod, pod_name, service_of};

pub use steady::{is_steady, keep_names};

pub(crate) use known::{LOCAL_DNS, METADATA, WIRE_SERVER};

/// Names the ends, the namespace and the process of a drop. Names that it had are replaced.
pub fn name_drop(drop: &mut Drop, index: &Index, span: Span) {
    let pod = index.pod_of_netns(drop.netns.inode, span);
    drop.netns.pod = pod.pod().map(|pod| pod_name(pod));
    let protocol = drop.packet.protocol.as_str();
    for end in [&mut drop.packet.source, &mut drop.packet.destination] {
        name_end(end, protocol, index, span);
        // Loopback addresses are those of the pod in whose namespace the packet is.
        let is_loopback = end.address.is_some_and(|address| address.to_canonical().is_loopback());
        if let Some(pod) = pod.pod().filter(|_| is_loopback) {
            name_pod(end, pod);
        }
    }
    name_translated(drop, index);
    local::name_local(drop, index, span);
}

/// The same of an attempt, and of where it was seen.
pub fn name_flow(flow: &mut Flow, index: &Index, span: Span) {
    for seen in &mut flow.seen {
        name_netns(&mut seen.netns, index, span);
    }
    name_end(&mut flow.source, &flow.protocol, index, span);
    name_end(&mut flow.destination, &flow.protocol, index, span);
    if let Some(ends) = &mut flow.translated {
        name_end(&mut ends.source, &flow.protocol, index, span);
        name_end(&mut ends.destination, &flow.protocol, index, span);
        through(&mut ends.destination, &flow.destination);
    }
}

/// The same of a DNS query.
pub fn name_dns(dns: &mut Dns, index: &Index, span: Span) {
    name_netns(&mut dns.netns, index, span);
    if let Some(netns) = &mut dns.client_netns {
        name_netns(netns, index, span);
    }
    name_end(&mut dns.client, &dns.protocol, index, span);
    name_end(&mut dns.server, &dns.protocol, index, span);
    if let Some(translated) = &mut dns.translated {
        name_end(translated, &dns.protocol, index, span);
        through(translated, &dns.server);
    }
}

/// The same of a counter.
pub fn name_counter(counter: &mut Counter, index: &Index, span: Span) {
    name_netns(&mut counter.netns, index, span);
}

/// Says whose namespace it is.
pub fn name_netns(netns: &mut Netns, index: &Index, span: Span) {
    netns.pod = index.pod_of_netns(netns.inode, span).pod().map(|pod| pod_name(pod));
}

/// What was reached through the address of a Service says so.
fn through(end: &mut Endpoint, before: &Endpoint) {
    if end.service.is_none() && end.address != before.address {
        end.service.clone_from(&before.service);
    }
}

/// The Service through whose address an end was reached, where connection tracking has put another in its place.
fn name_translated(drop: &mut Drop, index: &Index) {
    let Some(conntrack) = &drop.conntrack else { return };
    let (Some(original), Some(reply)) = (&conntrack.original, &conntrack.reply) else { return };
    let is_same = |end: &ConntrackEnd, address: IpAddr| end.address.to_canonical() == address.to_canonical();
    let ConntrackTuple { protocol, destination, .. } = original;
    if is_same(&reply.source, destination.address) && reply.source.port == destination.port {
        return;
    }
    for end in [&mut drop.packet.source, &mut drop.packet.destination] {
        let is_server = end.address.is_some_and(|address| is_same(&reply.source, address))
            && (end.port.is_none() || end.port == reply.source.port);
        if is_server && end.service.is_none() {
            end.service = service_of(destination.address, destination.port, protocol, index);
        }
    }
}
