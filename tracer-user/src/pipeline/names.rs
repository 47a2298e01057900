//! Names on what is told, and what the network policies say about it: both for the time that a line stands for.
//!
//! Rule: the index is held for one event at a time; its sources never wait for the line.

use crate::enrich;
use crate::event::{Counter, Dns, Drop, Flow, Netns};
use crate::explain;
use crate::flow::Story;
use crate::host::clock::monotonic;
use crate::kubernetes::Span;

use super::describe::Describer;

/// Since when and how long the names of a flow hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    /// Of the directory: it rises with each change.
    generation: u64,
    from: u64,
    is_steady: bool,
}

impl Describer {
    /// The time that a line stands for: that of its packet; a line from the counts stands for all since the tick before.
    pub(super) fn span(&self, time: Option<u64>) -> Span {
        time.map_or_else(|| Span { from: self.tick_before, to: monotonic() }, Span::at)
    }

    /// Whether a flow's names, given then, also hold for this time.
    pub(super) fn is_named(&self, named: Named, span: Span) -> bool {
        named.is_steady && named.from <= span.from && named.generation == self.directory.generation()
    }

    /// Names a drop, and says what the policies say of it.
    pub(super) fn name_drop(&self, drop: &mut Drop, span: Span, is_another_netns: bool) -> Named {
        // Before the names: a change meanwhile has them looked up once more.
        let generation = self.directory.generation();
        let index = self.directory.read();
        enrich::name_drop(drop, &index, span);
        if is_another_netns {
            drop.netns.pod = None;
        }
        let recent = self.directory.hubble();
        let word = explain::cilium::of_drop(drop, &recent, span);
        let is_here = recent.is_here();
        let may_be_told = is_here && explain::cilium::is_its(&drop.explanation);
        std::mem::drop(recent);
        if let Some(word) = &word {
            explain::cilium::tell_reason(&mut drop.explanation, word);
        }
        explain::policy::refine_drop(drop, &index, span);
        if let Some(word) = &word {
            explain::cilium::name_policies(&mut drop.explanation, word);
        }
        explain::policy::local_dns::refine_drop(drop, &index, span, is_here);
        // What Hubble says is about one packet, and may come after it.
        let is_steady = !may_be_told && enrich::is_steady(drop, &index, span);
        Named { generation, from: span.from, is_steady }
    }

    pub(super) fn name_flow(&self, flow: &mut Flow, story: &Story) {
        let span = Span { from: story.first, to: story.last };
        let index = self.directory.read();
        enrich::name_flow(flow, &index, span);
        let word = explain::cilium::of_flow(flow, &self.directory.hubble(), span);
        explain::policy::refine_flow(flow, &index, span);
        if let (Some(word), Some(explanation)) = (word, &mut flow.explanation) {
            explain::cilium::tell_flow(explanation, &word);
        }
        explain::policy::local_dns::refine_flow(flow, &index, span, self.directory.hubble().is_here());
    }

    pub(super) fn name_dns(&self, dns: &mut Dns, span: Span) {
        let index = self.directory.read();
        enrich::name_dns(dns, &index, span);
        explain::policy::local_dns::refine_dns(dns, &index, span, self.directory.hubble().is_here());
    }

    /// A namespace as it is called now.
    pub(super) fn name_netns(&self, mut netns: Netns) -> Netns {
        enrich::name_netns(&mut netns, &self.directory.read(), Span::at(monotonic()));
        netns
    }

    pub(super) fn name_counter(&self, counter: &mut Counter) {
        enrich::name_counter(counter, &self.directory.read(), Span::at(monotonic()));
    }
}
