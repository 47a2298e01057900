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
    node_addresses: HashMap<IpAddr, Text>,
    services: HashMap<ObjectName, Arc<Service>>,
    service_addresses: HashMap<IpAddr, Vec<ObjectName>>,
    slices: HashMap<ObjectName, Arc<Slice>>,
    policies: BTreeMap<PolicyId, Arc<Policy>>,
    /// Policies by namespace, in the order of kind and name; those of the whole cluster under the empty name.
    by_namespace: HashMap<Text, Vec<Arc<Policy>>>,
    are_policies_known: bool,
}

impl World {
    pub fn set_pod(&mut self, pod: Arc<Pod>) {
        self.remove_pod(&pod.id);
        for address in pod.addresses.iter().filter(|_| !pod.host_network && !pod.is_finished) {
            self.addresses.entry(address.to_canonical()).or_default().push(pod.id.clone());
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

    /// Pods of the pod network that have this address now (an IPv4 one may be written as IPv6); more than one only while it changes hands.
    pub fn pods_at(&self, address: IpAddr) -> impl Iterator<Item = &Arc<Pod>> {
        self.addresses.get(&address.to_canonical()).into_iter().flatten().filter_map(|id| self.pods.get(id))
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
        self.remove_node(&node.name);
        for address in &node.addresses {
            self.node_addresses.insert(address.to_canonical(), Arc::clone(&node.name));
        }
        self.nodes.insert(Arc::clone(&node.name), node);
    }

    pub fn remove_node(&mut self, name: &str) {
        for address in self.nodes.remove(name).iter().flat_map(|node| &node.addresses) {
            let address = address.to_canonical();
            if self.node_addresses.get(&address).is_some_and(|owner| **owner == *name) {
                self.node_addresses.remove(&address);
            }
        }
    }

    /// The node that has this address; the last that said so, if several do.
    pub fn node_at(&self, address: IpAddr) -> Option<&Node> {
        self.nodes.get(self.node_addresses.get(&address.to_canonical())?)
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
            self.service_addresses.entry(address.to_canonical()).or_default().push(service.id.clone());
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
        self.service_addresses.get(&address.to_canonical()).into_iter().flatten().filter_map(|id| self.services.get(id))
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
        let policies = self.by_namespace.entry(Arc::clone(&id.id.namespace)).or_default();
        match position(policies, &id) {
            Ok(at) => policies.splice(at..=at, [Arc::clone(&policy)]).for_each(drop),
            Err(at) => policies.insert(at, Arc::clone(&policy)),
        }
        self.policies.insert(id, policy);
    }

    pub fn remove_policy(&mut self, id: &PolicyId) {
        if self.policies.remove(id).is_none() {
            return;
        }
        if let Some(policies) = self.by_namespace.get_mut(&id.id.namespace) {
            if let Ok(at) = position(policies, id) {
                policies.remove(at);
            }
            if policies.is_empty() {
                self.by_namespace.remove(&id.id.namespace);
            }
        }
    }

    pub fn policy(&self, id: &PolicyId) -> Option<&Arc<Policy>> {
        self.policies.get(id)
    }

    /// In the order of kind, namespace and name.
    pub fn policies(&self) -> impl Iterator<Item = &Arc<Policy>> {
        self.policies.values()
    }

    /// Policies of a namespace, in the order of kind and name; those of the whole cluster have the empty one.
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
    let address = address.to_canonical();
    if let Some(ids) = names.get_mut(&address) {
        ids.retain(|known| known != id);
        if ids.is_empty() {
            names.remove(&address);
        }
    }
}

/// Where a policy is, or would be, in the list of its namespace.
fn position(policies: &[Arc<Policy>], id: &PolicyId) -> Result<usize, usize> {
    policies.binary_search_by(|policy| (policy.kind(), policy.name()).cmp(&(id.kind, &id.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Labels, NetworkPolicy, Selector};

    fn policy(name: &str, has_rules: bool) -> Arc<Policy> {
        let (id, ingress) = (ObjectName::new("shop", name), has_rules.then(Box::default));
        Arc::new(Policy::Network(NetworkPolicy { id, pods: Selector::default(), ingress, egress: None }))
    }

    #[test]
    fn policies_of_a_namespace_are_in_order_replaced_and_removed() {
        let mut world = World::default();
        for (name, has_rules) in [("b", false), ("c", false), ("a", false), ("b", true)] {
            world.set_policy(policy(name, has_rules));
        }
        let names =
            |world: &World| -> String { world.policies_in("shop").iter().map(|one| &*one.name().name).collect() };
        assert_eq!(names(&world), "abc");
        assert_eq!(*world.policies_in("shop")[1], *policy("b", true));
        world.remove_policy(&policy("b", true).id());
        world.remove_policy(&policy("b", true).id());
        assert_eq!((names(&world).as_str(), world.policies().count()), ("ac", 2));
        assert!(world.policies_in("").is_empty());
    }

    #[test]
    fn a_node_is_found_by_its_address_until_another_has_it() {
        let mut world = World::default();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        for name in ["n1", "n2"] {
            let (addresses, pod_ranges) = ([address].into(), Box::default());
            world.set_node(Node { name: name.into(), labels: Labels::default(), addresses, pod_ranges });
        }
        world.remove_node("n1");
        assert_eq!(world.node_at("::ffff:10.0.0.1".parse().unwrap()).map(|node| &*node.name), Some("n2"));
        world.remove_node("n2");
        assert!(world.node_at(address).is_none());
    }

    #[test]
    fn a_pod_is_found_by_either_form_of_its_address() {
        let mut world = World::default();
        let mut pod = Pod::new("shop", "web", "1");
        pod.addresses = ["::ffff:10.1.0.1".parse().unwrap()].into();
        let id = pod.id.clone();
        world.set_pod(Arc::new(pod));
        for form in ["10.1.0.1", "::ffff:10.1.0.1"] {
            assert_eq!(world.pods_at(form.parse().unwrap()).count(), 1, "{form}");
        }
        world.remove_pod(&id);
        assert_eq!(world.pods_at("10.1.0.1".parse().unwrap()).count(), 0);
    }
}
