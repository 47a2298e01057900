//! The thread that reads the node's state, and the way to it.
//!
//! Rule: questions are answered in their order; each topic sees to it that it does not read too often.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;

use tokio::sync::watch;

use super::{Memory, Question, Scene, State, answer};
use crate::host::error::Errno;
use crate::host::{self, HostError};
use crate::inquiry::{Answer, Answers, Inquiry, channel};

/// The way to the thread, which ends when this is dropped.
pub type NodeHandle = Inquiry<Question, State>;

/// Starts the thread.
///
/// # Errors
/// [`HostError::Thread`] if the process limit is reached.
pub fn spawn(facts: watch::Receiver<Arc<host::Facts>>) -> Result<NodeHandle, HostError> {
    let (inquiry, asked, publish) = channel();
    thread::Builder::new()
        .name("node".to_owned())
        .spawn(move || run(&facts, &asked, &publish))
        .map_err(|error| HostError::Thread { errno: Errno::of(&error) })?;
    Ok(inquiry)
}

fn run(facts: &watch::Receiver<Arc<host::Facts>>, asked: &Receiver<Question>, publish: &Answers<State>) {
    let mut memory = Memory::default();
    for question in asked {
        let host = Arc::clone(&facts.borrow());
        let mut scene = Scene::new(&question, &host);
        let state = answer(&mut scene, &mut memory);
        if publish.send(Answer { case: question.case, finding: Arc::new(state) }).is_err() {
            return;
        }
    }
}
