//! The thread that reads rulesets, and the way to it.
//!
//! Rule: questions come first; what is read beforehand is read while there are none.

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Question;
use super::confirm::Confirmer;
use super::namespace::Namespace;
use super::ruling::Ruling;
use crate::host::error::Errno;
use crate::host::{self, HostError, Netns, enter};
use crate::inquiry::{Answer, Answers, Inquiry, QUEUE, channel};

/// How often namespaces that came are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Namespaces whose ruleset is kept.
const MOST_NAMESPACES: usize = 512;
/// How long the thread waits for the first names at its start.
const FIRST_NAMES: Duration = Duration::from_secs(2);

/// What the thread shall do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Drops come from these namespaces only; from all, if empty.
    pub only: Vec<u32>,
    /// Have the kernel trace flows whose rule is not certain.
    pub confirm: bool,
}

/// The way to the thread, which ends when this is dropped.
#[derive(Debug)]
pub struct NetfilterHandle {
    pub inquiry: Inquiry<Question, Ruling>,
    first_reading: Receiver<()>,
}

impl NetfilterHandle {
    /// Waits until the rulesets that matter most are read, against which counters are compared later: the host's, or those
    /// of the namespaces that drops come from only.
    pub fn wait_for_first_reading(&self, patience: Duration) {
        // Too late, or gone: what is read later makes rules derived where they might have been certain.
        let _late = self.first_reading.recv_timeout(patience);
    }
}

/// Starts the thread. It first reads the rulesets of the namespaces that `facts` tells of.
pub fn spawn(facts: watch::Receiver<Arc<host::Facts>>, plan: Plan) -> Result<NetfilterHandle, HostError> {
    let (inquiry, asked, publish) = channel();
    let (read, first_reading) = sync_channel(1);
    let confirmer = plan.confirm.then(Confirmer::default);
    let reader = Reader { facts, only: plan.only, namespaces: HashMap::new(), new: VecDeque::new(), confirmer };
    thread::Builder::new()
        .name("netfilter".to_owned())
        .spawn(move || reader.run(&asked, &publish, &read))
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    Ok(NetfilterHandle { inquiry, first_reading })
}

struct Reader {
    facts: watch::Receiver<Arc<host::Facts>>,
    only: Vec<u32>,
    namespaces: HashMap<u32, Namespace>,
    /// Namespaces whose ruleset is still to be read beforehand.
    new: VecDeque<Netns>,
    confirmer: Option<Confirmer>,
}

impl Reader {
    fn run(mut self, asked: &Receiver<Question>, publish: &Answers<Ruling>, first_reading: &SyncSender<()>) {
        self.wait_for_names();
        self.look_for_new();
        let first = if self.only.is_empty() { 1 } else { self.only.len() };
        (0..first).for_each(|_| self.read_new());
        // Nobody may wait for it any more.
        let _late = first_reading.try_send(());
        let mut next_look = Instant::now() + TICK;
        loop {
            if next_look <= Instant::now() {
                self.look_for_new();
                next_look = Instant::now() + TICK;
            }
            // Questions come before what is read beforehand.
            let pause =
                if self.new.is_empty() { next_look.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            match asked.recv_timeout(pause) {
                Ok(first) => {
                    let batch = std::iter::once(first).chain(asked.try_iter().take(QUEUE)).collect();
                    if !self.answer(batch, publish) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.read_new(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn wait_for_names(&self) {
        let start = Instant::now();
        let known =
            |facts: &host::Facts| facts.host().is_some() && self.only.iter().all(|only| facts.netns(*only).is_some());
        while !known(&self.facts.borrow()) && start.elapsed() < FIRST_NAMES {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Finds namespaces that have come, the host's first, and forgets those that are gone.
    fn look_for_new(&mut self) {
        let facts = Arc::clone(&self.facts.borrow());
        self.namespaces.retain(|inode, _| facts.netns(*inode).is_some());
        let is_new = |netns: &&Netns| {
            let matters = self.only.is_empty() || self.only.contains(&netns.inode);
            matters && !self.namespaces.contains_key(&netns.inode)
        };
        let host = facts.host().map(|host| host.inode);
        let mut new: Vec<&Netns> = facts.namespaces().filter(is_new).collect();
        new.sort_by_key(|netns| Some(netns.inode) != host);
        new.truncate(MOST_NAMESPACES.saturating_sub(self.namespaces.len()));
        self.new = new.into_iter().cloned().collect();
    }

    /// Reads the ruleset of one namespace that has come.
    fn read_new(&mut self) {
        let Some(netns) = self.new.pop_front() else { return };
        let read = || {
            let mut namespace = Namespace::default();
            namespace.prime();
            Ok(namespace)
        };
        // Not to be tried each second where it fails: a question will try again.
        let namespace = enter::one(&netns, read).unwrap_or_default();
        self.namespaces.entry(netns.inode).or_insert(namespace);
    }

    /// Answers a batch, namespace by namespace; false if nobody listens any more.
    fn answer(&mut self, batch: Vec<Question>, publish: &Answers<Ruling>) -> bool {
        let mut by_netns: HashMap<u32, Vec<Question>> = HashMap::new();
        for question in batch {
            by_netns.entry(question.netns.inode).or_default().push(question);
        }
        if self.namespaces.len() >= MOST_NAMESPACES {
            self.namespaces.retain(|inode, _| by_netns.contains_key(inode));
        }
        by_netns.into_iter().all(|(inode, questions)| {
            let rulings = rulings(self.namespaces.entry(inode).or_default(), &questions);
            questions.iter().zip(rulings).all(|(question, mut ruling)| {
                if let Some(confirmer) = &mut self.confirmer {
                    confirmer.review(question, &mut ruling, publish);
                }
                publish.send(Answer { case: question.case, finding: Arc::new(ruling) }).is_ok()
            })
        })
    }
}

/// The answers to questions about one namespace, each of them the reason if it can't be entered.
fn rulings(namespace: &mut Namespace, questions: &[Question]) -> Vec<Ruling> {
    let Some(netns) = questions.first().map(|question| &question.netns) else { return Vec::new() };
    let namespace = Mutex::new(namespace);
    let work = || Ok(namespace.lock().unwrap_or_else(PoisonError::into_inner).answer(questions));
    let unreadable = |error: &HostError| questions.iter().map(|_| Ruling::unreadable(error.to_string())).collect();
    enter::one(netns, work).unwrap_or_else(|error| unreadable(&error))
}
