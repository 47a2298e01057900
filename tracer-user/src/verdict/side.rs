//! One direction: what was seen against what the policies say.
//!
//! Rule: silence alone is no denial: only where nothing else explains it and a policy demands it.

use tracer_policy::evaluate::{self, Verdict};

use crate::event::{Confidence, PolicyDirection, PolicyVerdict};

use super::seen::Seen;

/// What is said of a direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Is {
        verdict: PolicyVerdict,
        confidence: Confidence,
        contradiction: Option<String>,
    },
    Undecided,
    /// It never came so far.
    NotAsked,
}

impl Told {
    fn is(verdict: PolicyVerdict, confidence: Confidence) -> Self {
        Self::Is { verdict, confidence, contradiction: None }
    }

    fn allowed(confidence: Confidence, says: Option<&evaluate::Side>) -> Self {
        let contradiction = denies(says).then(|| "not enforced: the policies deny it, and it got through".to_owned());
        Self::Is { verdict: PolicyVerdict::Allowed, confidence, contradiction }
    }

    pub(super) fn is_denied(&self) -> bool {
        matches!(self, Self::Is { verdict: PolicyVerdict::Denied, .. })
    }
}

pub(super) fn denies(says: Option<&evaluate::Side>) -> bool {
    says.is_some_and(|side| side.verdict == Verdict::Denied)
}

/// Says it of one direction; `says` is what the policies say, if they are known. `denied` is the direction in which a policy was
/// seen to deny it, if one was.
pub(super) fn tell(
    direction: PolicyDirection,
    seen: Seen<'_>,
    denied: Option<PolicyDirection>,
    says: Option<&evaluate::Side>,
) -> Told {
    let verdict = says.map(|side| side.verdict);
    match (seen, verdict) {
        (Seen::Through(confidence), _) => Told::allowed(confidence, says),
        (Seen::Denied(said, _), _) => match denied {
            Some(denied) if denied == direction => {
                let contradiction =
                    (verdict == Some(Verdict::Allowed)).then(|| format!("the policies allow it, yet {}", said.summary));
                Told::Is { verdict: PolicyVerdict::Denied, confidence: said.confidence, contradiction }
            }
            // Egress comes first.
            Some(PolicyDirection::Ingress) => Told::allowed(Confidence::Derived, says),
            Some(PolicyDirection::Egress) => Told::NotAsked,
            None => Told::Undecided,
        },
        (Seen::Engine(_) | Seen::Silent, Some(Verdict::Denied)) => Told::is(PolicyVerdict::Denied, Confidence::Derived),
        (_, Some(Verdict::Allowed)) => Told::is(PolicyVerdict::Allowed, Confidence::Derived),
        _ => Told::Undecided,
    }
}
