//! The pods that the run is about: what is known of them, and the kernel's filter, kept together as they come and go.
//!
//! Rule: what came of a change is in the filter at once, or with what comes within [`PAUSE`] of the last one.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::flow::dns::Query;
use crate::flow::{Story, Tuple};
use crate::host::clock::monotonic;
use crate::kubernetes::select::{Changes, Following, Key};
use crate::kubernetes::{Directory, KubernetesError, Selection};

/// Between two looks at the directory, which changes often in a large cluster.
const PAUSE: Duration = Duration::from_millis(100);

/// How long the start waits for those who are asked about pods: without pods there is nothing to see.
const START: Duration = Duration::from_secs(10);
const NOBODY: &str = "neither a container runtime nor the Kubernetes API answers";

/// Pods on their node's network that are named.
const MOST_NAMED: usize = 8;

pub(super) struct Pods {
    following: Following,
    directory: Directory,
    /// When to look next, if a change is known already.
    due: Option<Instant>,
    looked: Instant,
}

impl Pods {
    /// `None` for a run that is about everything. Otherwise it waits for those who are asked about pods.
    ///
    /// # Errors
    /// [`KubernetesError::NoNames`] where none of them has told anything.
    pub(super) fn new(selection: &Selection, directory: &Directory) -> Result<Option<Self>, KubernetesError> {
        if selection.is_empty() {
            return Ok(None);
        }
        directory.wait_for_first_listing(START);
        if directory.generation() == 0 && directory.read().world().pods().next().is_none() {
            let gaps = directory.gaps().join("; ");
            let why = if gaps.is_empty() { NOBODY.to_owned() } else { gaps };
            return Err(KubernetesError::NoNames { selection: selection.to_string(), why });
        }
        let (following, directory) = (Following::new(selection.clone()), directory.clone());
        Ok(Some(Self { following, directory, due: None, looked: Instant::now() }))
    }

    /// Waits until there may be something new; pending for ever in a run that is about everything.
    pub(super) async fn changed(pods: &mut Option<Self>) {
        match pods {
            Some(pods) => pods.wait().await,
            None => std::future::pending().await,
        }
    }

    /// Loses nothing where it is not waited for to its end.
    async fn wait(&mut self) {
        if self.due.is_none() {
            let end = self.following.next_end().map(|end| Duration::from_nanos(end.saturating_sub(monotonic())));
            let end = Instant::now() + end.unwrap_or(Duration::from_hours(1));
            tokio::select! {
                () = self.directory.changed() => {}
                () = sleep_until(end) => {}
            }
            self.due = Some(self.looked + PAUSE);
        }
        sleep_until(self.due.unwrap_or(self.looked)).await;
    }

    /// Looks at the directory.
    pub(super) fn renew(&mut self) -> Changes {
        (self.due, self.looked) = (None, Instant::now());
        self.following.renew(&self.directory.read(), monotonic())
    }

    /// What can't be seen of them, for the header.
    pub(super) fn coverage(&self) -> Vec<String> {
        let selection = self.following.selection();
        let on_host = selection.reach(&self.directory.read()).on_host_network;
        let mut said = Vec::new();
        if self.following.is_empty() && on_host.is_empty() {
            said.push(format!("no pod matches {selection} now; it is waited for"));
        }
        let names = on_host
            .iter()
            .map(|pod| format!("{pod} uses its node's network: its packets can't be told from the node's own"));
        said.extend(names.take(MOST_NAMED));
        said.extend(
            on_host
                .len()
                .checked_sub(MOST_NAMED + 1)
                .map(|more| format!("{} pods more use their node's network", more + 1)),
        );
        said.extend(self.left_out());
        said
    }

    /// The same, as it is by now.
    pub(super) fn left_out(&self) -> Option<String> {
        let (count, selection) = (self.following.left_out(), self.following.selection());
        (count > 0)
            .then(|| format!("{selection} is of more pods than the filter can hold: {count} addresses are left out"))
    }

    /// Whether a namespace is a pod's now.
    pub(super) fn has_netns(&self, inode: u32) -> bool {
        self.following.has(Key::Netns(inode), monotonic())
    }

    /// Whether an attempt has to do with them: by an address of either end, before or after translation, or by where it was seen.
    pub(super) fn concern(&self, story: &Story) -> bool {
        let seen = story.sightings.iter().flat_map(|(_, seen)| [Some(seen.id.tuple), seen.original]);
        let tuples = [Some(story.tuple), story.translated].into_iter().chain(seen).flatten();
        let netns = story.sightings.iter().map(|(_, seen)| seen.netns).chain(story.resent.map(|resent| resent.netns));
        self.had_any(tuples, netns, story.first)
    }

    /// The same for a DNS query.
    pub(super) fn concern_query(&self, query: &Query) -> bool {
        let netns = [Some(&*query.at.netns), query.client_netns()].into_iter().flatten().map(|netns| netns.inode);
        self.had_any([Some(query.tuple), query.translated].into_iter().flatten(), netns, query.first)
    }

    fn had_any(
        &self,
        tuples: impl IntoIterator<Item = Tuple>,
        netns: impl IntoIterator<Item = u32>,
        began: u64,
    ) -> bool {
        let ends = tuples.into_iter().flat_map(|tuple| [tuple.client.ip(), tuple.server.ip()]).map(Key::Address);
        ends.chain(netns.into_iter().map(Key::Netns)).any(|key| self.following.had(key, began))
    }
}

#[cfg(test)]
mod tests {
    use tracer_policy::model::Pod;

    use super::*;
    use crate::kubernetes::{Change, Index, Origin, PodSeen};

    fn index(name: &str, host_network: bool) -> Index {
        let addresses = ["10.1.0.1".parse().unwrap()].into();
        let pod = Pod { addresses, host_network, ..Pod::new("shop", name, name) };
        let seen = PodSeen { origin: Origin::Runtime, pod, since: 0, netns: Some(7), containers: Vec::new() };
        let mut index = Index::default();
        index.apply(Change::Pod(Box::new(seen)));
        index
    }

    fn pods(index: Index) -> Result<Option<Pods>, KubernetesError> {
        let selection = Selection::parse(&["shop/web".to_owned()], &[], None)?;
        Pods::new(&selection, &Directory::without_sources(index))
    }

    #[test]
    fn nobody_to_ask_is_an_error_only_where_pods_are_asked_for() {
        let said = pods(Index::default()).err().unwrap().to_string();
        assert!(said.contains("--pod shop/web") && said.contains(NOBODY) && said.contains("--cri"), "{said}");
        let all = Pods::new(&Selection::default(), &Directory::without_sources(Index::default()));
        assert!(all.unwrap().is_none());
    }

    #[test]
    fn what_can_t_be_seen_of_them_is_said_at_the_start() {
        let coverage = |index| {
            let mut pods = pods(index).unwrap().unwrap();
            let added = pods.renew().add.len();
            (added, pods.coverage())
        };
        assert_eq!(coverage(index("web", false)), (2, Vec::new()));
        assert_eq!(
            coverage(index("db", false)),
            (0, vec!["no pod matches --pod shop/web now; it is waited for".into()])
        );
        let (added, said) = coverage(index("web", true));
        assert_eq!((added, said.len()), (0, 1));
        assert!(said[0].starts_with("shop/web uses its node's network: "), "{said:?}");
    }

    #[test]
    fn an_attempt_concerns_them_by_any_of_its_addresses() {
        let mut pods = pods(index("web", false)).unwrap().unwrap();
        pods.renew();
        let tuple = |client: &str, server: &str| Tuple {
            protocol: 6,
            client: client.parse().unwrap(),
            server: server.parse().unwrap(),
        };
        let (masqueraded, own) = (tuple("192.0.2.1:4", "192.0.2.9:80"), tuple("10.1.0.1:4", "192.0.2.9:80"));
        let (to_service, to_pod) = (tuple("10.1.0.5:4", "10.96.0.1:80"), tuple("10.1.0.5:4", "10.1.0.1:80"));
        let concern = |tuples: &[Tuple], netns: &[u32]| pods.had_any(tuples.iter().copied(), netns.iter().copied(), 1);
        assert!(
            concern(&[masqueraded, own], &[]) && !concern(&[masqueraded], &[1, 8]) && concern(&[masqueraded], &[1, 7])
        );
        assert!(concern(&[to_service, to_pod], &[]) && !concern(&[to_service], &[]));
    }
}
