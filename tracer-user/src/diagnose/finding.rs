//! From groups to findings: what is harm, ranked, with its evidence.

use crate::event::{Cause, Confidence, Explanation, Finding, Outcome, Severity};
use crate::explain::flow::{Around, rank};
use crate::sink::thousands;

use super::Expectation;
use super::group::{Group, Kind};
use super::harm::{Harm, Judge};
use super::said::Said;
use super::title::{clients, destination, title};

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
    around: Around<'_>,
) -> (Vec<&'a Group>, Vec<Scored>) {
    let harmful = groups.iter().filter_map(|group| Some((group, judge.harm(group)?)));
    harmful.map(|(group, harm)| (group, finding(group, &harm, judge, around))).unzip()
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

fn finding(group: &Group, harm: &Harm, judge: &Judge<'_>, around: Around<'_>) -> Scored {
    let best = group.best();
    let mut explanation = best.map_or_else(undecided, |said| Explanation {
        summary: summary(said, group, judge.expectations),
        ..said.explanation.clone()
    });
    let title = title(group, harm, &explanation, judge.expectations);
    let expected = judge.expectations.iter().filter(|expectation| {
        let is_hit = |talk| judge.background.is_expected(expectation, talk);
        group.hits.keys().any(is_hit)
    });
    let mut evidence: Vec<String> = background(group, harm).into_iter().collect();
    evidence.extend(expected.map(|expectation| format!("it is expected to work: {}", expectation.text)));
    if best.is_some_and(Said::is_example) && !explanation.evidence.is_empty() {
        evidence.push("of the last one:".to_owned());
    }
    evidence.append(&mut explanation.evidence);
    evidence.extend(also(group, best, judge.expectations));
    explanation.evidence = evidence;
    if matches!((explanation.cause, group.kind), (Cause::Upstream, _) | (Cause::Mtu, Kind::Flow(_))) {
        let samples: Vec<_> = group.samples.iter().collect();
        let suspects = rank(&samples, around);
        explanation.suspects = (!suspects.is_empty()).then_some(suspects);
    }
    let hits = group.by_count();
    let affected = hits.iter().take(MOST_AFFECTED).map(|(talk, hit)| talk.affected(hit)).collect();
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

fn undecided() -> Explanation {
    Explanation::new(Cause::Unknown, Confidence::Unknown, "not decided")
}

/// What was said, of all ends that it was said of.
fn summary(said: &Said, group: &Group, expectations: &[Expectation]) -> String {
    let hits = group.by_count();
    let to = match hits.first() {
        Some((first, _)) if group.said.len() == 1 => destination(group, first, expectations),
        _ => "several destinations".to_owned(),
    };
    let from = if group.said.len() == 1 { clients(group) } else { "several clients".to_owned() };
    said.summary(&to, &from)
}

/// The other sentences, the most frequent first.
fn also(group: &Group, best: Option<&Said>, expectations: &[Expectation]) -> Vec<String> {
    let is_other = |said: &&Said| best.is_none_or(|best| !std::ptr::eq(*said, best));
    let mut others: Vec<(u64, String)> =
        group.said.iter().filter(is_other).map(|said| (said.count, summary(said, group, expectations))).collect();
    others.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let told = others.into_iter().take(MOST_ALSO);
    told.map(|(count, said)| match count {
        1 => format!("also, once: {said}"),
        _ => format!("also, {} times: {said}", thousands(count)),
    })
    .collect()
}

/// What became of the others, unless the title tells that.
fn background(group: &Group, harm: &Harm) -> Option<String> {
    let failed = group.failed();
    let what = if matches!(group.kind, Kind::Dns(_)) { "query" } else { "attempt" };
    let many = if matches!(group.kind, Kind::Dns(_)) { "queries" } else { "attempts" };
    match (failed, harm.answered) {
        (0, 0) => None,
        (0, answered) => Some(format!("{} {many} for the same were answered", thousands(answered))),
        (1, 0) => Some(format!("the only {what} for it failed")),
        (2, 0) => Some(format!("both {many} for it failed")),
        (failed, 0) => Some(format!("all {} {many} for it failed", thousands(failed))),
        (failed, answered) if group.outcome() == Outcome::Established => {
            Some(format!("{} of {} {many} for it failed", thousands(failed), thousands(failed + answered)))
        }
        _ => None,
    }
}
