//! Everything that is known of pods and the cluster, by address, namespace number, container and name.
//!
//! ```text
//!  Change --> apply: pods of all origins put together (known), who had what and when (history) --> World, look-ups
//! ```
//!
//! Rule: sources only add and take away what they saw; who had what at which time is decided here. Times are `CLOCK_MONOTONIC`
//! nanoseconds, as in events. Bounded: pods that are gone and what they had are remembered for a while only.

mod apply;
mod change;
mod cluster;
mod history;
mod holder;
mod known;
mod share;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use tracer_policy::World;
use tracer_policy::model::{ObjectName, Pod, Text};

use cluster::Cluster;
use history::{Found, History};
use known::Known;
use share::Shared;

pub use change::{Change, ContainerSeen, Gone, Kind, Origin, PodSeen};
pub(crate) use holder::clock;
pub use holder::{Holder, Span};

/// How long it is said of an address whose it was, nanoseconds.
const GRACE: u64 = 60 * 1_000_000_000;

/// What a pod has, or had.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Address(IpAddr),
    Netns(u32),
    Container(String),
    Cgroup(u64),
}

/// What is known by now, and of what has just gone.
#[derive(Clone, Debug, Default)]
pub struct Index {
    world: World,
    /// By uid; static pods by the hash of their manifest.
    pods: HashMap<Text, Known>,
    /// Static pods, whose uid in the API is another one.
    statics: HashMap<ObjectName, Text>,
    addresses: HashMap<IpAddr, History>,
    netns: HashMap<u32, History>,
    containers: HashMap<String, Text>,
    cgroups: HashMap<u64, Text>,
    /// Pods that no origin has any more, the oldest first.
    dead: VecDeque<Text>,
    /// What pods have no more, the oldest first.
    given_up: VecDeque<Held>,
    shared: Shared,
    cluster: Cluster,
    serial: u64,
}

impl Index {
    /// One that is told of all pods of the cluster by the API: an address that none of them has is no pod's.
    pub fn of_whole_cluster(is_whole: bool) -> Self {
        Self { cluster: Cluster::new(is_whole), ..Self::default() }
    }

    /// The cluster as it is now.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The pod whose network namespace has this number; never the host's.
    pub fn pod_of_netns(&self, netns: u32, span: Span) -> Holder {
        self.holder(self.netns.get(&netns), span, || format!("network namespace {netns}"))
    }

    /// The pod of the pod network that has the address.
    pub fn pod_at(&self, address: IpAddr, span: Span) -> Holder {
        let address = address.to_canonical();
        self.holder(self.addresses.get(&address), span, || address.to_string())
    }

    /// The pod of a container, by the 64 hexadecimal digits that its runtime gave it. No container gets the name of another.
    pub fn pod_of_container(&self, container: &str) -> Holder {
        self.named(self.containers.get(container))
    }

    /// The pod of a cgroup v2 id. The kernel gives none twice (kernfs counts them up in 64 bits), so the time does not matter.
    pub fn pod_of_cgroup(&self, cgroup: u64, _span: Span) -> Holder {
        self.named(self.cgroups.get(&cgroup))
    }

    /// The network namespace of a pod of this node; `None` for one with `hostNetwork`, or of another node.
    pub fn netns_of(&self, pod: &ObjectName) -> Option<u32> {
        let key = self.statics.get(pod).or_else(|| Some(&self.world.pod(pod)?.uid))?;
        let known = self.pods.get(key)?;
        known.netns.filter(|_| known.is_here())
    }

    /// The pod that had an address last, with the time at which it had it no more: where nobody is known to have had it at this
    /// time, and for a minute only.
    pub fn last_pod_at(&self, address: IpAddr, time: u64) -> Option<(&Arc<Pod>, u64)> {
        let last = self.addresses.get(&address.to_canonical())?.last_before(time)?;
        let is_lately = time.saturating_sub(last.until) <= GRACE;
        Some((&self.pods.get(&last.holder)?.pod, last.until)).filter(|_| is_lately)
    }

    /// The node with this address.
    pub fn node_at(&self, address: IpAddr) -> Option<&Text> {
        self.cluster.node_at(address.to_canonical())
    }

    /// Whether an address lies in a node's range of pod addresses, and all pods are known: then it is no pod's if none has it.
    pub fn is_of_no_pod(&self, address: IpAddr) -> bool {
        self.cluster.is_free_of_pods(address.to_canonical())
    }

    /// Whether who has this address in a span is also who has it later, so long as no source says more.
    pub fn is_steady_at(&self, address: IpAddr, span: Span) -> bool {
        self.addresses.get(&address.to_canonical()).is_none_or(|history| history.is_steady(span))
    }

    /// The same of a network namespace.
    pub fn is_steady_netns(&self, netns: u32, span: Span) -> bool {
        self.netns.get(&netns).is_none_or(|history| history.is_steady(span))
    }

    fn named(&self, key: Option<&Text>) -> Holder {
        let pod = key.and_then(|key| self.pods.get(key)).map(|known| &known.pod);
        pod.filter(|pod| !pod.id.name.is_empty()).map_or(Holder::Nobody, |pod| Holder::Pod(Arc::clone(pod)))
    }

    fn holder(&self, history: Option<&History>, span: Span, what: impl Fn() -> String) -> Holder {
        match history.map_or(Found::Nobody, |history| history.find(span)) {
            Found::One(tenancy) => self.named(Some(&tenancy.holder)),
            Found::Nobody => Holder::Nobody,
            Found::Part(tenancy) => {
                Holder::Contested(holder::part(&what(), &self.name(&tenancy.holder), tenancy, span))
            }
            Found::Several(one, two) => {
                let names = [&one.holder, &two.holder].map(|holder| self.name(holder));
                Holder::Contested(holder::several(&what(), &names, one, two))
            }
        }
    }

    /// For a sentence.
    fn name(&self, key: &Text) -> String {
        let known = self.pods.get(key).filter(|known| !known.pod.id.name.is_empty());
        known.map_or_else(|| "another pod".to_owned(), |known| known.pod.id.to_string())
    }
}
