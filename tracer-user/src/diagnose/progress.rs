//! One line on a terminal while it watches: how long still, and what was seen so far.
//!
//! Rule: it stands on standard error and is wiped before anything else is written.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::event::Stats;
use crate::sink::thousands;

/// Columns of the bar.
const WIDTH: usize = 20;

/// The line; none if it has nowhere to be.
pub(super) struct Progress {
    out: Option<Box<dyn Write>>,
    total: Option<Duration>,
    started: Instant,
    is_drawn: bool,
}

impl Progress {
    pub(super) fn new(out: Option<Box<dyn Write>>, total: Option<Duration>) -> Self {
        Self { out, total, started: Instant::now(), is_drawn: false }
    }

    pub(super) fn start(&mut self) {
        self.started = Instant::now();
    }

    /// Draws it with what was seen by now.
    pub(super) fn draw(&mut self, stats: &Stats) -> io::Result<()> {
        let line = line(self.started.elapsed(), self.total, stats);
        let Some(out) = &mut self.out else { return Ok(()) };
        self.is_drawn = true;
        write!(out, "\r\x1b[K{line}")?;
        out.flush()
    }

    /// Takes it away.
    pub(super) fn wipe(&mut self) -> io::Result<()> {
        match &mut self.out {
            Some(out) if self.is_drawn => {
                self.is_drawn = false;
                write!(out, "\r\x1b[K")?;
                out.flush()
            }
            _ => Ok(()),
        }
    }
}

/// `[##########----------] 15 s of 30 s: 124 attempts (3 failed), 40 queries (2 failed), 12 drops`.
fn line(elapsed: Duration, total: Option<Duration>, stats: &Stats) -> String {
    let mut line = String::new();
    let now = elapsed.as_secs();
    if let Some(total) = total.filter(|total| !total.is_zero()) {
        let done = (WIDTH as u128 * elapsed.as_millis() / total.as_millis().max(1)).min(WIDTH as u128) as usize;
        let _ = write!(line, "[{:-<WIDTH$}] {now} s of {} s: ", "#".repeat(done), total.as_secs());
    } else {
        let _ = write!(line, "{now} s: ");
    }
    if let Some(attempts) = stats.attempts {
        let failed = attempts.rejected + attempts.dropped + attempts.no_answer;
        let all = attempts.established + failed + attempts.pending;
        let _ = write!(line, "{} attempts ({} failed), ", thousands(all), thousands(failed));
        let _ =
            write!(line, "{} queries ({} failed), ", thousands(attempts.queries), thousands(attempts.failed_queries));
    }
    let _ = write!(line, "{} drops", thousands(stats.packets.saturating_sub(stats.hidden)));
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::tests::{Screen, stats};
    use crate::event::AttemptTotals;

    #[test]
    fn the_line_says_how_long_still_and_what_was_seen() {
        let attempts = AttemptTotals { established: 1200, no_answer: 2, dropped: 1, queries: 40, ..Default::default() };
        let stats = Stats { attempts: Some(attempts), packets: 12, hidden: 8, ..stats() };
        let half = line(Duration::from_secs(15), Some(Duration::from_secs(30)), &stats);
        assert_eq!(
            half,
            "[##########----------] 15 s of 30 s: 1,203 attempts (3 failed), 40 queries (0 failed), 4 drops"
        );
        assert!(
            line(Duration::from_secs(99), Some(Duration::from_secs(30)), &stats)
                .starts_with("[####################] 99")
        );
        assert!(line(Duration::from_secs(9), None, &stats).starts_with("9 s: 1,203"));
    }

    #[test]
    fn it_is_wiped_once_and_only_if_it_was_drawn() {
        let screen = Screen::default();
        let mut progress = Progress::new(Some(Box::new(screen.clone())), None);
        progress.wipe().unwrap();
        progress.draw(&stats()).unwrap();
        progress.wipe().unwrap();
        progress.wipe().unwrap();
        assert_eq!(screen.text().matches("\r\x1b[K").count(), 2);
        let mut nowhere = Progress::new(None, None);
        nowhere.draw(&stats()).unwrap();
        nowhere.wipe().unwrap();
    }
}
