//! The handle of the index, and the thread that its sources run on.
//!
//! Rule: the line reads under a lock that writers hold for microseconds; no source can make it wait for a peer's answer. The
//! sources end with the last [`Directory`]; one that fails in a way that nobody thought of costs its names and says so.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::sync::watch;

use super::index::{Change, Index};
use super::{KubernetesError, api, cri, process};
use crate::cilium::{Dropped, Recent, hubble};

/// The sources, as sentences name them.
const CRI: &str = "the container runtime";
const PROCESS: &str = "processes";
const API: &str = "the Kubernetes API";
const HUBBLE: &str = "Hubble";

/// How far the Kubernetes API is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Reach {
    /// The whole cluster's pods, Services and policies
    #[default]
    All,
    /// This node's pods only, with Services and policies
    Node,
    /// Not at all
    Off,
}

/// Where names come from.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Sockets of container runtimes; the usual places if empty.
    pub cri: Vec<PathBuf>,
    /// Socket of Cilium's Hubble; the usual place if absent.
    pub hubble: Option<PathBuf>,
    pub reach: Reach,
    /// How to reach the API; else `KUBECONFIG`, the pod's service account, `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// Nothing is asked, not even the runtime: a run that has no pods.
    pub off: bool,
    pub pace: Pace,
}

/// How often the Kubernetes API is asked, and how long it is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// For an answer to begin, and for its next part.
    pub patience: Duration,
    /// From the first failure to the next try, and at most; up to half as much again, by chance, so that nodes do not ask together.
    pub retry: (Duration, Duration),
    /// Between two looks for kinds that the server did not have.
    pub discovery: Duration,
    /// Silence after which it is asked whether it is still there.
    pub pulse: Duration,
}

impl Default for Pace {
    /// For clusters of 10,000 nodes.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { patience: seconds(30), retry: (seconds(1), seconds(30)), discovery: seconds(300), pulse: seconds(60) }
    }
}

/// The line's way to names.
#[derive(Clone, Debug)]
pub struct Directory {
    shared: Arc<Shared>,
    generation: watch::Receiver<u64>,
    /// Nothing is ever sent: the sources see when the last of these is dropped.
    _open: watch::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    index: RwLock<Index>,
    recent: RwLock<Recent>,
    state: Mutex<State>,
    ready: Condvar,
    generation: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Sources that have not said that their first listing is there, or that there will be none.
    starting: Vec<&'static str>,
    /// What is not known for want of a source, by source: one sentence each.
    gaps: Vec<(&'static str, String)>,
}

impl Directory {
    /// The index as it is now; hold it briefly.
    pub fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.shared.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What Cilium's Hubble told lately; hold it briefly.
    pub fn hubble(&self) -> RwLockReadGuard<'_, Recent> {
        self.shared.recent.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rises with every change.
    pub fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    /// Waits for the next change.
    pub async fn changed(&mut self) {
        if self.generation.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until every source has listed what there is, or can't.
    pub fn wait_for_first_listing(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.state();
        while !state.starting.is_empty() && Instant::now() < deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            state = self.shared.ready.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// What is not known for want of a source, one sentence each; renewed as sources come and go.
    pub fn gaps(&self) -> Vec<String> {
        self.shared.state().gaps.iter().map(|(_, gap)| gap.clone()).collect()
    }

    /// One without sources, for tests and for what has no pods.
    pub fn without_sources(index: Index) -> Self {
        Self::new(index, &[]).0
    }

    fn new(index: Index, sources: &[&'static str]) -> (Self, Feed) {
        let (publish, generation) = watch::channel(0);
        let (open, closed) = watch::channel(());
        let shared = Arc::new(Shared {
            index: RwLock::new(index),
            recent: RwLock::default(),
            state: Mutex::new(State { starting: sources.to_vec(), ..State::default() }),
            ready: Condvar::new(),
            generation: publish,
        });
        (Self { shared: Arc::clone(&shared), generation, _open: open }, Feed { shared, source: "", closed })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source's way to the index.
#[derive(Clone, Debug)]
pub struct Feed {
    shared: Arc<Shared>,
    source: &'static str,
    closed: watch::Receiver<()>,
}

impl Feed {
    /// Applies what a source has seen, all at once.
    pub fn apply(&self, changes: impl IntoIterator<Item = Change>) {
        let mut index = self.shared.index.write().unwrap_or_else(PoisonError::into_inner);
        changes.into_iter().for_each(|change| index.apply(change));
        drop(index);
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// What Cilium dropped, as Hubble tells it.
    pub fn heard(&self, flows: Vec<Dropped>) {
        let mut recent = self.shared.recent.write().unwrap_or_else(PoisonError::into_inner);
        for flow in flows {
            recent.add(flow);
        }
    }

    /// Hubble answers.
    pub fn hubble_is_here(&self) {
        self.shared.recent.write().unwrap_or_else(PoisonError::into_inner).is_here_now();
    }

    /// The first listing is there, or there will be none; may be said again.
    pub fn started(&self) {
        let mut state = self.shared.state();
        state.starting.retain(|source| *source != self.source);
        self.shared.ready.notify_all();
    }

    /// What is not known because of this source, in one sentence; `None`: nothing any more.
    pub fn gap(&self, gap: Option<String>) {
        self.gaps(gap);
    }

    /// The same, where it takes more than one.
    pub fn gaps(&self, gaps: impl IntoIterator<Item = String>) {
        let mut state = self.shared.state();
        state.gaps.retain(|(source, _)| *source != self.source);
        state.gaps.extend(gaps.into_iter().map(|gap| (self.source, gap)));
    }

    /// Whether nobody listens any more.
    pub fn is_closed(&self) -> bool {
        self.closed.has_changed().is_err()
    }

    /// Waits until nobody listens any more. A source need not: it is ended then, where it waits for something.
    pub async fn closed(&self) {
        let mut closed = self.closed.clone();
        while closed.changed().await.is_ok() {}
    }

    fn of(&self, source: &'static str) -> Self {
        Self { source, ..self.clone() }
    }
}

/// Starts the sources on a thread of their own, which ends with the last [`Directory`].
pub fn spawn(plan: Plan) -> Result<Directory, KubernetesError> {
    if plan.off {
        return Ok(Directory::without_sources(Index::default()));
    }
    let index = Index::of_whole_cluster(plan.reach == Reach::All);
    let (directory, feed) = Directory::new(index, &[CRI, PROCESS, API, HUBBLE]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| KubernetesError::Thread(error.to_string()))?;
    thread::Builder::new()
        .name("kubernetes".to_owned())
        .spawn(move || {
            let (cri, process, api, cilium) = (feed.of(CRI), feed.of(PROCESS), feed.of(API), feed.of(HUBBLE));
            let (answers, answered) = watch::channel(None);
            let sources = async {
                tokio::join!(
                    survive(&cri, cri::follow(&plan, cri.clone(), answers)),
                    survive(&process, process::follow(process.clone(), answered)),
                    survive(&api, api::follow(&plan, api.clone())),
                    survive(&cilium, hubble::follow(plan.hubble.clone(), cilium.clone())),
                )
            };
            runtime.block_on(async {
                tokio::select! {
                    _ = sources => {}
                    () = feed.closed() => {}
                }
            });
        })
        .map_err(|error| KubernetesError::Thread(error.to_string()))?;
    Ok(directory)
}

/// Runs a source until its end. An error of ours in it must not take the others with it.
async fn survive(feed: &Feed, source: impl Future<Output = ()>) {
    if let Err(panic) = AssertUnwindSafe(source).catch_unwind().await {
        let (name, why) = (feed.source, said(&*panic));
        feed.gap(Some(format!("an error in whydrop ended what it learns of pods by {name} ({why}); start it again")));
    }
    feed.started();
}

fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use super::*;

    #[test]
    fn the_sources_end_with_the_last_directory() {
        let plan = Plan { cri: vec!["/nonexistent/whydrop.sock".into()], reach: Reach::Off, ..Plan::default() };
        let directory = spawn(plan).unwrap();
        let last = directory.clone();
        let shared = Arc::downgrade(&directory.shared);
        drop(directory);
        last.wait_for_first_listing(Duration::from_mins(1));
        assert!(Weak::strong_count(&shared) > 1, "the thread holds it");
        drop(last);
        while shared.upgrade().is_some() {
            thread::yield_now();
        }
    }

    #[test]
    fn closing_is_seen_by_every_feed() {
        let (directory, feed) = Directory::new(Index::default(), &[CRI]);
        let (other, feed) = (directory.clone(), feed.of(CRI));
        drop(directory);
        assert!(!feed.is_closed());
        drop(other);
        assert!(feed.is_closed());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(feed.closed());
    }

    #[test]
    fn a_source_that_panics_costs_its_names_and_says_so() {
        let (directory, feed) = Directory::new(Index::default(), &[CRI, API]);
        let (cri, api) = (feed.of(CRI), feed.of(API));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { tokio::join!(survive(&cri, async { panic!("as wanted") }), survive(&api, async {})) });
        directory.wait_for_first_listing(Duration::from_mins(1));
        assert_eq!(directory.gaps().len(), 1);
        assert!(directory.gaps()[0].contains("by the container runtime (as wanted)"), "{:?}", directory.gaps());
    }
}
