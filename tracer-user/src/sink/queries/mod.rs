//! The output of `whydrop dns`: a line for each query that failed or was slow, and at the end how each resolver did.
//!
//! Rule: the line tells every query; here it is chosen which have a line, so that the summary counts all of them. Drops are
//! shown only if they are of DNS packets that no query's line tells of.

mod drops;
mod explained;
mod tally;
mod text;

use std::io;

pub use text::QueryText;

use super::{Line, Sink};
use crate::event::{Counter, Dns, Header, QueryOutcome, Stats};
use drops::HeldDrops;

/// Whether a query has a line of its own.
fn has_line(dns: &Dns, all: bool) -> bool {
    all || !matches!(dns.outcome, QueryOutcome::Answered | QueryOutcome::Search)
}

/// The same for programs: what `inner` prints of it.
pub struct QueryLines {
    inner: Box<dyn Sink>,
    all: bool,
    drops: HeldDrops,
}

impl QueryLines {
    /// `all`: also queries that went well; `with_hosts`: also drops of the host's namespace that no query's line tells of.
    pub fn new(inner: Box<dyn Sink>, all: bool, with_hosts: bool) -> Self {
        Self { inner, all, drops: HeldDrops::new(with_hosts) }
    }
}

impl Sink for QueryLines {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.inner.header(header)
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        match self.drops.add(line) {
            Some(held) => self.inner.line(&held.line()),
            None => Ok(()),
        }
    }

    fn counter(&mut self, _counter: &Counter) -> io::Result<()> {
        Ok(())
    }

    fn dns(&mut self, dns: &Dns) -> io::Result<()> {
        self.drops.told(dns);
        if has_line(dns, self.all) { self.inner.dns(dns) } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        for held in self.drops.due(stats.last) {
            self.inner.line(&held.line())?;
        }
        self.inner.stats(stats)
    }
}
