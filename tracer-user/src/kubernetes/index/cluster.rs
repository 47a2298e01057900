//! What the index keeps of the cluster beside its pods: nodes by address, their ranges of pod addresses, and what a new listing
//! leaves out.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use tracer_policy::World;
use tracer_policy::model::{Node, ObjectName, PolicyId, Text};
use tracer_policy::read::Object;

use super::{Gone, Kind};

#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    nodes: HashMap<IpAddr, Text>,
    /// By their first address; those of nodes do not overlap.
    ranges: BTreeMap<IpAddr, IpNet>,
    is_whole: bool,
    is_listed: bool,
}

impl Cluster {
    pub(super) fn new(is_whole: bool) -> Self {
        Self { is_whole, ..Self::default() }
    }

    /// The API has listed its pods, and tells what happens to them.
    pub(super) fn set_listed(&mut self, is_listed: bool) {
        self.is_listed = is_listed;
    }

    pub(super) fn node_at(&self, address: IpAddr) -> Option<&Text> {
        self.nodes.get(&address)
    }

    pub(super) fn is_free_of_pods(&self, address: IpAddr) -> bool {
        let range = self.ranges.range(..=address).next_back();
        self.is_whole && self.is_listed && range.is_some_and(|(_, range)| range.contains(&address))
    }

    pub(super) fn add(&mut self, world: &mut World, object: Object) {
        if let Object::Node(node) = &object {
            self.remove_node(world, &node.name);
            self.nodes.extend(node.addresses.iter().map(|address| (address.to_canonical(), node.name.clone())));
            self.ranges.extend(node.pod_ranges.iter().map(|range| (range.network(), *range)));
        }
        world.add(object);
    }

    pub(super) fn remove(&mut self, world: &mut World, gone: &Gone) {
        match gone {
            Gone::Namespace(name) => world.remove_namespace(name),
            Gone::Node(name) => {
                self.remove_node(world, name);
                world.remove_node(name);
            }
            Gone::Service(id) => world.remove_service(id),
            Gone::Slice(id) => world.remove_slice(id),
            Gone::Policy(id) => world.remove_policy(id),
        }
    }

    /// Takes away what a new listing of a kind does not have.
    pub(super) fn keep_only(&mut self, world: &mut World, kind: Kind, names: &HashSet<ObjectName>) {
        let is_left = |id: &ObjectName| !names.contains(id);
        let alone = |name: &Text| ObjectName { namespace: "".into(), name: name.clone() };
        let gone: Vec<Gone> = match kind {
            Kind::Namespace => {
                let all = world.namespaces().map(|namespace| &namespace.name);
                all.filter(|name| is_left(&alone(name))).cloned().map(Gone::Namespace).collect()
            }
            Kind::Node => {
                let all = world.nodes().map(|node| &node.name);
                all.filter(|name| is_left(&alone(name))).cloned().map(Gone::Node).collect()
            }
            Kind::Service => {
                let all = world.services().map(|service| &service.id);
                all.filter(|id| is_left(id)).cloned().map(Gone::Service).collect()
            }
            Kind::Slice => {
                let all = world.slices().map(|slice| &slice.id);
                all.filter(|id| is_left(id)).cloned().map(Gone::Slice).collect()
            }
            Kind::Policy(kind) => {
                let all = world.policies().map(|policy| policy.id()).filter(|id| id.kind == kind);
                all.filter(|PolicyId { id, .. }| is_left(id)).map(Gone::Policy).collect()
            }
        };
        for gone in &gone {
            self.remove(world, gone);
        }
    }

    fn remove_node(&mut self, world: &World, name: &Text) {
        let Some(Node { addresses, pod_ranges, .. }) = world.node(name) else { return };
        for address in addresses {
            if self.nodes.get(&address.to_canonical()) == Some(name) {
                self.nodes.remove(&address.to_canonical());
            }
        }
        for range in pod_ranges {
            self.ranges.remove(&range.network());
        }
    }
}
