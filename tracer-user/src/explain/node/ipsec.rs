//! An IPsec policy refused it.

use super::{command, doubt};
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::Observation;
use crate::node::ipsec::{Policies, Policy};

/// Names the policy.
pub(super) fn refine(explanation: &mut Explanation, policies: &Policies, drop: &Observation<'_>) {
    let Some(policy) = policies.decisive.as_ref().filter(|policy| policy.blocks || policy.has_templates) else {
        if explanation.cause == Cause::Ipsec && policies.count.is_some() {
            doubt(explanation, "which policy it was: none refuses such packets by now".to_owned());
        }
        return;
    };
    explanation.cause = Cause::Ipsec;
    explanation.confidence = Confidence::Derived;
    let text = text(policy);
    explanation.summary = if policy.blocks {
        format!("the IPsec policy `{text}` blocks it")
    } else {
        format!("the IPsec policy `{text}` lets only packets pass that came through IPsec, and it came in the clear")
    };
    explanation.evidence.push(match policies.count.unwrap_or(0) {
        1 => "it is the only IPsec policy of the namespace".to_owned(),
        count => format!("of the namespace's {count} IPsec policies it is the first that the packet meets"),
    });
    let show = command(drop, &format!("ip xfrm policy get {}", policy.selector()));
    let delete = command(drop, &format!("ip xfrm policy delete {}", policy.selector()));
    let mend = if policy.blocks {
        "ask who made it (an IPsec daemon makes it again): nothing else deletes it".to_owned()
    } else {
        "let the sender encrypt as the policy asks: compare ip xfrm policy and ip xfrm state of both ends".to_owned()
    };
    explanation.remedy = vec![show, mend, delete];
}

fn text(policy: &Policy) -> String {
    let action = if policy.blocks { "block" } else { "allow" };
    format!("{} action {action} priority {}", policy.selector(), policy.priority)
}
