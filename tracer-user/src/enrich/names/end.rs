//! One end, by its address.

use std::net::IpAddr;

use tracer_policy::model::{Pod, Protocol, Service};

use crate::event::{Endpoint, PodName, ServiceName, WorkloadName};
use crate::kubernetes::index::clock;
use crate::kubernetes::{Holder, Index, Span};

use super::known::well_known;

/// Takes all names off.
fn forget(end: &mut Endpoint) {
    *end = Endpoint { address: end.address, port: end.port, ..Endpoint::default() };
}

/// A pod of the pod network, a Service, a node, or what everybody knows the address as; in this order.
pub(super) fn name_end(end: &mut Endpoint, protocol: &str, index: &Index, span: Span) {
    forget(end);
    let Some(address) = end.address else { return };
    match index.pod_at(address, span) {
        Holder::Pod(pod) => name_pod(end, &pod),
        Holder::Contested(why) => end.unknown_why = Some(why),
        Holder::Nobody => name_other(end, address, protocol, index, span),
    }
}

pub(super) fn name_pod(end: &mut Endpoint, pod: &Pod) {
    end.pod = Some(pod_name(pod));
    end.workload = workload_name(pod);
}

fn name_other(end: &mut Endpoint, address: IpAddr, protocol: &str, index: &Index, span: Span) {
    end.service = service_of(address, end.port, protocol, index);
    if end.service.is_some() {
        return;
    }
    if let Some(node) = index.node_at(address) {
        end.node = Some(node.to_string());
    } else if let Some(name) = well_known(address, end.port) {
        end.name = Some(name.to_owned());
    } else if let Some((pod, until)) = index.last_pod_at(address, span.from) {
        end.name = Some(format!("pod {} until {}", pod.id, clock(until)));
    } else if index.is_of_no_pod(address) {
        end.unknown_why = Some("no pod or Service of the cluster has it".to_owned());
    }
}

pub(super) fn pod_name(pod: &Pod) -> PodName {
    PodName { namespace: pod.id.namespace.to_string(), name: pod.id.name.to_string(), uid: pod.uid.to_string() }
}

fn workload_name(pod: &Pod) -> Option<WorkloadName> {
    let workload = pod.workload.as_ref()?;
    Some(WorkloadName { kind: workload.kind.to_string(), name: workload.name.to_string() })
}

/// The Service at an address. Several may share one with other ports; then it is the one that has this port.
pub(super) fn service_of(address: IpAddr, port: Option<u16>, protocol: &str, index: &Index) -> Option<ServiceName> {
    let protocol = Protocol::parse(protocol);
    let has_port = |service: &Service| {
        let mut ports = service.ports.iter();
        ports.find(|known| Some(known.number) == port && Some(known.protocol) == protocol).map(|port| {
            match &port.name {
                Some(name) => name.to_string(),
                None => port.number.to_string(),
            }
        })
    };
    let named = |service: &Service, port| ServiceName {
        namespace: service.id.namespace.to_string(),
        name: service.id.name.to_string(),
        port,
    };
    let address = address.to_canonical();
    let mut services = index.world().services_at(address);
    let (first, second) = (services.next()?, services.next());
    if second.is_none() {
        return Some(named(first, has_port(first)));
    }
    // Where two have the same port too, neither is named.
    let mut fitting = index.world().services_at(address).filter_map(|service| Some((service, has_port(service)?)));
    match (fitting.next(), fitting.next()) {
        (Some((service, port)), None) => Some(named(service, Some(port))),
        _ => None,
    }
}
