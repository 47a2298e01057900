//! The thread that reads rulesets, and the way to it.
//!
//! Rule: the event line never waits for it. Questions go through a bounded queue and are dropped when it is full (the
//! flow's next line asks again); answers come as values.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracer_common::FlowKey;

use super::Question;
use super::confirm::Confirmer;
use super::namespace::Namespace;
use super::ruling::Ruling;
use crate::host::error::Errno;
use crate::host::{self, HostError, Netns, enter};

/// Questions that wait: more flows than one tick prints (about 1 KiB each).
const QUEUE: usize = 1024;
/// How often namespaces that came are looked for.
const TICK: Duration = Duration::from_secs(1);
/// Namespaces whose ruleset is kept.
const MOST_NAMESPACES: usize = 512;
/// How long a batch of readings may take before questions are looked at again.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the thread waits for the first names at its start.
const FIRST_NAMES: Duration = Duration::from_secs(2);

/// What the rulesets say about a flow's drops.
#[derive(Clone, Debug)]
pub struct Answer {
    pub flow: FlowKey,
    pub ruling: Arc<Ruling>,
}

/// The way to the thread, which ends when this is dropped.
#[derive(Debug)]
pub struct NetfilterHandle {
    questions: SyncSender<Question>,
    answers: mpsc::UnboundedReceiver<Answer>,
}

impl NetfilterHandle {
    /// Asks; false when the queue is full (or the thread is gone).
    pub fn ask(&self, question: Question) -> bool {
        self.questions.try_send(question).is_ok()
    }

    /// Waits for the next answer; pending for ever once the thread is gone.
    pub async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

/// Starts the thread. It first reads the rulesets of the namespaces that `facts` tells of. With `confirm` it has the kernel
/// trace flows whose rule is not certain.
pub fn spawn(facts: watch::Receiver<Arc<host::Facts>>, confirm: bool) -> Result<NetfilterHandle, HostError> {
    let (questions, asked) = sync_channel(QUEUE);
    let (publish, answers) = mpsc::unbounded_channel();
    let reader = Reader { facts, namespaces: HashMap::new(), confirmer: confirm.then(Confirmer::default) };
    thread::Builder::new()
        .name("netfilter".to_owned())
        .spawn(move || reader.run(&asked, &publish))
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    Ok(NetfilterHandle { questions, answers })
}

struct Reader {
    facts: watch::Receiver<Arc<host::Facts>>,
    namespaces: HashMap<u32, Namespace>,
    confirmer: Option<Confirmer>,
}

impl Reader {
    fn run(mut self, asked: &Receiver<Question>, publish: &mpsc::UnboundedSender<Answer>) {
        let start = Instant::now();
        while self.facts.borrow().host().is_none() && start.elapsed() < FIRST_NAMES {
            thread::sleep(Duration::from_millis(5));
        }
        let mut next_look = Instant::now();
        loop {
            if next_look <= Instant::now() {
                self.prime();
                next_look = Instant::now() + TICK;
            }
            match asked.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(first) => {
                    let batch = std::iter::once(first).chain(asked.try_iter().take(QUEUE)).collect();
                    if !self.answer(batch, publish) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Reads rulesets of namespaces that have come, and forgets those that are gone.
    fn prime(&mut self) {
        let facts = Arc::clone(&self.facts.borrow());
        self.namespaces.retain(|inode, _| facts.netns(*inode).is_some());
        let is_new = |netns: &&Netns| !self.namespaces.contains_key(&netns.inode);
        let host = facts.host().map(|host| host.inode);
        let mut new: Vec<&Netns> = facts.namespaces().filter(is_new).collect();
        new.sort_by_key(|netns| Some(netns.inode) != host);
        new.truncate(MOST_NAMESPACES.saturating_sub(self.namespaces.len()));
        let read = |_: &Netns| {
            let mut namespace = Namespace::default();
            namespace.prime();
            Ok(namespace)
        };
        for (inode, namespace) in enter::each(&new, Instant::now() + PATIENCE, read) {
            match namespace {
                Ok(namespace) => drop(self.namespaces.insert(inode, namespace)),
                Err(error) => tracing::debug!("no ruleset beforehand: {error}"),
            }
        }
    }

    /// Answers a batch, namespace by namespace; false if nobody listens any more.
    fn answer(&mut self, batch: Vec<Question>, publish: &mpsc::UnboundedSender<Answer>) -> bool {
        let mut by_netns: HashMap<u32, Vec<Question>> = HashMap::new();
        for question in batch {
            by_netns.entry(question.netns.inode).or_default().push(question);
        }
        if self.namespaces.len() >= MOST_NAMESPACES {
            self.namespaces.retain(|inode, _| by_netns.contains_key(inode));
        }
        by_netns.into_iter().all(|(inode, questions)| {
            let rulings = rulings(self.namespaces.entry(inode).or_default(), &questions);
            questions.iter().zip(rulings).all(|(question, ruling)| {
                if let Some(confirmer) = &mut self.confirmer
                    && !ruling.is_certain()
                {
                    confirmer.confirm(question, publish);
                }
                publish.send(Answer { flow: question.flow, ruling: Arc::new(ruling) }).is_ok()
            })
        })
    }
}

/// The answers to questions about one namespace, each of them the reason if it can't be entered.
fn rulings(namespace: &mut Namespace, questions: &[Question]) -> Vec<Ruling> {
    let Some(netns) = questions.first().map(|question| &question.netns) else { return Vec::new() };
    let namespace = Mutex::new(namespace);
    let work = |_: &Netns| Ok(namespace.lock().unwrap_or_else(PoisonError::into_inner).answer(questions));
    let unreadable = |error: &HostError| questions.iter().map(|_| Ruling::unreadable(error.to_string())).collect();
    match enter::each(&[netns], Instant::now() + PATIENCE, work).into_iter().next() {
        Some((_, Ok(rulings))) => rulings,
        Some((_, Err(error))) => unreadable(&error),
        None => unreadable(&HostError::ThreadFailed),
    }
}
