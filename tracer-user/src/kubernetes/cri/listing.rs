//! What one runtime has, from one listing to the next.
//!
//! Rule: a sandbox is asked for its status once, and again only while something of it is not there yet. At most [`MOST_PODS`] are
//! kept, each with at most [`MOST_CONTAINERS`].

use std::collections::{HashMap, HashSet};
use std::path::Path;

use futures_util::{StreamExt as _, stream};
use tracer_grpc::cri::{Container, PodSandbox};
use tracer_policy::model::Text;

use super::client::Runtime;
use super::fault::Fault;
use super::progress::Part;
use super::sandbox::{self, Read};
use crate::host::clock::monotonic;
use crate::host::{Clock, netns};
use crate::kubernetes::index::ContainerSeen;
use crate::kubernetes::process::cgroup;
use crate::kubernetes::{Change, Origin, PodSeen};

/// A node has 110 to 250.
const MOST_PODS: usize = 4096;
const MOST_CONTAINERS: usize = 64;
/// Characters of a container's id and name.
const MOST_ID: usize = 128;
/// Statuses asked for at the same time.
const AT_ONCE: usize = 8;
/// How often an address, a namespace or a cgroup is looked for that is not there yet.
const TRIES: u8 = 5;

/// The sandboxes of a runtime, by id.
#[derive(Debug, Default)]
pub(super) struct Listing {
    known: HashMap<String, Known>,
}

/// A sandbox whose status is known.
#[derive(Debug, Default)]
struct Known {
    /// `None`: nothing that can be used.
    seen: Option<PodSeen>,
    wrong: Option<String>,
    is_complete: bool,
    tries: u8,
    /// Looks for the cgroups of its containers that are not known.
    looks: u8,
    is_told: bool,
}

impl Listing {
    /// Lists, asks for what is new, and tells what changed; `stops` has when sandboxes stopped, as far as the runtime told.
    pub(super) async fn renew(
        &mut self,
        runtime: &Runtime,
        part: &Part,
        stops: &HashMap<String, u64>,
    ) -> Result<(), Fault> {
        let at = monotonic();
        let mut sandboxes = runtime.sandboxes().await?;
        let containers = runtime.containers().await?;
        let left_out = sandboxes.len().saturating_sub(MOST_PODS);
        sandboxes.truncate(MOST_PODS);
        let mut changes = self.take_gone(&sandboxes, stops, at);
        let asked = self.ask(runtime, &sandboxes).await;
        self.set_containers(containers);
        changes.extend(self.take_changed());
        if asked.is_ok() {
            let uids = self.known.values().filter_map(|known| Some(Text::clone(&known.seen.as_ref()?.pod.uid)));
            changes.extend(part.listed(uids.collect(), at));
        }
        part.apply(changes);
        asked?;
        part.answers(self.wrong(runtime.path(), left_out));
        Ok(())
    }

    /// Forgets the sandboxes that are not ready any more. A pod whose sandbox was replaced is not gone.
    fn take_gone(&mut self, ready: &[PodSandbox], stops: &HashMap<String, u64>, at: u64) -> Vec<Change> {
        let ids: HashSet<&str> = ready.iter().map(|sandbox| &*sandbox.id).collect();
        let uids: HashSet<&str> = ready.iter().filter_map(|sandbox| Some(&*sandbox.metadata.as_ref()?.uid)).collect();
        let gone = self.known.extract_if(|id, _| !ids.contains(&**id));
        gone.filter_map(|(id, known)| {
            let pod = known.seen?.pod;
            let at = stops.get(&id).map_or(at, |stopped| at.min(*stopped));
            (!uids.contains(&*pod.uid)).then_some(Change::PodGone {
                origin: Origin::Runtime,
                id: pod.id,
                uid: pod.uid,
                at,
            })
        })
        .collect()
    }

    async fn ask(&mut self, runtime: &Runtime, ready: &[PodSandbox]) -> Result<(), Fault> {
        let is_due = |id: &str| self.known.get(id).is_none_or(|known| !known.is_complete && known.tries < TRIES);
        let due: Vec<String> = ready.iter().map(|sandbox| sandbox.id.clone()).filter(|id| is_due(id)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let (clock, host) = (Clock::measure(), netns::host_inode(Path::new("/proc")));
        let ask = async |id: String| {
            let status = runtime.status(&id).await;
            (id, status)
        };
        let mut answers = stream::iter(due).map(ask).buffer_unordered(AT_ONCE);
        while let Some((id, answer)) = answers.next().await {
            // One that has gone meanwhile is not in the next listing.
            if let Some(status) = answer? {
                self.known.entry(id).or_default().set(sandbox::read(&status, &clock, host));
            }
        }
        Ok(())
    }

    /// The containers that run now, with their cgroups.
    fn set_containers(&mut self, containers: Vec<Container>) {
        let mut of_sandbox: HashMap<String, Vec<ContainerSeen>> = HashMap::new();
        for container in containers.into_iter().filter(|container| container.id.len() <= MOST_ID) {
            let name = container.metadata.map(|metadata| metadata.name).filter(|name| name.len() <= MOST_ID);
            let seen = ContainerSeen { id: container.id, name: name.unwrap_or_default(), cgroup: None };
            let siblings = of_sandbox.entry(container.pod_sandbox_id).or_default();
            if siblings.len() < MOST_CONTAINERS {
                siblings.push(seen);
            }
        }
        for (id, known) in &mut self.known {
            known.set_containers(id, of_sandbox.remove(id).unwrap_or_default());
        }
        let wanted = self.known.values().filter(|known| known.looks < TRIES).flat_map(Known::unplaced);
        let wanted: HashSet<&str> = wanted.map(|container| &*container.id).collect();
        if wanted.is_empty() {
            return;
        }
        let found = cgroup::of_containers(&wanted);
        self.known.values_mut().for_each(|known| known.set_cgroups(&found));
    }

    fn take_changed(&mut self) -> impl Iterator<Item = Change> {
        self.known.values_mut().filter_map(|known| {
            let is_new = !std::mem::replace(&mut known.is_told, true);
            Some(Change::Pod(Box::new(known.seen.clone().filter(|_| is_new)?)))
        })
    }

    /// What can't be used of what the runtime says.
    fn wrong(&self, path: &Path, left_out: usize) -> Option<String> {
        let mut wrong: Vec<&String> = self.known.values().filter_map(|known| known.wrong.as_ref()).collect();
        wrong.sort();
        let path = path.display();
        let lies = wrong.first().map(|first| match wrong.len() {
            1 => format!("what the container runtime at {path} says can't be used for one pod: {first}"),
            more => {
                format!("what the container runtime at {path} says can't be used for {more} pods: {first}, and others")
            }
        });
        let many =
            (left_out > 0).then(|| format!("{left_out} pods of {path} are not looked at: {MOST_PODS} is the most"));
        let said: Vec<String> = lies.into_iter().chain(many).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

impl Known {
    fn set(&mut self, read: Result<Read, String>) {
        self.tries += 1;
        match read {
            Ok(read) => {
                self.is_complete = read.is_complete();
                self.wrong.clone_from(&read.wrong);
                let containers = self.seen.take().map(|seen| seen.containers).unwrap_or_default();
                self.seen = Some(PodSeen { containers, ..read.seen });
            }
            // It will not be better when it is asked again.
            Err(why) => {
                self.is_complete = true;
                self.wrong = Some(why);
            }
        }
        self.is_told = false;
    }

    fn set_containers(&mut self, id: &str, containers: Vec<ContainerSeen>) {
        let Some(seen) = &mut self.seen else { return };
        let sandbox = ContainerSeen { id: id.to_owned(), name: String::new(), cgroup: None };
        let mut now: Vec<ContainerSeen> = std::iter::once(sandbox).chain(containers).collect();
        for container in &mut now {
            let before = seen.containers.iter().find(|before| before.id == container.id);
            container.cgroup = before.and_then(|before| before.cgroup);
        }
        now.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        if now != seen.containers {
            seen.containers = now;
            (self.is_told, self.looks) = (false, 0);
        }
    }

    fn unplaced(&self) -> impl Iterator<Item = &ContainerSeen> {
        self.seen.iter().flat_map(|seen| &seen.containers).filter(|container| container.cgroup.is_none())
    }

    fn set_cgroups(&mut self, found: &HashMap<String, u64>) {
        let is_looked_for = self.unplaced().next().is_some();
        self.looks = self.looks.saturating_add(u8::from(is_looked_for));
        for container in self.seen.iter_mut().flat_map(|seen| &mut seen.containers) {
            if let (None, Some(cgroup)) = (container.cgroup, found.get(&container.id)) {
                container.cgroup = Some(*cgroup);
                self.is_told = false;
            }
        }
    }
}
