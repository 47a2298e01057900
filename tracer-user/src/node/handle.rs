//! The thread that reads the node's state, and the way to it.
//!
//! Rules: each topic of a namespace has its turn ([`super::turns`]), reading takes a bounded share of a processor
//! ([`super::pace`]), and each question is answered in time: without looking, where there are too many.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::pace::Pace;
use super::turns::Turns;
use super::{Memory, Question, Scene, State, answer};
use crate::host::error::Errno;
use crate::host::{self, HostError};
use crate::inquiry::{Answer, Answers, Inquiry, QUEUE, channel};

/// The way to the thread, which ends when this is dropped.
pub type NodeHandle = Inquiry<Question, State>;

/// How often questions that wait are looked through for those that have waited too long.
const TURN: Duration = Duration::from_millis(200);

/// Why a question was not answered.
const TOO_MANY: &str = "what on the node decided it: too many drops of its kind are being looked into";

const FAILED: &str = "what on the node decided it: its reader failed; please report this as a bug";

/// Starts the thread.
///
/// # Errors
/// [`HostError::Thread`] if the process limit is reached.
pub fn spawn(facts: watch::Receiver<Arc<host::Facts>>) -> Result<NodeHandle, HostError> {
    let (inquiry, asked, publish) = channel();
    let reader = Reader { facts, publish, memory: Memory::default(), pace: Pace::default() };
    thread::Builder::new()
        .name("node".to_owned())
        .spawn(move || reader.run(&asked))
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    Ok(inquiry)
}

/// Nobody wants answers any more.
struct Ended;

struct Reader {
    facts: watch::Receiver<Arc<host::Facts>>,
    publish: Answers<State>,
    memory: Memory,
    pace: Pace,
}

impl Reader {
    fn run(mut self, asked: &Receiver<Question>) {
        let mut turns = Turns::default();
        while self.turn(&mut turns, asked).is_ok() {}
    }

    /// Takes what was asked meanwhile, and answers one question, if it may.
    fn turn(&mut self, turns: &mut Turns, asked: &Receiver<Question>) -> Result<(), Ended> {
        let wait = self.pace.wait();
        let first = if turns.is_empty() {
            Some(asked.recv().map_err(|_| Ended)?)
        } else if wait.is_zero() {
            None
        } else {
            match asked.recv_timeout(wait.min(TURN)) {
                Ok(question) => Some(question),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(Ended),
            }
        };
        let new = first.into_iter().chain(asked.try_iter().take(QUEUE));
        let refused: Vec<Question> = new.filter_map(|question| turns.add(question)).collect();
        for question in refused.into_iter().chain(turns.take_late()) {
            self.publish(&question, State::unreadable(TOO_MANY.to_owned()))?;
        }
        if self.pace.wait().is_zero()
            && let Some(question) = turns.next()
        {
            let state = self.read(&question);
            self.publish(&question, state)?;
        }
        Ok(())
    }

    /// A fault of one reader costs its answer: without the thread every later line would wait in vain.
    fn read(&mut self, question: &Question) -> State {
        let host = Arc::clone(&self.facts.borrow());
        let mut scene = Scene::new(question, &host);
        let memory = &mut self.memory;
        let work = AssertUnwindSafe(|| answer(&mut scene, memory));
        self.pace.spend(|| catch_unwind(work)).unwrap_or_else(|_| {
            // What it kept may be half of something.
            self.memory = Memory::default();
            State::unreadable(FAILED.to_owned())
        })
    }

    fn publish(&self, question: &Question, state: State) -> Result<(), Ended> {
        let answer = Answer { case: question.case, finding: Arc::new(state) };
        self.publish.send(answer).map_err(|_| Ended)
    }
}
