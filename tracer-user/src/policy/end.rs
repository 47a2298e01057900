//! The ends of a question, as they are typed: a pod, a Service, an address.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use tracer_policy::World;
use tracer_policy::evaluate::End;
use tracer_policy::model::{ObjectName, Pod, Protocol, Service, TargetPort};

use super::PolicyError;

/// Names that are close are told when there is none of that name.
const MOST_TOLD: usize = 5;

/// One end, found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// `shop/web-0`, or the address.
    pub name: String,
    pod: Option<Arc<Pod>>,
    node: Option<String>,
    address: IpAddr,
    /// The port there: that of the pod where a Service was asked for.
    pub port: u16,
    /// The Service by which it was asked for.
    pub service: Option<String>,
}

impl Resolved {
    fn of_pod(pod: &Arc<Pod>, port: u16) -> Self {
        let address = address_of(pod);
        Self { name: pod.id.to_string(), pod: Some(Arc::clone(pod)), node: None, address, port, service: None }
    }

    fn of_address(world: &World, address: IpAddr, port: u16) -> Self {
        let address = address.to_canonical();
        if let Some(pod) = world.pods_at(address).next() {
            return Self { address, ..Self::of_pod(pod, port) };
        }
        let node = world.nodes().find(|node| node.addresses.contains(&address)).map(|node| node.name.to_string());
        Self { name: address.to_string(), pod: None, node, address, port, service: None }
    }

    /// For the evaluator.
    pub fn end(&self) -> End<'_> {
        match (&self.pod, &self.node) {
            (Some(pod), _) => End::Pod(pod, self.address),
            (None, Some(node)) => End::Node(Some(node), self.address),
            (None, None) => End::Outside(self.address),
        }
    }

    /// A pod as an end, as in a matrix.
    pub(super) fn pod(pod: &Arc<Pod>, port: u16) -> Self {
        Self::of_pod(pod, port)
    }
}

/// Who begins: `NAMESPACE/NAME` of a pod, or an address.
///
/// # Errors
/// [`PolicyError::End`] if there is none.
pub fn source_end(world: &World, given: &str) -> Result<Resolved, PolicyError> {
    let failed = |problem| PolicyError::End { flag: "from", given: given.to_owned(), problem };
    if let Ok(address) = given.parse() {
        return Ok(Resolved::of_address(world, address, 0));
    }
    let id = name(given).ok_or_else(|| failed("give NAMESPACE/POD or an address".to_owned()))?;
    let pod = pod_of(world, &id).ok_or_else(|| failed(nobody(world, &id, "pod")))?;
    Ok(Resolved::of_pod(pod, 0))
}

/// For whom it is: the same, or `NAMESPACE/NAME` of a Service, which stands for each pod behind it.
///
/// # Errors
/// [`PolicyError::End`] if there is none, or no pod behind it.
pub fn destinations(world: &World, given: &str, port: u16, protocol: Protocol) -> Result<Vec<Resolved>, PolicyError> {
    let failed = |problem| PolicyError::End { flag: "to", given: given.to_owned(), problem };
    if let Ok(address) = given.parse::<IpAddr>() {
        return match world.services_at(address).next() {
            Some(service) => behind(world, service, port, protocol).map_err(failed),
            None => Ok(vec![Resolved::of_address(world, address, port)]),
        };
    }
    let (is_service, given_name) = match given.strip_prefix("svc/").or_else(|| given.strip_prefix("service/")) {
        Some(rest) => (true, rest),
        None => (false, given),
    };
    let id = name(given_name).ok_or_else(|| {
        failed("give NAMESPACE/POD, NAMESPACE/SERVICE, svc/NAMESPACE/SERVICE or an address".to_owned())
    })?;
    let service = world.service(&id);
    // A workload and its Service mostly have one name: the Service is meant by its own port.
    let has_port =
        |service: &&Arc<Service>| service.ports.iter().any(|known| known.number == port && known.protocol == protocol);
    let is_meant = is_service || service.as_ref().is_some_and(has_port);
    if let Some(pod) = pod_of(world, &id).filter(|_| !is_meant) {
        return Ok(vec![Resolved::of_pod(pod, port)]);
    }
    let service = service.ok_or_else(|| failed(nobody(world, &id, "pod or Service")))?;
    behind(world, service, port, protocol).map_err(failed)
}

fn name(given: &str) -> Option<ObjectName> {
    let (namespace, name) = given.split_once('/')?;
    let is_name = |text: &str| !text.is_empty() && !text.contains('/');
    (is_name(namespace) && is_name(name)).then(|| ObjectName::new(namespace, name))
}

/// The pod of that name; else one that a workload of that name has made.
pub(super) fn pod_of<'a>(world: &'a World, id: &ObjectName) -> Option<&'a Arc<Pod>> {
    let is_made_by = |pod: &&Arc<Pod>| {
        pod.id.namespace == id.namespace && pod.workload.as_ref().is_some_and(|workload| workload.name == id.name)
    };
    let made = || world.pods().filter(is_made_by).min_by(|a, b| a.id.cmp(&b.id));
    world.pod(id).or_else(made)
}

/// Its first address. A pod that is only planned has none: no range contains it then but that of all addresses.
pub(super) fn address_of(pod: &Pod) -> IpAddr {
    pod.addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// The pods behind a Service, each with its own port.
fn behind(world: &World, service: &Arc<Service>, port: u16, protocol: Protocol) -> Result<Vec<Resolved>, String> {
    let known = service.ports.iter().find(|known| known.number == port && known.protocol == protocol);
    let Some(known) = known else {
        let ports: Vec<String> =
            service.ports.iter().map(|port| format!("{} {}", port.protocol, port.number)).collect();
        return Err(format!("the Service {} has no port {protocol} {port}, but {}", service.id, ports.join(", ")));
    };
    let target = |pod: &Pod| match &known.target {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(name) => {
            pod.ports.iter().find(|port| port.name == *name && port.protocol == protocol).map(|port| port.number)
        }
    };
    let mut pods = selected(world, service);
    pods.sort_by(|a, b| a.id.cmp(&b.id));
    let found: Vec<Resolved> = pods
        .into_iter()
        .filter_map(|pod| {
            let service = Some(service.id.to_string());
            Some(Resolved { service, ..Resolved::of_pod(pod, target(pod)?) })
        })
        .collect();
    if found.is_empty() {
        Err(format!("no pod with that port is behind the Service {}", service.id))
    } else {
        Ok(found)
    }
}

/// By its selector; by its EndpointSlices where somebody else sets them.
fn selected<'a>(world: &'a World, service: &Service) -> Vec<&'a Arc<Pod>> {
    let in_namespace = |pod: &&Arc<Pod>| pod.id.namespace == service.id.namespace && !pod.is_finished;
    if let Some(selector) = &service.selector {
        return world.pods().filter(in_namespace).filter(|pod| selector.matches(&pod.labels)).collect();
    }
    let own =
        world.slices().filter(|slice| slice.id.namespace == service.id.namespace && slice.service == service.id.name);
    let names = own.flat_map(|slice| slice.backends.iter().filter_map(|backend| backend.pod.clone()));
    let ids = names.map(|name| ObjectName { namespace: service.id.namespace.clone(), name });
    ids.filter_map(|id| world.pod(&id)).collect()
}

fn nobody(world: &World, id: &ObjectName, what: &str) -> String {
    let mut near: Vec<String> =
        world.pods().filter(|pod| pod.id.namespace == id.namespace).map(|pod| pod.id.to_string()).collect();
    near.sort_unstable();
    near.truncate(MOST_TOLD);
    match near.as_slice() {
        [] => format!("there is no {what} {id}, and no pod in the namespace {}", id.namespace),
        near => format!("there is no {what} {id}; pods of this namespace are {}", near.join(", ")),
    }
}
