//! The library's answer about one packet, asked in two ways: as `explain` does, hook by hook from the start; and as it is
//! asked for an event, which shows where the packet ended and what its mark was then.

use std::fmt::Write as _;

use anyhow::Result;
use tracer_netfilter::evaluate::walk;
use tracer_netfilter::live::{self, Live};
use tracer_netfilter::model::{Backend, Hook};
use tracer_netfilter::packet::Mark;
use tracer_netfilter::walk::{Layer, Outcome, Question, Walk};
use tracer_netfilter::{Packet, Ruleset};

use crate::lab::Lab;
use crate::probe::Probe;
use crate::score::Answer;
use crate::style::Style;
use crate::truth::Name;
use crate::watch::Seen;

pub(crate) fn read(lab: &Lab) -> Result<Ruleset> {
    let ruleset = lab.router().run(|| Ok(live::ruleset()))?;
    anyhow::ensure!(
        ruleset.gaps.iter().all(|gap| gap.contains("ebtables") || gap.contains("arptables")),
        "{:?}",
        ruleset.gaps
    );
    Ok(ruleset)
}

/// One packet of which the kernel has said what became of it.
pub(crate) struct Case<'a> {
    pub(crate) ruleset: &'a Ruleset,
    pub(crate) probe: &'a Probe,
    pub(crate) style: Style,
    pub(crate) truth: &'a Name,
    pub(crate) seen: Seen<'a>,
}

impl Case<'_> {
    /// To be called in the router's namespace.
    pub(crate) fn judge(&self) -> Result<Answer> {
        let world = Live::new();
        let (mut possible, mut doubts) = (Vec::new(), String::new());
        let hooks = self.probe.way.hooks();
        for (at, hook) in hooks.iter().enumerate() {
            let walk = self.ask(*hook, Mark::Before(self.mark(*hook)), None, &world)?;
            let is_last = walk.outcome == Outcome::Dropped;
            if let (true, [only], true) = (possible.is_empty(), &walk.candidates[..], is_last)
                && only.unknown.is_empty()
            {
                let name = Name::of(self.ruleset, only.place);
                if name.as_ref() != Some(self.truth) {
                    return Ok(Answer::Certain { is_right: false, says: self.say(&walk, *hook) });
                }
                return self.judge_event(*hook, walk.mark, &world);
            }
            if let (Outcome::Accepted, Some(mark), Some(next)) = (walk.outcome, walk.mark, hooks.get(at + 1))
                && self.truth.table != "t-netdev"
                && mark != self.mark(*next)
            {
                let says = format!("the mark after {hook:?} is {mark:#x} and was {:#x}", self.mark(*next));
                return Ok(Answer::Certain { is_right: false, says });
            }
            possible.extend(walk.candidates.iter().map(|candidate| Name::of(self.ruleset, candidate.place)));
            if !walk.candidates.is_empty() || walk.outcome != Outcome::Accepted {
                doubts += &self.say(&walk, *hook);
            }
            if is_last {
                return Ok(self.possible(&possible, doubts));
            }
        }
        if possible.is_empty() {
            return Ok(Answer::Certain { is_right: false, says: "it passes".to_owned() });
        }
        Ok(self.possible(&possible, doubts))
    }

    /// The same once more, as an event is asked about: the mark is that of the end.
    fn judge_event(&self, hook: Hook, mark: Option<u32>, world: &Live) -> Result<Answer> {
        let Some(mark) = mark else { return Ok(Answer::Certain { is_right: true, says: String::new() }) };
        let walk = self.ask(hook, Mark::After(mark), Some(self.truth.backend()), world)?;
        let names: Vec<_> = walk.candidates.iter().map(|candidate| Name::of(self.ruleset, candidate.place)).collect();
        let is_right = names.len() == 1 && names[0].as_ref() == Some(self.truth);
        let says = format!("mark {mark:#x} at the end: {}", self.say(&walk, hook));
        let is_certain =
            walk.outcome == Outcome::Dropped && matches!(&walk.candidates[..], [only] if only.unknown.is_empty());
        if is_certain {
            return Ok(Answer::Certain { is_right, says });
        }
        // Two stories may end with the same mark.
        let mut doubts = walk.candidates.iter().flat_map(|candidate| &candidate.unknown);
        let is_by_mark = doubts.all(|doubt| doubt == "the packet's mark on the way");
        Ok(match self.possible(&names, says) {
            Answer::Possible { holds_truth, is_meant, says } => {
                Answer::Possible { holds_truth, is_meant: is_meant || is_by_mark, says }
            }
            certain @ Answer::Certain { .. } => certain,
        })
    }

    fn possible(&self, names: &[Option<Name>], says: String) -> Answer {
        let holds_truth = names.iter().any(|name| name.as_ref() == Some(self.truth));
        let is_meant = self.style.is_unsure || self.probe.is_later_fragment();
        Answer::Possible { holds_truth, is_meant, says }
    }

    fn ask(&self, hook: Hook, mark: Mark, backend: Option<Backend>, world: &Live) -> Result<Walk> {
        let packet = self.packet(hook, mark)?;
        let layer = if hook == Hook::Ingress { Layer::Device } else { Layer::Ip };
        let question = Question { packet: &packet, hook, layer, backend, verbose: true };
        Ok(walk(self.ruleset, &question, world))
    }

    fn mark(&self, hook: Hook) -> u32 {
        if hook == self.probe.way.hooks()[0] { self.probe.mark() } else { self.seen.mark(hook) }
    }

    fn packet(&self, hook: Hook, mark: Mark) -> Result<Packet> {
        let state = self.seen.state().filter(|_| hook != Hook::Ingress);
        self.probe.packet(hook, mark, state.map(|state| (state, self.seen.connection_mark(hook))))
    }

    fn say(&self, walk: &Walk, hook: Hook) -> String {
        let mut says = format!("at {hook:?} {:?} {:?}", walk.outcome, walk.unknown);
        let name = |place| Name::of(self.ruleset, place).map_or_else(String::new, |name| name.to_string());
        for candidate in &walk.candidates {
            let _ = write!(says, "; {} hanging on {:?}", name(candidate.place), candidate.unknown);
        }
        for step in &walk.steps {
            let _ = write!(says, "\n    {}: {}", name(step.place), step.says);
        }
        says
    }
}
