//! One pod, put together from what each origin says of it.
//!
//! Rule: the API knows its labels by now; the runtime of this node knows its addresses and its namespace, and that they are gone.

use std::net::IpAddr;
use std::sync::Arc;

use tracer_policy::model::Pod;

use super::{ContainerSeen, Origin, PodSeen};

/// What one origin says.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) pod: Arc<Pod>,
    pub(super) since: u64,
    /// When it said so.
    pub(super) told: u64,
    pub(super) netns: Option<u32>,
    pub(super) containers: Box<[ContainerSeen]>,
    /// It is gone, since this time.
    pub(super) gone: Option<u64>,
}

impl Said {
    pub(super) fn new(seen: PodSeen, told: u64) -> Self {
        let PodSeen { pod, since, netns, containers, .. } = seen;
        Self { pod: Arc::new(pod), since, told, netns, containers: containers.into(), gone: None }
    }
}

/// A pod that is there, or was.
#[derive(Clone, Debug)]
pub(super) struct Known {
    said: [Option<Box<Said>>; 3],
    /// All of it together.
    pub(super) pod: Arc<Pod>,
    pub(super) netns: Option<u32>,
    /// Rises with each pod that becomes known.
    pub(super) serial: u64,
}

impl Known {
    pub(super) fn new(pod: Arc<Pod>, serial: u64) -> Self {
        Self { said: [None, None, None], pod, netns: None, serial }
    }

    pub(super) fn said(&self, origin: Origin) -> Option<&Said> {
        let [process, runtime, api] = &self.said;
        match origin {
            Origin::Process => process.as_deref(),
            Origin::Runtime => runtime.as_deref(),
            Origin::Api => api.as_deref(),
        }
    }

    pub(super) fn said_mut(&mut self, origin: Origin) -> &mut Option<Box<Said>> {
        let [process, runtime, api] = &mut self.said;
        match origin {
            Origin::Process => process,
            Origin::Runtime => runtime,
            Origin::Api => api,
        }
    }

    fn here(&self, origin: Origin) -> Option<&Said> {
        self.said(origin).filter(|said| said.gone.is_none())
    }

    /// Whether any origin still has it.
    pub(super) fn is_here(&self) -> bool {
        self.said.iter().flatten().any(|said| said.gone.is_none())
    }

    /// Since when it is there, as far as any origin knows; 0 if none does.
    pub(super) fn since(&self) -> u64 {
        self.said.iter().flatten().map(|said| said.since).max().unwrap_or(0)
    }

    pub(super) fn containers(&self) -> impl Iterator<Item = &ContainerSeen> {
        self.said.iter().flatten().flat_map(|said| &said.containers)
    }

    /// Who says that it has this address, the one that knows best first.
    pub(super) fn teller_of_address(&self, address: IpAddr) -> Option<(Origin, &Said)> {
        let all = [Origin::Runtime, Origin::Process, Origin::Api].into_iter();
        all.filter_map(|origin| Some((origin, self.here(origin)?)))
            .find(|(_, said)| said.pod.addresses.iter().any(|known| known.to_canonical() == address))
    }

    pub(super) fn teller_of_netns(&self) -> Option<(Origin, &Said)> {
        let all = [Origin::Runtime, Origin::Process].into_iter();
        all.filter_map(|origin| Some((origin, self.here(origin)?))).find(|(_, said)| said.netns.is_some())
    }

    /// Puts it together; `None` if no origin has it any more.
    pub(super) fn merged(&self) -> Option<(Arc<Pod>, Option<u32>)> {
        let all = [Origin::Api, Origin::Runtime, Origin::Process].map(|origin| self.here(origin));
        let [api, runtime, process] = all;
        let base = api.or(runtime).or(process)?;
        // The runtime has taken down its sandbox, whoever still lists it.
        let has_ended = self.said(Origin::Runtime).is_some_and(|said| said.gone.is_some());
        if !has_ended && all.into_iter().flatten().count() == 1 {
            return Some((Arc::clone(&base.pod), base.netns.filter(|_| !base.pod.host_network)));
        }
        let mut pod = (*base.pod).clone();
        let local = runtime.or(process);
        for other in all.into_iter().flatten().map(|said| &said.pod) {
            if pod.id.name.is_empty() {
                pod.id = other.id.clone();
            }
            pod.node = pod.node.or_else(|| other.node.clone());
            pod.workload = pod.workload.or_else(|| other.workload.clone());
            pod.service_account = pod.service_account.or_else(|| other.service_account.clone());
        }
        pod.host_network |= runtime.is_some_and(|said| said.pod.host_network);
        pod.is_finished &= runtime.is_none();
        let own = [runtime, process].into_iter().flatten().find(|said| !said.pod.addresses.is_empty());
        if has_ended {
            pod.addresses = Box::default();
        } else if let Some(own) = own {
            pod.addresses.clone_from(&own.pod.addresses);
        }
        let netns = local.and_then(|local| local.netns.or_else(|| process?.netns));
        let netns = netns.filter(|_| !has_ended && !pod.host_network);
        Some((Arc::new(pod), netns))
    }
}
