//! Services (core/v1) and EndpointSlices (discovery.k8s.io/v1 and v1beta1).
//!
//! Rule: a backend whose readiness is not told is ready, as the API demands.

use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, ReadError, each};
use super::interner::Interner;
use super::meta::{Meta, Pairs, titled};
use super::port::{Port, name, number, protocol};
use super::selector::of_labels;
use super::{address, present};
use crate::model::{Backend, Service, ServicePort, Slice, TargetPort, Text};

/// Of a slice: the Service that it belongs to.
const SERVICE_LABEL: &str = "kubernetes.io/service-name";

#[derive(Deserialize)]
struct Manifest<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    r#type: Option<&'a str>,
    #[serde(borrow, rename = "clusterIPs")]
    cluster_ips: Option<Vec<&'a str>>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<&'a str>,
    #[serde(borrow, rename = "externalIPs")]
    external_ips: Option<Vec<&'a str>>,
    #[serde(borrow)]
    ports: Option<Vec<SpecPort<'a>>>,
    #[serde(borrow)]
    selector: Option<Pairs<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SpecPort<'a> {
    name: Option<&'a str>,
    protocol: Option<&'a str>,
    port: i64,
    #[serde(borrow)]
    target_port: Option<Port<'a>>,
    node_port: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    load_balancer: Option<LoadBalancer<'a>>,
}

#[derive(Default, Deserialize)]
struct LoadBalancer<'a> {
    #[serde(borrow)]
    ingress: Option<Vec<Entrance<'a>>>,
}

#[derive(Deserialize)]
struct Entrance<'a> {
    ip: Option<&'a str>,
}

/// Reads a Service of the API.
pub fn service(value: &Value, interner: &mut Interner) -> Result<Service, ReadError> {
    titled("Service", value, |manifest: Manifest<'_>| manifest.read(interner))
}

impl Manifest<'_> {
    fn read(self, interner: &mut Interner) -> Result<Service, Fault> {
        let spec = self.spec.unwrap_or_default();
        // "None": headless; empty: not given yet.
        let own = |text: &str| (!text.is_empty() && text != "None").then(|| address(text)).transpose();
        let listed = each("spec.clusterIPs", spec.cluster_ips, own)?;
        let single = spec.cluster_ip.filter(|_| listed.iter().all(Option::is_none)).map(own).transpose();
        let single = single.map_err(|fault| fault.under("spec.clusterIP"))?.flatten();
        let external = each("spec.externalIPs", spec.external_ips, address)?;
        let balancer = self.status.unwrap_or_default().load_balancer.unwrap_or_default();
        let entrances = each("status.loadBalancer.ingress", balancer.ingress, |entrance| {
            present(entrance.ip).map(|ip| address(ip).map_err(|fault| fault.under("ip"))).transpose()
        })?;
        let selects = spec.r#type != Some("ExternalName");
        let selector = spec.selector.filter(|labels| selects && !labels.is_empty());
        let selector = selector.map(|labels| of_labels(&labels, interner)).transpose();
        Ok(Service {
            id: self.metadata.namespaced(interner)?,
            addresses: listed.into_iter().chain([single]).chain(entrances).flatten().chain(external).collect(),
            ports: each("spec.ports", spec.ports, |port| port.read(interner))?,
            selector: selector.map_err(|fault| fault.under("spec.selector"))?,
        })
    }
}

impl SpecPort<'_> {
    fn read(self, interner: &mut Interner) -> Result<ServicePort, Fault> {
        let own = number(self.port).map_err(|fault| fault.under("port"))?;
        let target = match self.target_port {
            None | Some(Port::Number(0) | Port::Name("")) => Ok(TargetPort::Number(own)),
            Some(Port::Number(target)) => number(target).map(TargetPort::Number),
            Some(Port::Name(text)) => name(text).map(|name| TargetPort::Name(interner.text(name))),
        };
        let node_port = self.node_port.filter(|port| *port != 0).map(number).transpose();
        Ok(ServicePort {
            name: present(self.name).map(|name| interner.text(name)),
            number: own,
            protocol: protocol(self.protocol)?,
            target: target.map_err(|fault| fault.under("targetPort"))?,
            node_port: node_port.map_err(|fault| fault.under("nodePort"))?,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SliceManifest<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
    address_type: Option<&'a str>,
    #[serde(borrow)]
    endpoints: Option<Vec<Endpoint<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<SlicePort<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(borrow)]
    addresses: Option<Vec<&'a str>>,
    conditions: Option<Conditions>,
    #[serde(borrow)]
    target_ref: Option<Target<'a>>,
}

#[derive(Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

#[derive(Deserialize)]
struct Target<'a> {
    kind: Option<&'a str>,
    name: Option<&'a str>,
}

#[derive(Deserialize)]
struct SlicePort<'a> {
    name: Option<&'a str>,
    port: Option<i64>,
    protocol: Option<&'a str>,
}

/// Reads an EndpointSlice of the API; `None` if it belongs to no Service.
pub fn slice(value: &Value, interner: &mut Interner) -> Result<Option<Slice>, ReadError> {
    titled("EndpointSlice", value, |manifest: SliceManifest<'_>| manifest.read(interner))
}

impl SliceManifest<'_> {
    fn read(self, interner: &mut Interner) -> Result<Option<Slice>, Fault> {
        let service = self.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_LABEL).copied());
        let Some(service) = present(service) else { return Ok(None) };
        // Names instead of addresses: nothing that a packet has.
        let endpoints = self.endpoints.filter(|_| self.address_type != Some("FQDN"));
        let ports = each("ports", self.ports, |port| port.read(interner))?;
        Ok(Some(Slice {
            id: self.metadata.namespaced(interner)?,
            service: interner.text(service),
            backends: each("endpoints", endpoints, |endpoint| endpoint.read(interner))?,
            ports: ports.into_iter().flatten().collect(),
        }))
    }
}

impl Endpoint<'_> {
    fn read(self, interner: &mut Interner) -> Result<Backend, Fault> {
        let target = self.target_ref.filter(|target| target.kind == Some("Pod"));
        Ok(Backend {
            addresses: each("addresses", self.addresses, address)?,
            pod: target.and_then(|target| present(target.name)).map(|name| interner.text(name)),
            is_ready: self.conditions.and_then(|conditions| conditions.ready).unwrap_or(true),
        })
    }
}

impl SlicePort<'_> {
    /// None for a port without a number, which stands for all ports.
    fn read(self, interner: &mut Interner) -> Result<Option<(Text, u16, crate::model::Protocol)>, Fault> {
        let Some(port) = self.port else { return Ok(None) };
        let number = number(port).map_err(|fault| fault.under("port"))?;
        Ok(Some((interner.text(self.name.unwrap_or_default()), number, protocol(self.protocol)?)))
    }
}
