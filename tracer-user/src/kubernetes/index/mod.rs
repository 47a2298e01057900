//! Everything that is known of pods and the cluster, by address, namespace number, container and name.
//!
//! Rule: sources only add and take away what they saw; who had what at which time is decided here. Times are `CLOCK_MONOTONIC`
//! nanoseconds, as in events.

mod change;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tracer_policy::World;
use tracer_policy::model::{ObjectName, Pod};

pub use change::{Change, ContainerSeen, Gone, Kind, Origin, PodSeen};

/// The time that a line stands for: its packets were seen in it, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    pub const fn at(time: u64) -> Self {
        Self { from: time, to: time }
    }
}

/// Who had something in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Pod(Arc<Pod>),
    Nobody,
    /// It changed hands, or two claim it: why no name is given.
    Contested(String),
}

impl Holder {
    pub fn pod(&self) -> Option<&Arc<Pod>> {
        match self {
            Self::Pod(pod) => Some(pod),
            Self::Nobody | Self::Contested(_) => None,
        }
    }
}

/// What is known by now, and of what has just gone.
#[derive(Clone, Debug, Default)]
pub struct Index {
    world: World,
    netns: HashMap<u32, ObjectName>,
    containers: HashMap<String, ObjectName>,
    cgroups: HashMap<u64, ObjectName>,
}

impl Index {
    /// The cluster as it is now.
    pub fn world(&self) -> &World {
        &self.world
    }

    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Pod(seen) => self.add(*seen),
            Change::PodGone { id, .. } => {
                self.world.remove_pod(&id);
            }
            Change::Object(object) => self.world.add(object),
            Change::PodsAre { .. } | Change::Gone(_) | Change::KindIs { .. } => {}
            Change::PoliciesKnown(known) => self.world.set_knows_policies(known),
        }
    }

    fn add(&mut self, seen: PodSeen) {
        let id = seen.pod.id.clone();
        if let Some(netns) = seen.netns {
            self.netns.insert(netns, id.clone());
        }
        for container in seen.containers {
            self.cgroups.extend(container.cgroup.map(|cgroup| (cgroup, id.clone())));
            self.containers.insert(container.id, id.clone());
        }
        self.world.set_pod(Arc::new(seen.pod));
    }

    /// The pod whose network namespace has this number; never the host's.
    pub fn pod_of_netns(&self, netns: u32, _span: Span) -> Holder {
        self.named(self.netns.get(&netns))
    }

    /// The pod of the pod network that has the address.
    pub fn pod_at(&self, address: IpAddr, _span: Span) -> Holder {
        let mut pods = self.world.pods_at(address);
        match (pods.next(), pods.next()) {
            (Some(pod), None) => Holder::Pod(Arc::clone(pod)),
            (None, _) => Holder::Nobody,
            (Some(_), Some(_)) => Holder::Contested(format!("more than one pod claims {address}")),
        }
    }

    /// The pod of a container, by the 64 hexadecimal digits that its runtime gave it.
    pub fn pod_of_container(&self, container: &str) -> Holder {
        self.named(self.containers.get(container))
    }

    /// The pod of a cgroup v2 id.
    pub fn pod_of_cgroup(&self, cgroup: u64, _span: Span) -> Holder {
        self.named(self.cgroups.get(&cgroup))
    }

    /// The network namespace of a pod of this node; `None` for one with `hostNetwork`, or of another node.
    pub fn netns_of(&self, pod: &ObjectName) -> Option<u32> {
        self.netns.iter().find(|(_, id)| *id == pod).map(|(netns, _)| *netns)
    }

    fn named(&self, id: Option<&ObjectName>) -> Holder {
        id.and_then(|id| self.world.pod(id)).map_or(Holder::Nobody, |pod| Holder::Pod(Arc::clone(pod)))
    }
}
