//! All objects that policies are evaluated against, by name and by address.
//!
//! Rule: looking something up is a hash; nothing here walks all pods.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Namespace, Node, ObjectName, Pod, Policy, PolicyId, Service, Slice, Text};

/// A cluster, as far as it is known. Objects are replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct World {
    pods: HashMap<ObjectName, Arc<Pod>>,
    addresses: HashMap<IpAddr, Vec<ObjectName>>,
    namespaces: HashMap<Text, Namespace>,
    nodes: HashMap<Text, Node>,
    services: HashMap<ObjectName, Arc<Service>>,
    service_addresses: HashMap<IpAddr, Vec<ObjectName>>,
    slices: HashMap<ObjectName, Arc<Slice>>,
    policies: BTreeMap<PolicyId, Arc<Policy>>,
    /// Policies by namespace; those of the whole cluster under the empty name.
    by_namespace: HashMap<Text, Vec<Arc<Policy>>>,
    are_policies_known: bool,
}

impl World {
    pub fn set_pod(&mut self, pod: Arc<Pod>) {
        self.remove_pod(&pod.id);
        for address in pod.addresses.iter().filter(|_| !pod.host_network && !pod.is_finished) {
            self.addresses.entry(*address).or_default().push(pod.id.clone());
        }
        self.pods.insert(pod.id.clone(), pod);
    }

    pub fn remove_pod(&mut self, id: &ObjectName) -> Option<Arc<Pod>> {
        let pod = self.pods.remove(id)?;
        for address in &pod.addresses {
            remove_name(&mut self.addresses, address, id);
        }
        Some(pod)
    }

    pub fn pod(&self, id: &ObjectName) -> Option<&Arc<Pod>> {
        self.pods.get(id)
    }

    pub fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.pods.values()
    }

    /// Pods of the pod network that have this address now; more than one only while it changes hands.
    pub fn pods_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Pod>> {
        self.addresses.get(&address).into_iter().flatten().filter_map(|id| self.pods.get(id))
    }

    pub fn set_namespace(&mut self, namespace: Namespace) {
        self.namespaces.insert(Arc::clone(&namespace.name), namespace);
    }

    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.namespaces.get(name)
    }

    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.values()
    }

    pub fn set_node(&mut self, node: Node) {
        self.nodes.insert(Arc::clone(&node.name), node);
    }

    pub fn remove_node(&mut self, name: &str) {
        self.nodes.remove(name);
    }

    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    pub fn set_service(&mut self, service: Arc<Service>) {
        self.remove_service(&service.id);
        for address in &service.addresses {
            self.service_addresses.entry(*address).or_default().push(service.id.clone());
        }
        self.services.insert(service.id.clone(), service);
    }

    pub fn remove_service(&mut self, id: &ObjectName) {
        if let Some(service) = self.services.remove(id) {
            for address in &service.addresses {
                remove_name(&mut self.service_addresses, address, id);
            }
        }
    }

    pub fn service(&self, id: &ObjectName) -> Option<&Arc<Service>> {
        self.services.get(id)
    }

    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.services.values()
    }

    /// Services with this address (an external address may be shared by several, with other ports).
    pub fn services_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Service>> {
        self.service_addresses.get(&address).into_iter().flatten().filter_map(|id| self.services.get(id))
    }

    pub fn set_slice(&mut self, slice: Arc<Slice>) {
        self.slices.insert(slice.id.clone(), slice);
    }

    pub fn remove_slice(&mut self, id: &ObjectName) {
        self.slices.remove(id);
    }

    pub fn slices(&self) -> impl Iterator<Item = &Arc<Slice>> {
        self.slices.values()
    }

    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        let id = policy.id();
        self.remove_policy(&id);
        self.by_namespace.entry(Arc::clone(&id.id.namespace)).or_default().push(Arc::clone(&policy));
        self.policies.insert(id, policy);
    }

    pub fn remove_policy(&mut self, id: &PolicyId) {
        if self.policies.remove(id).is_none() {
            return;
        }
        if let Some(policies) = self.by_namespace.get_mut(&id.id.namespace) {
            policies.retain(|policy| policy.id() != *id);
        }
    }

    pub fn policy(&self, id: &PolicyId) -> Option<&Arc<Policy>> {
        self.policies.get(id)
    }

    /// In the order of kind, namespace and name.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }

    /// Policies of a namespace; those of the whole cluster have the empty one.
    pub fn policies_in(&self, namespace: &str) -> &[Arc<Policy>] {
        self.by_namespace.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Whether "no policy" means that there is none: false until a whole list of NetworkPolicies was read.
    pub fn knows_policies(&self) -> bool {
        self.are_policies_known
    }

    pub fn set_knows_policies(&mut self, known: bool) {
        self.are_policies_known = known;
    }
}

fn remove_name(names: &mut HashMap<IpAddr, Vec<ObjectName>>, address: &IpAddr, id: &ObjectName) {
    if let Some(ids) = names.get_mut(address) {
        ids.retain(|known| known != id);
        if ids.is_empty() {
            names.remove(address);
        }
    }
}
