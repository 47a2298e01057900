//! From groups to findings: what is harm, ranked, with its evidence.

use crate::event::{Cause, Finding, Severity};
use crate::explain::flow::{Platform, rank};
use crate::flow::Census;
use crate::sink::thousands;

use super::group::{Group, Kind};
use super::harm::{Harm, Judge};
use super::title::title;

/// Pairs of ends told of a finding.
const MOST_AFFECTED: usize = 10;
/// Sentences told beside the first.
const MOST_ALSO: usize = 2;

/// A finding before it has its rank.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scored {
    pub(super) score: u64,
    pub(super) finding: Finding,
}

/// The findings of these groups, not yet in order; with the groups that have one.
pub(super) fn findings<'a>(
    groups: &'a [Group],
    judge: &Judge<'_>,
    census: &Census,
    platform: Platform,
) -> (Vec<&'a Group>, Vec<Scored>) {
    let harmful = groups.iter().filter_map(|group| Some((group, judge.harm(group)?)));
    harmful.map(|(group, harm)| (group, finding(group, &harm, judge, census, platform))).unzip()
}

/// Sets the ranks, from 1, the worst first.
pub(super) fn ranked(mut all: Vec<Scored>) -> Vec<Finding> {
    all.sort_by(|a, b| {
        let key = |scored: &Scored| (scored.score, scored.finding.count);
        key(b).cmp(&key(a)).then_with(|| a.finding.title.cmp(&b.finding.title))
    });
    let numbered = (1..).zip(all);
    numbered.map(|(rank, scored)| Finding { rank, ..scored.finding }).collect()
}

fn finding(group: &Group, harm: &Harm, judge: &Judge<'_>, census: &Census, platform: Platform) -> Scored {
    let mut explanation = group.explanation();
    let title = title(group, harm, &explanation, judge.expectations);
    explanation.evidence.extend(background(group, harm));
    let expected = judge.expectations.iter().filter(|expectation| {
        let is_hit = |talk| judge.background.is_expected(expectation, talk);
        group.hits.keys().any(is_hit)
    });
    explanation.evidence.extend(expected.map(|expectation| format!("it is expected to work: {}", expectation.text)));
    let others = group.others(&explanation.summary);
    let also = others.iter().take(MOST_ALSO);
    explanation.evidence.extend(also.map(|(count, said)| format!("also, {} times: {said}", thousands(*count))));
    if explanation.cause == Cause::Upstream {
        let samples: Vec<_> = group.samples.iter().collect();
        let suspects = rank(&samples, census, platform);
        explanation.suspects = (!suspects.is_empty()).then_some(suspects);
    }
    let hits = group.by_count();
    let affected = hits.iter().take(MOST_AFFECTED).map(|(talk, hit)| talk.affected(&hit.netns, hit.count())).collect();
    let finding = Finding {
        time: group.last.clone(),
        rank: 0,
        severity: Severity::Problem,
        title,
        count: group.count(),
        affected,
        affected_more: hits.len().saturating_sub(MOST_AFFECTED) as u64,
        explanation,
    };
    Scored { score: harm.score, finding }
}

/// What became of the others.
fn background(group: &Group, harm: &Harm) -> Option<String> {
    let failed = group.failed();
    let what = if matches!(group.kind, Kind::Dns(_)) { "query" } else { "attempt" };
    let many = if matches!(group.kind, Kind::Dns(_)) { "queries" } else { "attempts" };
    match (failed, harm.answered) {
        (0, 0) => None,
        (0, answered) => Some(format!("{} {many} for the same were answered", thousands(answered))),
        (1, 0) => Some(format!("the only {what} for it failed")),
        (failed, 0) => Some(format!("all {} {many} for it failed", thousands(failed))),
        (failed, answered) => {
            Some(format!("{} of {} {many} for it failed", thousands(failed), thousands(failed + answered)))
        }
    }
}
