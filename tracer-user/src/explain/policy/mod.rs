//! Network policies: which one denied it, by what the engine in the kernel did and by what the API's objects say.
//!
//! Rule: "policy" is said only with proof: an engine's own rule or program dropped it, or nothing else explains it and a policy that
//! selects one of the pods denies it. Where the engine and the objects disagree, both are told.

mod contradiction;
mod denial;
mod ends;
mod engine;
pub mod local_dns;
mod silence;
#[cfg(test)]
mod tests;
mod words;

use tracer_policy::evaluate::{Answer, Connection, Side, Verdict, evaluate};
use tracer_policy::model::Protocol;

use crate::event::{Cause, Drop, Flow};
use crate::kubernetes::{Index, Span};
use ends::{Held, Opener};

/// A connection, and what the policies say about it.
struct Judged<'a> {
    index: &'a Index,
    client: Held,
    server: Held,
    protocol: Protocol,
    port: u16,
    answer: Answer,
}

impl<'a> Judged<'a> {
    /// `None` where the policies are not known, an end can't be told, or no end is a pod.
    fn new(opener: &Opener, index: &'a Index, span: Span) -> Option<Self> {
        if !index.world().knows_policies() {
            return None;
        }
        let (client, server) = (ends::held(opener.client, index, span)?, ends::held(opener.server, index, span)?);
        if client.pod().is_none() && server.pod().is_none() {
            return None;
        }
        let Opener { protocol, port, .. } = *opener;
        let connection = Connection { source: client.end(), destination: server.end(), protocol, port };
        let answer = evaluate(index.world(), &connection);
        Some(Self { index, client, server, protocol, port, answer })
    }

    fn connection(&self) -> Connection<'_> {
        Connection {
            source: self.client.end(),
            destination: self.server.end(),
            protocol: self.protocol,
            port: self.port,
        }
    }
}

/// Adds what the policies say to the explanation of a drop whose ends are named.
pub fn refine_drop(drop: &mut Drop, index: &Index, span: Span) {
    let engine = engine::of(&drop.explanation);
    if engine.is_none() && !is_by_rule(drop.explanation.cause) {
        return;
    }
    let opener = ends::of_drop(drop);
    let is_answer = opener.as_ref().is_some_and(|opener| drop.packet.source.address != Some(opener.client));
    let engine = engine.map(|engine| if is_answer { engine.of_an_answer() } else { engine });
    let judged = opener.as_ref().and_then(|opener| Judged::new(opener, index, span));
    match (engine, judged) {
        (Some(engine), Some(judged)) => {
            let side = engine.side(&judged.answer);
            match side.verdict {
                Verdict::Denied => denial::by_engine(&mut drop.explanation, &engine, side, &judged),
                Verdict::Allowed => contradiction::told(&mut drop.explanation, &engine, side, &judged),
                Verdict::Unknown => {
                    denial::by_ruleset(drop, &engine, index, span);
                    words::doubt(&mut drop.explanation, &format!("what the policies say: {}", side.unknown.join(", ")));
                }
            }
        }
        (Some(engine), None) => denial::by_ruleset(drop, &engine, index, span),
        (None, Some(judged)) => beside(drop, &judged),
        (None, None) => {}
    }
}

/// The same of an attempt.
pub fn refine_flow(flow: &mut Flow, index: &Index, span: Span) {
    let Some(opener) = ends::of_flow(flow) else { return };
    let Some(explanation) = flow.explanation.as_mut().filter(|said| silence::is_open(said.cause)) else { return };
    if let Some(judged) = Judged::new(&opener, index, span) {
        silence::refine(explanation, &judged);
    }
}

/// Somebody's rule or program dropped it, whatever the policies say.
const fn is_by_rule(cause: Cause) -> bool {
    matches!(cause, Cause::NetfilterRule | Cause::NetfilterPolicy | Cause::BpfProgram)
}

/// What was dropped by another rule, and would be denied as well once that is gone.
fn beside(drop: &mut Drop, judged: &Judged<'_>) {
    let side: &Side = judged.answer.deciding();
    if side.verdict == Verdict::Denied {
        let denial = words::denial(side, judged);
        drop.explanation.evidence.push(format!("a network policy would deny it as well: {denial}"));
    }
}
