//! Names on what is told, and what the network policies say about it: both for the time that a line stands for.
//!
//! Rule: the index is held for one event at a time; its sources never wait for the line.

use crate::enrich;
use crate::event::{Counter, Dns, Drop, Flow};
use crate::explain;
use crate::flow::Story;
use crate::host::clock::monotonic;
use crate::kubernetes::Span;

use super::describe::Describer;

impl Describer {
    /// Names a drop. `time` is that of its packet; a line from the counts stands for all since the tick before.
    pub(super) fn name_drop(&self, drop: &mut Drop, time: Option<u64>) {
        let span = time.map_or(Span { from: self.tick_before, to: monotonic() }, Span::at);
        let index = self.directory.read();
        enrich::name_drop(drop, &index, span);
        explain::policy::refine_drop(drop, &index, span);
    }

    pub(super) fn name_flow(&self, flow: &mut Flow, story: &Story) {
        let span = Span { from: story.first, to: story.last };
        let index = self.directory.read();
        enrich::name_flow(flow, &index, span);
        explain::policy::refine_flow(flow, &index, span);
    }

    pub(super) fn name_dns(&self, dns: &mut Dns, span: Span) {
        enrich::name_dns(dns, &self.directory.read(), span);
    }

    pub(super) fn name_counter(&self, counter: &mut Counter) {
        enrich::name_counter(counter, &self.directory.read(), Span::at(monotonic()));
    }
}
