//! Verdicts of network policies, once an interval: what the ledger has gathered is named, judged and told.
//!
//! Rule: each verdict is counted, whether it has a line or not.

use crate::enrich;
use crate::explain;
use crate::host::clock::monotonic;
use crate::kubernetes::{Selection, Span};
use crate::verdict::{self, Due, Judged};

use super::PipelineError;
use super::describe::Describer;
use super::stages::Stages;

impl Stages {
    /// Tells what is due, the ends with most connections first; at the end all.
    pub(super) fn print_verdicts(&mut self, is_end: bool) -> Result<(), PipelineError> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        let mut lines_left = self.lines_a_tick;
        for due in ledger.due(monotonic(), is_end) {
            let judged = self.describer.judge(&due, &self.selection);
            ledger.undecided(judged.undecided.saturating_mul(due.attempts));
            for verdict in judged.verdicts {
                let is_shown = lines_left > 0;
                ledger.count(&verdict, is_shown);
                if is_shown {
                    lines_left -= 1;
                    self.sink.verdict(&verdict).map_err(PipelineError::Sink)?;
                }
            }
        }
        self.flush()
    }
}

impl Describer {
    fn judge(&self, due: &Due, pods: &Selection) -> Judged {
        let flow = due.flow.as_deref().cloned().unwrap_or_else(|| {
            let explanation = due.story.is_failing().then(|| explain::flow::explain(&due.story, None));
            let mut flow = enrich::flow(&due.story, self.clock(), explanation);
            self.name_flow(&mut flow, &due.story);
            flow
        });
        let span = Span { from: due.story.first, to: due.story.last };
        let mut judged = verdict::judge(&flow, due.attempts, pods, &self.directory.read(), span);
        for verdict in &mut judged.verdicts {
            verdict.netns.name = self.netns_name(verdict.netns.inode);
        }
        judged
    }
}
