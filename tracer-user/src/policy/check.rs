//! `whydrop policy check`: one connection, with what would allow it.

use std::fmt::Write;

use serde::Serialize;
use tracer_policy::World;
use tracer_policy::amend::{Amendment, amend};
use tracer_policy::evaluate::{Answer, Connection, Side, Verdict, Why, evaluate};
use tracer_policy::model::{PolicyId, Protocol};

use super::PolicyError;
use super::report::{Line, Word};
use super::{Resolved, destinations, source_end};
use crate::enrich;
use crate::sink::printable;

/// The answer about one pair of ends.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    #[serde(flatten)]
    pub line: Line,
    /// What would allow it, the smallest change first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remedy: Vec<Remedy>,
    #[serde(skip)]
    answer: Answer,
}

#[derive(Clone, Debug, Serialize)]
struct Remedy {
    summary: String,
    apply: String,
    opens: Vec<String>,
}

impl From<Amendment> for Remedy {
    fn from(Amendment { summary, apply, opens }: Amendment) -> Self {
        Self { summary, apply, opens }
    }
}

/// Asks about a connection; a Service has one answer for each pod behind it.
///
/// # Errors
/// [`PolicyError::End`] if an end is not there.
pub fn check(world: &World, from: &str, to: &str, port: u16, protocol: Protocol) -> Result<Vec<Check>, PolicyError> {
    let from = source_end(world, from)?;
    let to = destinations(world, to, port, protocol)?;
    Ok(to.iter().map(|to| Check::new(world, &from, to, protocol)).collect())
}

impl Check {
    fn new(world: &World, from: &Resolved, to: &Resolved, protocol: Protocol) -> Self {
        let connection = Connection { source: from.end(), destination: to.end(), protocol, port: to.port };
        let answer = evaluate(world, &connection);
        let denied = [&answer.egress, &answer.ingress].into_iter().filter(|side| side.verdict == Verdict::Denied);
        let remedy = denied.flat_map(|side| amend(world, &connection, side)).map(Remedy::from).collect();
        Self { line: Line::new(from, to, protocol, &answer), remedy, answer }
    }

    pub fn verdict(&self) -> Word {
        self.line.verdict
    }

    /// Several lines for people.
    pub fn text(&self) -> String {
        let Line { from, to, service, port, protocol, verdict, .. } = &self.line;
        let service = service.as_ref().map(|service| format!(" (behind the Service {service})")).unwrap_or_default();
        let verdict = verdict.as_str().to_uppercase();
        let mut text = format!("{verdict}  {from} → {to} {protocol} {port}{service}\n");
        for side in [&self.answer.egress, &self.answer.ingress] {
            let who = if side.direction.as_str() == "egress" { from } else { to };
            let _ = writeln!(text, "  {}: {}", side.direction.as_str(), said(side, who));
            if let (Some(nearest), Some(told)) =
                (&side.nearest, enrich::policy(side, None).and_then(|told| told.nearest))
            {
                let place = match nearest.rule {
                    0 => nearest.policy.to_string(),
                    rule => format!("{} rule {rule}", nearest.policy),
                };
                let _ = writeln!(text, "    nearest: {place}: {}", told.mismatch);
            }
            for unknown in &side.unknown {
                let _ = writeln!(text, "    open: {unknown}");
            }
        }
        for remedy in &self.remedy {
            let _ = writeln!(text, "  try: {}", remedy.summary);
            remedy.apply.lines().for_each(|line| {
                let _ = writeln!(text, "       {line}");
            });
            for opens in &remedy.opens {
                let _ = writeln!(text, "    opens: {opens}");
            }
        }
        let safe: Vec<_> = text.lines().map(printable).collect();
        safe.join("\n") + "\n"
    }
}

/// What one side says, in a sentence.
fn said(side: &Side, who: &str) -> String {
    let policies = || side.selected_by.iter().map(PolicyId::to_string).collect::<Vec<_>>().join(", ");
    let by = side.decided_by.as_ref().map(|rule| format!("{} rule {}", rule.policy, rule.number)).unwrap_or_default();
    match (side.why, side.verdict) {
        (Why::NotAPod, _) => format!("allowed, {who} is no pod that a policy could select"),
        (Why::NoPolicy, _) => format!("allowed, no policy selects {who}"),
        (Why::Itself, _) => "allowed, a pod may always talk to itself".to_owned(),
        (Why::OwnNode, _) => "allowed, a pod's own node may always talk to it".to_owned(),
        (Why::Rule, Verdict::Denied) => format!("denied by {by}"),
        (Why::Rule, _) => format!("allowed by {by}"),
        (Why::Default, _) => format!("denied, {} selects {who} and no rule allows this", policies()),
        (Why::Undecided, _) => "not decided".to_owned(),
    }
}
