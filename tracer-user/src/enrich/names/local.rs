//! The end on this machine, by the socket that owns the packet or by the program that holds it.
//!
//! Rule: only for an address that is no pod's own: pods with `hostNetwork` share those of the node.

use std::sync::Arc;

use tracer_policy::model::Pod;

use crate::event::{Drop, Endpoint, Hook};
use crate::kubernetes::{Index, Span};

use super::end::{name_pod, pod_name};

/// Names the process of a drop, and the end that is its.
pub(super) fn name_local(drop: &mut Drop, index: &Index, span: Span) {
    let holder = drop.process.as_ref().and_then(|process| process.container.as_deref());
    let of_process = holder.and_then(|container| index.pod_of_container(container).pod().cloned());
    let cgroup = drop.socket.as_ref().and_then(|socket| socket.cgroup);
    let of_socket = cgroup.and_then(|cgroup| index.pod_of_cgroup(cgroup, span).pod().cloned());
    if let Some(process) = &mut drop.process {
        process.pod = of_process.as_deref().map(pod_name);
    }
    let Some(pod) = of_socket.or(of_process) else { return };
    let end = match drop.hook {
        Hook::Input | Hook::Socket => Some(&mut drop.packet.destination),
        Hook::Output | Hook::Postrouting | Hook::Egress | Hook::Qdisc => Some(&mut drop.packet.source),
        _ => None,
    };
    if let Some(end) = end.filter(|end| is_shared(end, &pod)) {
        name_pod(end, &pod);
    }
}

/// Whether an address may be that of a pod's process though it is not the pod's own.
fn is_shared(end: &Endpoint, pod: &Arc<Pod>) -> bool {
    let Some(address) = end.address.map(|address| address.to_canonical()) else { return false };
    let is_nodes = end.node.is_some() || address.is_loopback() || pod.addresses.contains(&address);
    end.pod.is_none() && end.service.is_none() && end.unknown_why.is_none() && pod.host_network && is_nodes
}
