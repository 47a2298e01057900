//! Tells the stories one after the other, each when the one before has been shown.
//!
//! Rule: it ends when the run does (its channel closes), and the run ends when it does, whatever happens to it.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::error::DemoError;
use super::lab::Lab;
use super::story::{Awaited, STORIES, Story};
use super::witness::Shown;
use crate::sink::Style;

/// How long a drop may take to be shown: the first packet of a flow takes a few hundredths of a second.
const PATIENCE: Duration = Duration::from_secs(5);

const LAST: &str = "\nCtrl-C ends watch, and it sums up: what was dropped where, and for each cause what to try.\n\n";

pub(super) struct Narrator {
    pub(super) lab: Lab,
    pub(super) shown: Receiver<Shown>,
    pub(super) end: Arc<Notify>,
    pub(super) style: Style,
    /// Between two stories.
    pub(super) pause: Duration,
}

/// How far the narrator came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// `unseen` drops were caused and not shown.
    All { unseen: usize },
    /// A signal, or a failure of the run, came before the end.
    NotAll,
}

/// The run was ended by somebody else.
struct Ended;

impl Narrator {
    /// Tells them all.
    pub(super) fn tell(self) -> Result<Told, DemoError> {
        let mut unseen = 0;
        if !matches!(self.shown.recv(), Ok(Shown::Header)) {
            return Ok(Told::NotAll);
        }
        for (number, story) in (1..).zip(STORIES) {
            if let Some(why) = self.lab.lacks(story.needs) {
                say(&format!("\n{number}. not shown ({}): {why}\n", story.tells))?;
                continue;
            }
            match self.show(number, story)? {
                Ok(true) => {}
                Ok(false) => {
                    say("   This drop was not seen.\n")?;
                    unseen += 1;
                }
                Err(Ended) => return Ok(Told::NotAll),
            }
        }
        say(LAST)?;
        Ok(Told::All { unseen })
    }

    /// One story; whether its drop was shown.
    fn show(&self, number: u32, story: &Story) -> Result<Result<bool, Ended>, DemoError> {
        say(&format!("\n{}\n", self.style.bold(&format!("{number}. {}", story.tells))))?;
        let awaited = (story.act)(&self.lab)?;
        let seen = self.wait(PATIENCE, Some(&awaited));
        let seen = seen.and_then(|seen| self.wait(self.pause, None).map(|_| seen));
        Ok(seen)
    }

    /// Waits for the awaited line; without one, for the time to pass.
    fn wait(&self, time: Duration, awaited: Option<&Awaited>) -> Result<bool, Ended> {
        let deadline = Instant::now() + time;
        loop {
            match self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Shown::Drop(drop)) if awaited.is_some_and(|awaited| awaited.is(&drop)) => return Ok(true),
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Err(Ended),
            }
        }
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.end.notify_one();
    }
}

/// At once, and not behind what the sink still holds: it holds nothing between its lines.
pub(super) fn say(text: &str) -> Result<(), DemoError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
