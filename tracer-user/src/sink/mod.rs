//! Where lines go. One typed record, several renderers; none of them decides what is said.
//!
//! Rule: text that comes from the host or the network is escaped before it reaches a terminal, and a reader that went
//! away ends the run cleanly.

mod findings;
mod json_lines;
mod live;
mod queries;
mod style;
mod summary;
mod text;
mod verdicts;

use std::io;

use tracer_common::{FlowKey, Tally};

pub(crate) use findings::{entry, named};
pub use json_lines::JsonLines;
pub use live::Live;
pub use queries::{QueryLines, QueryText};
pub use style::{Style, endpoint, place, printable, who};
pub(crate) use style::{hanging, place_of, thousands};
pub use text::Text;
pub use verdicts::{VerdictLines, VerdictText};

use crate::event::{Counter, Dns, Drop, Finding, Flow, Header, Stats, Verdict};
use crate::flow::Census;

/// Packets of a flow that were dropped since its last line.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub key: &'a FlowKey,
    pub drop: &'a Drop,
    /// Everything that was printed of the flow, this line included.
    pub total: Tally,
}

/// A renderer. An error ends the run; `BrokenPipe` ends it cleanly.
pub trait Sink {
    /// Called once, when everything is attached.
    fn header(&mut self, header: &Header) -> io::Result<()>;
    /// Called for each line.
    fn line(&mut self, line: &Line<'_>) -> io::Result<()>;
    /// Called for each counter that rose.
    fn counter(&mut self, counter: &Counter) -> io::Result<()>;
    /// Called for each attempt to talk that failed. This and the next three come only where attempts are watched.
    fn flow(&mut self, _flow: &Flow) -> io::Result<()> {
        Ok(())
    }
    /// Called for each DNS query that is to be told.
    fn dns(&mut self, _dns: &Dns) -> io::Result<()> {
        Ok(())
    }
    /// Called for each verdict of network policies on a new connection, where these are asked for.
    fn verdict(&mut self, _verdict: &Verdict) -> io::Result<()> {
        Ok(())
    }
    /// Called for each thing that `diagnose` found.
    fn finding(&mut self, _finding: &Finding) -> io::Result<()> {
        Ok(())
    }
    /// Called before the last [`Self::stats`]: all attempts that were seen, also those that went well.
    fn census(&mut self, _census: &Census) -> io::Result<()> {
        Ok(())
    }
    /// Called after each batch of lines: what is buffered should be seen now.
    fn flush(&mut self) -> io::Result<()>;
    /// Called each tick, and at the end with [`Stats::last`] set.
    fn stats(&mut self, stats: &Stats) -> io::Result<()>;
}
