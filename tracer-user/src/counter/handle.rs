//! The thread that looks at the counters, and the way to it.
//!
//! Rules: looking takes no more than about one hundredth of one CPU over time: a round through all namespaces that took 20 ms
//! of processor time is not begun again within 2 s; only the last look, at the end of the run, comes when it is asked for. The event line
//! never waits for it but at its start and end, for a bounded time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::timeout_at;

use super::baseline::{Baseline, Change};
use super::look::{Look, Wanted, look};
use super::{Listening, Rise, Scope, What, link};
use crate::host::clock::monotonic;
use crate::host::error::Errno;
use crate::host::{self, HostError, Netns, clock, enter};
use crate::node::recent;
use crate::node::socket::owner;

/// Rounds are at least so far apart, and at least [`COST`] times the processor time of the last.
const ROUND: Duration = Duration::from_secs(1);
const COST: u32 = 100;
/// Namespaces looked at without listening to the line in between.
const BATCH: usize = 64;
/// A batch ends after this time; what is left has its turn in the next round.
const BATCH_TIME: Duration = Duration::from_millis(500);
/// Namespaces whose counters are kept.
const MOST_NAMESPACES: usize = 4096;
/// How long a round may look for the programs of listeners, in steps of up to 100 ms.
const MOST_SEARCHING: Duration = Duration::from_millis(300);
/// How long the thread waits for the first names at its start.
const FIRST_NAMES: Duration = Duration::from_secs(2);

/// What the thread shall do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub scope: Scope,
    /// Drops come from these namespaces only; from all, if empty.
    pub only: Vec<u32>,
    /// Also tell what is noise on many nodes.
    pub all: bool,
}

/// The way to the thread, which ends when this is dropped.
#[derive(Debug)]
pub struct CounterHandle {
    rises: mpsc::UnboundedReceiver<Rise>,
    last_look: SyncSender<()>,
    first_look: Receiver<()>,
}

impl CounterHandle {
    /// Waits until each namespace has its baseline.
    pub fn wait_for_first_look(&self, patience: Duration) {
        // Too late, or gone: what rose before the baseline is not told.
        let _late = self.first_look.recv_timeout(patience);
    }

    /// The next counter that rose; pending for ever once nobody looks any more.
    pub async fn next(&mut self) -> Rise {
        match self.rises.recv().await {
            Some(rise) => rise,
            None => std::future::pending().await,
        }
    }

    /// Asks for a last look, now.
    pub fn look_last(&self) {
        // It was asked for already, or nobody looks any more.
        let _asked = self.last_look.try_send(());
    }

    /// What the last look found, with what was not taken before.
    pub async fn rest(&mut self, patience: Duration) -> Vec<Rise> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut rest = Vec::new();
        // It ends with the thread.
        while let Ok(Some(rise)) = timeout_at(deadline, self.rises.recv()).await {
            rest.push(rise);
        }
        rest
    }
}

/// Starts the thread; it ends at once if nothing may be told.
///
/// # Errors
/// [`HostError::Thread`] if the process limit is reached.
pub fn spawn(facts: watch::Receiver<Arc<host::Facts>>, plan: Plan) -> Result<CounterHandle, HostError> {
    let (publish, rises) = mpsc::unbounded_channel();
    let (last_look, asked) = sync_channel(1);
    let (looked, first_look) = sync_channel(1);
    let watcher = Watcher {
        facts,
        plan,
        publish,
        baselines: HashMap::new(),
        owners: owner::Cache::default(),
        searched: Duration::ZERO,
        cost: Duration::ZERO,
    };
    thread::Builder::new()
        .name("counter".to_owned())
        .spawn(move || watcher.run(&asked, &looked))
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    Ok(CounterHandle { rises, last_look, first_look })
}

/// Why the thread ends.
struct Ended;

struct Watcher {
    facts: watch::Receiver<Arc<host::Facts>>,
    plan: Plan,
    publish: mpsc::UnboundedSender<Rise>,
    baselines: HashMap<u32, Baseline>,
    owners: owner::Cache,
    /// How long this round has looked for the programs of listeners.
    searched: Duration,
    /// Processor time of this round.
    cost: Duration,
}

impl Watcher {
    fn run(mut self, asked: &Receiver<()>, looked: &SyncSender<()>) {
        if self.plan.scope == Scope::Nothing {
            return;
        }
        self.wait_for_names();
        let mut began = Instant::now();
        let mut ended = self.round(asked);
        // Nobody may wait for it any more.
        let _late = looked.try_send(());
        while ended.is_ok() {
            let next = began + ROUND.max(self.cost.saturating_mul(COST));
            match asked.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            began = Instant::now();
            ended = self.round(asked);
        }
        self.namespaces().chunks(BATCH).for_each(|batch| self.look(batch));
    }

    fn wait_for_names(&self) {
        let start = Instant::now();
        let known = |facts: &host::Facts| {
            facts.host().is_some() && self.plan.only.iter().all(|only| facts.netns(*only).is_some())
        };
        while !known(&self.facts.borrow()) && start.elapsed() < FIRST_NAMES && !self.publish.is_closed() {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Begins a round: the namespaces to look at, the host's first.
    fn namespaces(&mut self) -> Vec<Netns> {
        (self.searched, self.cost) = (Duration::ZERO, Duration::ZERO);
        let facts = Arc::clone(&self.facts.borrow());
        self.baselines.retain(|inode, _| facts.netns(*inode).is_some());
        let wanted = |netns: &&Netns| self.plan.only.is_empty() || self.plan.only.contains(&netns.inode);
        let host = facts.host().map(|host| host.inode);
        let mut found: Vec<Netns> = facts.namespaces().filter(wanted).cloned().collect();
        // Those that have a baseline keep their place.
        found.sort_by_key(|netns| (Some(netns.inode) != host, !self.baselines.contains_key(&netns.inode), netns.inode));
        found.truncate(MOST_NAMESPACES);
        found
    }

    /// Looks at all of them, in batches; ends early when the last look is asked for.
    fn round(&mut self, asked: &Receiver<()>) -> Result<(), Ended> {
        for batch in self.namespaces().chunks(BATCH) {
            self.look(batch);
            if asked.try_recv().is_ok() || self.publish.is_closed() {
                return Err(Ended);
            }
        }
        Ok(())
    }

    fn look(&mut self, batch: &[Netns]) {
        let taken = || clock::of_thread() + enter::spent();
        let before = taken();
        let facts = Arc::clone(&self.facts.borrow());
        let targets: Vec<&Netns> = batch.iter().collect();
        let done = enter::each(&targets, Instant::now() + BATCH_TIME, |netns| {
            let baseline = self.baselines.get(&netns.inode);
            let wanted = Wanted {
                scope: &self.plan.scope,
                all: self.plan.all,
                cards: may_have_cards(&facts, netns.inode),
                refused: baseline.map_or(0, Baseline::refused),
            };
            Ok(look(wanted, |index, driver| baseline?.places(index, driver)))
        });
        for (netns, (_, look)) in batch.iter().zip(done) {
            // One that went away, or may not be entered, has nothing to tell.
            if let Ok(look) = look {
                self.take(netns, look);
            }
        }
        self.cost += taken().saturating_sub(before);
    }

    fn take(&mut self, netns: &Netns, look: Look) {
        let Some(baseline) = self.baselines.get_mut(&netns.inode) else {
            self.baselines.insert(netns.inode, Baseline::new(look));
            return;
        };
        for Change { name, before, delta, mut what } in baseline.take(look) {
            if let What::Listen(_, listening) = &mut what {
                self.name_owners(netns, listening);
            }
            let rise = Rise { read: SystemTime::now(), netns: netns.clone(), name, before, delta, what };
            // Nobody may listen any more.
            let _sent = self.publish.send(rise);
        }
    }

    /// Finds whose program each suspect is, as long as the round has time for it.
    fn name_owners(&mut self, netns: &Netns, listening: &mut Listening) {
        if listening.suspects.is_empty() {
            return;
        }
        if self.searched >= MOST_SEARCHING {
            listening.unknown.push("whose program it is: too many listeners refused at once".to_owned());
            return;
        }
        let began = Instant::now();
        let inodes: Vec<u32> = listening.suspects.iter().map(|listener| listener.inode).collect();
        let read = self.owners.owners(netns.inode, monotonic(), &inodes);
        let owners = recent::note("whose program it is", read, &mut listening.unknown).unwrap_or_default();
        self.searched += began.elapsed();
        for listener in &mut listening.suspects {
            listener.owner = owners.get(listener.inode).cloned();
        }
        let is_unknown = listening.suspects.iter().any(|listener| listener.owner.is_none());
        listening.unknown.extend(owners.cut.clone().filter(|_| is_unknown));
    }
}

/// Whether a namespace has network cards, as far as its interfaces are known.
fn may_have_cards(facts: &host::Facts, netns: u32) -> bool {
    facts.interfaces(netns).map_or(true, |table| table.iter().any(link::is_card))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(scope: Scope) -> (host::HostHandle, CounterHandle) {
        let host = host::spawn(host::Reader::default()).unwrap();
        let plan = Plan { scope, ..Plan::default() };
        let counters = spawn(host.subscribe(), plan).unwrap();
        (host, counters)
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
    }

    #[test]
    fn the_last_look_ends_the_thread() {
        let (_host, mut counters) = start(Scope::All);
        counters.wait_for_first_look(Duration::from_secs(20));
        let begun = Instant::now();
        counters.look_last();
        // What rises meanwhile is not this test's.
        let _rest = block_on(counters.rest(Duration::from_secs(20)));
        assert!(counters.rises.is_closed() && begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn nothing_is_looked_at_where_nothing_may_be_told() {
        let (_host, mut counters) = start(Scope::Nothing);
        assert!(block_on(counters.rest(Duration::from_secs(20))).is_empty());
    }
}
