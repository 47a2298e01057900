//! Pods (core/v1).
//!
//! Rule: a pod that its node's kubelet made from a file has no workload; a ReplicaSet that a Deployment made stands for it.

use serde::Deserialize;
use serde_json::Value;

use super::address;
use super::error::{Fault, ReadError, each};
use super::interner::Interner;
use super::meta::{Meta, titled};
use super::port::{number, protocol};
use crate::model::{ContainerPort, Pod, Workload};

#[derive(Deserialize)]
struct Manifest<'a> {
    #[serde(borrow, default)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

/// `PodSpec`, also that of a template.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec<'a> {
    node_name: Option<&'a str>,
    host_network: Option<bool>,
    service_account_name: Option<&'a str>,
    #[serde(borrow)]
    containers: Option<Vec<Container<'a>>>,
    #[serde(borrow)]
    init_containers: Option<Vec<Container<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container<'a> {
    restart_policy: Option<&'a str>,
    #[serde(borrow)]
    ports: Option<Vec<Port<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port<'a> {
    name: Option<&'a str>,
    #[serde(rename = "containerPort")]
    number: i64,
    protocol: Option<&'a str>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    phase: Option<&'a str>,
    #[serde(borrow, rename = "podIPs")]
    pod_ips: Option<Vec<Address<'a>>>,
    #[serde(rename = "podIP")]
    pod_ip: Option<&'a str>,
    #[serde(borrow, rename = "hostIPs")]
    host_ips: Option<Vec<Address<'a>>>,
    #[serde(rename = "hostIP")]
    host_ip: Option<&'a str>,
}

#[derive(Deserialize)]
struct Address<'a> {
    ip: Option<&'a str>,
}

/// Reads a pod of the API.
pub fn pod(value: &Value, interner: &mut Interner) -> Result<Pod, ReadError> {
    titled("Pod", value, |manifest: Manifest<'_>| manifest.read(interner))
}

impl Manifest<'_> {
    fn read(self, interner: &mut Interner) -> Result<Pod, Fault> {
        let id = self.metadata.namespaced(interner)?;
        let mut pod = Pod::new(id.namespace, id.name, self.metadata.uid.unwrap_or_default());
        pod.labels = self.metadata.labels(interner)?;
        pod.workload = workload(&self.metadata, interner);
        let status = self.status.unwrap_or_default();
        pod.is_finished = matches!(status.phase, Some("Succeeded" | "Failed"));
        if let Some(spec) = self.spec {
            pod.node = spec.node_name.filter(|node| !node.is_empty()).map(|node| interner.text(node));
            spec.read_into(&mut pod, interner).map_err(|fault| fault.under("spec"))?;
        }
        pod.addresses = status.addresses(pod.host_network).map_err(|fault| fault.under("status"))?;
        Ok(pod)
    }
}

impl Spec<'_> {
    /// What a template tells as well.
    pub(super) fn read_into(self, pod: &mut Pod, interner: &mut Interner) -> Result<(), Fault> {
        pod.host_network = self.host_network.unwrap_or_default();
        let account = self.service_account_name.filter(|account| !account.is_empty());
        pod.service_account = account.map(|account| interner.text(account));
        let mut ports = Vec::new();
        let sidecars = each("initContainers", self.init_containers, |container| {
            // One that starts before the others and stays; others have ended when the pod is connected to.
            let stays = container.restart_policy == Some("Always");
            if stays { container.ports(interner) } else { Ok(Box::default()) }
        })?;
        let containers = each("containers", self.containers, |container| container.ports(interner))?;
        ports.extend(containers.into_iter().chain(sidecars).flatten());
        pod.ports = ports.into();
        Ok(())
    }
}

impl Container<'_> {
    /// Those with a name.
    fn ports(self, interner: &mut Interner) -> Result<Box<[ContainerPort]>, Fault> {
        let ports = each("ports", self.ports, |port| {
            let number = number(port.number).map_err(|fault| fault.under("containerPort"))?;
            let protocol = protocol(port.protocol)?;
            let name = port.name.filter(|name| !name.is_empty());
            Ok(name.map(|name| ContainerPort { name: interner.text(name), number, protocol }))
        })?;
        Ok(ports.into_iter().flatten().collect())
    }
}

impl Status<'_> {
    fn addresses(self, is_host: bool) -> Result<Box<[std::net::IpAddr]>, Fault> {
        let read = |field, list, single: Option<&str>| {
            let listed = each(field, list, |address: Address<'_>| {
                let text = address.ip.filter(|ip| !ip.is_empty());
                text.map(|ip| self::address(ip).map_err(|fault| fault.under("ip"))).transpose()
            })?;
            let listed: Box<[_]> = listed.into_iter().flatten().collect();
            match single.filter(|ip| listed.is_empty() && !ip.is_empty()) {
                Some(ip) => Ok([address(ip).map_err(|fault| fault.under(field.trim_end_matches('s')))?].into()),
                None => Ok(listed),
            }
        };
        let own = read("podIPs", self.pod_ips, self.pod_ip)?;
        if own.is_empty() && is_host { read("hostIPs", self.host_ips, self.host_ip) } else { Ok(own) }
    }
}

fn workload(meta: &Meta<'_>, interner: &mut Interner) -> Option<Workload> {
    let owner = meta.controller().filter(|owner| owner.kind != "Node")?;
    let hash = meta.labels.as_ref().and_then(|labels| labels.get("pod-template-hash").copied());
    let deployment = hash
        .filter(|hash| owner.kind == "ReplicaSet" && !hash.is_empty())
        .and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'))
        .filter(|name| !name.is_empty());
    let (kind, name) = deployment.map_or((owner.kind, owner.name), |name| ("Deployment", name));
    Some(Workload { kind: interner.text(kind), name: interner.text(name) })
}
