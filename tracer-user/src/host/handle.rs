//! The reader's thread: publishes [`Facts`] and takes questions from the event line.
//!
//! Rule: the event line never waits for it. Questions go through a bounded queue and are dropped when it is full (the
//! same unknown is asked for again by its next event); answers come as a new snapshot.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::{Errno, HostError};
use super::facts::{Facts, Unknown};
use super::reader::Reader;

/// Questions that wait: the distinct unknowns of one tick on a node with hundreds of pods fit several times (8 KiB).
const QUEUE: usize = 1024;
/// How often things are looked at again that nobody asked about.
const TICK: Duration = Duration::from_secs(1);
/// Questions are gathered for this long, so that a burst costs one reading.
const GATHER: Duration = Duration::from_millis(20);
/// Ticks for which an unanswered question is kept: a scan may be refused for a while to save CPU time.
const PATIENCE: u8 = 4;
/// Namespaces whose interfaces are read before the first readings are published.
const FIRST_BATCH: usize = 64;

/// The way to the reader's thread, which ends when this is dropped.
#[derive(Debug)]
pub struct HostHandle {
    facts: watch::Receiver<Arc<Facts>>,
    questions: SyncSender<Unknown>,
}

impl HostHandle {
    /// The newest snapshot.
    pub fn facts(&self) -> Arc<Facts> {
        self.facts.borrow().clone()
    }

    /// To wait for the next snapshot.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Facts>> {
        self.facts.clone()
    }

    /// Asks for something; false when the queue is full (or the thread is gone), to be counted by the caller.
    pub fn ask(&self, unknown: Unknown) -> bool {
        self.questions.try_send(unknown).is_ok()
    }
}

/// Starts the thread. The first snapshot is what the reader knows already, mostly nothing; names follow within milliseconds, interfaces a moment later.
pub fn spawn(reader: Reader) -> Result<HostHandle, HostError> {
    let (publish, facts) = watch::channel(reader.facts());
    let (questions, asked) = sync_channel(QUEUE);
    thread::Builder::new()
        .name("host".to_owned())
        .spawn(move || run(reader, &publish, &asked))
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    Ok(HostHandle { facts, questions })
}

fn run(mut reader: Reader, publish: &watch::Sender<Arc<Facts>>, asked: &Receiver<Unknown>) {
    start(&mut reader, publish);
    let mut waiting: HashMap<Unknown, u8> = HashMap::new();
    let mut next_tick = Instant::now() + TICK;
    loop {
        match asked.recv_timeout(next_tick.saturating_duration_since(Instant::now())) {
            Ok(unknown) => {
                thread::sleep(GATHER);
                let new = std::iter::once(unknown).chain(asked.try_iter());
                waiting.extend(new.take(QUEUE).map(|unknown| (unknown, PATIENCE)));
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let now = Instant::now();
        let questions: Vec<Unknown> = waiting.keys().copied().collect();
        let mut changed = reader.learn(&questions, now);
        if next_tick <= now {
            changed |= reader.refresh(now);
            next_tick = now + TICK;
            waiting.retain(|_, left| {
                *left -= 1;
                *left > 0
            });
        }
        let facts = reader.facts();
        waiting.retain(|unknown, _| !facts.knows(*unknown));
        if changed {
            publish.send_replace(facts);
        }
    }
}

/// The eager reading, published as it goes: names, then interfaces, the host's among the first.
fn start(reader: &mut Reader, publish: &watch::Sender<Arc<Facts>>) {
    let now = Instant::now();
    reader.discover(now);
    publish.send_replace(reader.facts());
    reader.read_new(now, FIRST_BATCH, TICK);
    publish.send_replace(reader.facts());
    publish.send_replace(reader.snapshot(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a snapshot that fulfils `wanted`.
    fn wait(handle: &HostHandle, wanted: impl Fn(&Facts) -> bool) -> Arc<Facts> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            let facts = handle.facts();
            if wanted(&facts) {
                return facts;
            }
            thread::sleep(Duration::from_millis(2));
        }
        panic!("no such snapshot within 20 s");
    }

    #[test]
    fn facts_are_published_and_the_thread_ends_with_its_handle() {
        let handle = spawn(Reader::default()).unwrap();
        let facts = wait(&handle, |facts| facts.host().is_some_and(|host| facts.interfaces(host.inode).is_ok()));
        let host = facts.host().unwrap().inode;
        assert_eq!(facts.interface(host, 1).unwrap().name, "lo");

        let mut last = handle.subscribe();
        assert!(handle.ask(Unknown { netns: 1, ifindex: 1, cookie: 0 }), "a question is taken");
        drop(handle);
        let deadline = Instant::now() + Duration::from_secs(20);
        while last.has_changed().is_ok() && Instant::now() < deadline {
            last.mark_unchanged();
            thread::sleep(Duration::from_millis(2));
        }
        assert!(last.has_changed().is_err(), "the publisher is gone");
    }

    #[test]
    fn a_full_queue_refuses_and_does_not_block() {
        let handle = spawn(Reader::new("/nonexistent")).unwrap();
        let refused = (0..10 * QUEUE as u32)
            .filter(|netns| !handle.ask(Unknown { netns: *netns, ifindex: 0, cookie: 0 }))
            .count();
        assert!(refused > 0);
    }
}
