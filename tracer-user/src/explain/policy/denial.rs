//! A drop by an engine that the policies ask for.
//!
//! Rule: `certain` needs the engine's own rule to name a policy that selects the pod and denies it, and the rule itself to be
//! certain; what is only evaluated is `derived`.

use super::engine::{self, Engine};
use super::{Judged, ends, words};
use crate::enrich;
use crate::event::{Cause, Confidence, Drop, Explanation};
use crate::kubernetes::{Index, Span};
use tracer_policy::amend::amend;
use tracer_policy::evaluate::Side;

/// The engine dropped it, and the policies deny it.
pub(super) fn by_engine(explanation: &mut Explanation, engine: &Engine, side: &Side, judged: &Judged<'_>) {
    let agrees = engine.names_any(&side.selected_by);
    let by_evaluation = explanation.confidence.max(Confidence::Derived);
    let confidence = if agrees { explanation.confidence } else { by_evaluation };
    say(explanation, confidence, words::denial(side, judged));
    explanation.evidence.extend(words::evidence(side, judged));
    explanation.policy = enrich::policy(side, Some(&engine.name));
    if !engine.named.is_empty() && !agrees {
        let odd = format!(
            "{} names {}, which is not among the policies that select {}",
            engine.name,
            words::names(&engine.named),
            words::subject_pod(side, judged)
        );
        explanation.evidence.push(odd.clone());
        if let Some(policy) = &mut explanation.policy {
            policy.contradiction = Some(odd);
        }
    }
    let others = std::mem::take(&mut explanation.remedy);
    explanation.remedy = remedy(side, judged);
    words::add_new(&mut explanation.remedy, others);
}

/// The policy becomes the cause; what dropped it stays as a fact.
pub(super) fn say(explanation: &mut Explanation, confidence: Confidence, summary: String) {
    let dropped = std::mem::replace(&mut explanation.summary, summary);
    explanation.evidence.insert(0, dropped);
    explanation.cause = Cause::NetworkPolicy;
    explanation.confidence = confidence;
}

/// How to look at the policy, then what would allow it.
pub(super) fn remedy(side: &Side, judged: &Judged<'_>) -> Vec<String> {
    let mut remedy: Vec<String> = words::deciding(side).into_iter().map(words::describe).collect();
    for amendment in amend(judged.index.world(), &judged.connection(), side) {
        let opens = match &*amendment.opens {
            [] => String::new(),
            opens => format!(" (it opens more: {})", opens.join("; ")),
        };
        remedy.push(format!("to allow it, {}{opens}:\n{}", amendment.summary, amendment.apply.trim_end()));
    }
    remedy
}

/// Only the engine tells: the policies are not known, or do not decide it.
pub(super) fn by_ruleset(drop: &mut Drop, engine: &Engine, index: &Index, span: Span) {
    let explanation = &drop.explanation;
    let is_told = matches!(explanation.confidence, Confidence::Certain | Confidence::Derived);
    if engine.named.is_empty() || !is_told || explanation.alternatives.is_some() {
        return;
    }
    let opener = ends::of_drop(drop);
    let label = opener.and_then(|opener| {
        let side = engine::direction(engine.direction?);
        words::missing_label(engine.nearest.as_ref()?, side, &opener, index, span)
    });
    let why = label.clone().or_else(|| engine.nearest.as_ref().map(|nearest| nearest.mismatch.clone()));
    let way = words::way(&drop.packet, opener.as_ref());
    let direction = engine.direction.map(|direction| format!(" ({})", engine::direction(direction).as_str()));
    let direction = direction.unwrap_or_default();
    let subject = words::names(&engine.named);
    let verb = if engine.named.len() == 1 { "denies" } else { "deny" };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let summary = format!("{subject} {verb} {way}{direction}{why}");
    let explanation = &mut drop.explanation;
    say(explanation, explanation.confidence, summary);
    if let Some(nearest) = &engine.nearest {
        explanation.evidence.push(format!("of its rules in {} the nearest: {}", engine.name, nearest.mismatch));
    }
    if let (Some(label), Some(policy)) = (label, &mut explanation.policy)
        && let Some(nearest) = &mut policy.nearest
    {
        nearest.mismatch = format!("{label} ({})", nearest.mismatch);
    }
    if !index.world().knows_policies() {
        let by = format!("by the rules of {} alone: the policies themselves were not read from the API", engine.name);
        explanation.evidence.push(by);
    }
}
