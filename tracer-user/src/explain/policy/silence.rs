//! An attempt that nobody answered, where nothing on this node was seen to drop it: a policy may, on another node or in a program
//! that tells nothing.
//!
//! Rule: the policies are blamed only where they deny it for sure, and where the pod is that they select: not for what had left the pod
//! or had reached it.

use tracer_policy::evaluate::{Side, Verdict};

use super::{Judged, denial, words};
use crate::enrich;
use crate::event::{Cause, Confidence, Explanation};

/// Nothing that was seen explains the silence.
pub(super) const fn is_open(cause: Cause) -> bool {
    matches!(cause, Cause::Upstream | Cause::NoAnswer | Cause::Unknown)
}

pub(super) fn refine(explanation: &mut Explanation, judged: &Judged<'_>) {
    match judged.answer.verdict() {
        Verdict::Allowed => {
            explanation.evidence.push("the network policies, as they are now, allow it in both directions".to_owned());
        }
        Verdict::Denied => {
            if let Some(side) = blamed(explanation.cause, judged) {
                blame(explanation, side, judged);
                return;
            }
            let denial = words::denial(judged.answer.deciding(), judged);
            let went = if explanation.cause == Cause::Upstream { "left this node" } else { "reached the pod's device" };
            explanation.evidence.push(format!("the network policies deny it, and yet it {went}: {denial}"));
        }
        Verdict::Unknown => {}
    }
}

/// The side whose pod is where the attempt got lost.
fn blamed<'a>(cause: Cause, judged: &'a Judged<'_>) -> Option<&'a Side> {
    let (egress, ingress) = (&judged.answer.egress, &judged.answer.ingress);
    let denies = |side: &&'a Side| side.verdict == Verdict::Denied;
    match cause {
        // It left this node, so the client's own policies did not keep it.
        Cause::Upstream => Some(ingress).filter(denies).filter(|_| is_elsewhere(judged)),
        Cause::Unknown => [egress, ingress].into_iter().find(denies),
        // It reached the pod's device.
        _ => None,
    }
}

/// The server is a pod of another node.
fn is_elsewhere(judged: &Judged<'_>) -> bool {
    let Some(server) = judged.server.pod() else { return false };
    let client = judged.client.pod().and_then(|pod| pod.node.as_deref());
    let is_same = client.is_some() && client == server.node.as_deref();
    !is_same && judged.index.netns_of(&server.id).is_none()
}

fn blame(explanation: &mut Explanation, side: &Side, judged: &Judged<'_>) {
    let pod = words::subject(side, judged);
    let node = pod.and_then(|pod| pod.node.as_deref());
    let at = match (explanation.cause, node) {
        (Cause::Upstream, Some(node)) => format!(", which is in force on node {node}"),
        (Cause::Upstream, None) => ", which is in force on another node".to_owned(),
        _ => String::new(),
    };
    let denial = words::denial(side, judged);
    denial::say(explanation, Confidence::Inferred, format!("{denial}{at}; nothing on this node dropped it visibly"));
    explanation.evidence.extend(words::evidence(side, judged));
    explanation.policy = enrich::policy(side, None);
    let others = std::mem::take(&mut explanation.remedy);
    explanation.remedy = denial::remedy(side, judged);
    words::add_new(&mut explanation.remedy, others);
}
