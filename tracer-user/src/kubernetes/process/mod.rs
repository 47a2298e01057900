//! Pods and containers of this node, from processes and their cgroups: what is left where no runtime answers.
//!
//! The cgroup of a process names its pod by uid and its container by id ([`scan`]); the folders in which kubelet keeps the logs name
//! each pod in full ([`names`]); the addresses are those of the pod's own network namespace ([`address`]).
//!
//! Rule: it is done only on a node of a cluster, and only while no runtime answers. A pod whose name is nowhere to be read stays
//! without one: a host name may be anything.

mod address;
pub(crate) mod cgroup;
mod names;
mod scan;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::index::ContainerSeen;
use super::{Change, Feed, Origin, PodSeen, is_node};
use crate::host::clock::monotonic;
use crate::host::netns;
use tracer_policy::model::Text;

/// Between scans: one reads a file of every process.
const PAUSE: Duration = Duration::from_secs(5);

/// Looks, while no runtime answers, until nobody listens.
pub(super) async fn follow(feed: Feed, mut answered: watch::Receiver<Option<bool>>) {
    let mut known = HashMap::new();
    loop {
        // Says no, or is gone with its source.
        let is_alone = answered.wait_for(Option::is_some).await.map_or(true, |answers| *answers == Some(false));
        let pods = if is_alone && is_node() { look(Path::new("/proc"), &feed) } else { HashMap::new() };
        tell(&feed, &mut known, pods);
        if !is_alone {
            feed.gap(None);
        }
        feed.started();
        if is_alone {
            sleep(PAUSE).await;
        } else if answered.changed().await.is_err() {
            return;
        }
    }
}

/// What changed since the last look.
fn tell(feed: &Feed, known: &mut HashMap<Text, PodSeen>, pods: HashMap<Text, PodSeen>) {
    let at = monotonic();
    let is_new = |(uid, pod): &(&Text, &PodSeen)| known.get(*uid) != Some(*pod);
    let mut changes: Vec<Change> =
        pods.iter().filter(is_new).map(|(_, pod)| Change::Pod(Box::new(pod.clone()))).collect();
    if known.keys().any(|uid| !pods.contains_key(uid)) {
        let uids: HashSet<Text> = pods.keys().cloned().collect();
        changes.push(Change::PodsAre { origin: Origin::Process, uids, at });
    }
    if !changes.is_empty() {
        feed.apply(changes);
    }
    *known = pods;
}

/// The pods of this node whose names are known; says of how many they are not.
fn look(proc: &Path, feed: &Feed) -> HashMap<Text, PodSeen> {
    let mut names = names::read();
    let found = scan::pods(proc);
    let host = netns::host_inode(proc);
    let ids: HashSet<&str> = found.values().flat_map(|pod| pod.containers.keys().map(String::as_str)).collect();
    let cgroups = cgroup::of_containers(&ids);
    let mut nameless = 0;
    let mut pods = HashMap::new();
    for (uid, found) in &found {
        let Some(mut pod) = names.remove(&**uid) else {
            nameless += 1;
            continue;
        };
        pod.host_network = found.netns.is_some() && found.netns == host;
        let netns = found.netns.filter(|netns| Some(*netns) != host);
        if netns.is_some() {
            pod.addresses = address::of_process(&proc.join(found.pid.to_string())).into();
        }
        let container =
            |id: &String| ContainerSeen { id: id.clone(), name: String::new(), cgroup: cgroups.get(id).copied() };
        let mut containers: Vec<_> = found.containers.keys().map(container).collect();
        containers.sort_by(|a, b| a.id.cmp(&b.id));
        pods.insert(pod.uid.clone(), PodSeen { origin: Origin::Process, pod, since: 0, netns, containers });
    }
    feed.gap((nameless > 0).then(|| {
        format!("{nameless} pods have no name here, for /var/log/pods does not show them: mount the node's at /host/var/log/pods")
    }));
    pods
}
