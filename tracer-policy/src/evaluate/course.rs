//! The course of a connection through the stages of policies.
//!
//! Rule: every way that it may end is noted while something is open; if all ends are alike, what is open does not matter.

use super::{Direction, RuleId, Side, Verdict, Why};

#[derive(Debug, Default)]
pub(super) struct Course {
    ends: Vec<Ending>,
    /// What is open, in sentences.
    unknown: Vec<String>,
}

#[derive(Debug)]
struct Ending {
    verdict: Verdict,
    why: Why,
    rule: Option<RuleId>,
    is_certain: bool,
}

impl Course {
    /// It ends here, for certain if it comes here at all.
    pub(super) fn ends(&mut self, verdict: Verdict, why: Why, rule: Option<RuleId>) {
        self.ends.push(Ending { verdict, why, rule, is_certain: true });
    }

    /// It may end here, and may go on.
    pub(super) fn may_end(&mut self, verdict: Verdict, why: Why, rule: Option<RuleId>) {
        self.ends.push(Ending { verdict, why, rule, is_certain: false });
    }

    /// It may end here either way.
    pub(super) fn is_open(&mut self, sentence: String) {
        self.may_end(Verdict::Allowed, Why::Undecided, None);
        self.may_end(Verdict::Denied, Why::Undecided, None);
        self.unknown(sentence);
    }

    pub(super) fn unknown(&mut self, sentence: String) {
        if !self.unknown.contains(&sentence) {
            self.unknown.push(sentence);
        }
    }

    /// What came of it, without who selects the pod and the nearest rule.
    pub(super) fn finish(self, direction: Direction) -> Side {
        let Self { mut ends, unknown } = self;
        let open = Side::open(direction, Why::NoPolicy);
        let is_agreed = ends.windows(2).all(|two| matches!(two, [one, other] if one.verdict == other.verdict));
        if !is_agreed {
            return Side { verdict: Verdict::Unknown, why: Why::Undecided, unknown, ..open };
        }
        let at = ends.iter().position(|end| end.is_certain).unwrap_or(0);
        match (at < ends.len()).then(|| ends.swap_remove(at)) {
            Some(Ending { verdict, why, rule, .. }) => Side { verdict, why, decided_by: rule, ..open },
            None => open,
        }
    }
}
