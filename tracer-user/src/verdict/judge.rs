//! From an attempt whose ends are named to a verdict for each end that is a pod of this node.

use std::sync::Arc;

use tracer_policy::evaluate::{self, Answer, Connection, End, Verdict};
use tracer_policy::model::{Pod, Protocol};

use crate::enrich;
use crate::event::{self, Endpoint, Flow, Netns, Outcome, PodName, Policy, PolicyDirection};
use crate::kubernetes::{Holder, Index, Selection, Span};

use super::seen::Seen;
use super::side::{self, Told};

/// Facts of an explanation that are told again.
const MOST_FACTS: usize = 8;

/// What is said of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    pub verdicts: Vec<event::Verdict>,
    /// Ends that are pods of this node and of which neither can be said.
    pub undecided: u64,
}

/// One end, as the index has it.
struct Place<'a> {
    end: &'a Endpoint,
    holder: Holder,
    /// The network namespace, of a pod of this node.
    netns: Option<u32>,
}

impl<'a> Place<'a> {
    fn new(end: &'a Endpoint, index: &Index, span: Span) -> Self {
        let holder = end.address.map_or(Holder::Nobody, |address| index.pod_at(address, span));
        let netns = holder.pod().and_then(|pod| index.netns_of(&pod.id));
        Self { end, holder, netns }
    }

    fn pod(&self) -> Option<&Arc<Pod>> {
        self.holder.pod()
    }

    /// `None`: it changed hands, so that nobody knows who it was.
    fn end(&self) -> Option<End<'_>> {
        let address = self.end.address?;
        match (&self.holder, &self.end.node) {
            (Holder::Pod(pod), _) => Some(End::Pod(pod, address)),
            (Holder::Nobody, Some(node)) => Some(End::Node(Some(node), address)),
            (Holder::Nobody, None) => Some(End::Outside(address)),
            (Holder::Contested(_), _) => None,
        }
    }
}

/// Everything that both directions have in common.
struct Case<'a> {
    flow: &'a Flow,
    attempts: u64,
    source: Place<'a>,
    destination: Place<'a>,
    seen: Seen<'a>,
    answer: Option<Answer>,
    denied: Option<PolicyDirection>,
}

/// Judges `attempts` connections like `flow` in `span`; nothing is said of those that have nothing to do with the pods asked for.
pub fn judge(flow: &Flow, attempts: u64, pods: &Selection, index: &Index, span: Span) -> Judged {
    let last = flow.translated.as_ref().map_or(&flow.destination, |translated| &translated.destination);
    let (source, destination) = (Place::new(&flow.source, index, span), Place::new(last, index, span));
    let is_asked = |place: &Place<'_>| place.pod().is_some_and(|pod| pods.matches(pod));
    if source.netns.or(destination.netns).is_none() || !(pods.is_empty() || is_asked(&source) || is_asked(&destination))
    {
        return Judged::default();
    }
    let answer = answer(flow, &source, &destination, index);
    let seen = Seen::of(flow);
    let denied = denied(seen, &source, &destination, answer.as_ref());
    Case { flow, attempts, source, destination, seen, answer, denied }.judge()
}

/// What the policies say; `None` where they are not known.
fn answer(flow: &Flow, source: &Place<'_>, destination: &Place<'_>, index: &Index) -> Option<Answer> {
    let connection = Connection {
        source: source.end()?,
        destination: destination.end()?,
        protocol: Protocol::parse(&flow.protocol)?,
        port: destination.end.port?,
    };
    index.world().knows_policies().then(|| evaluate::evaluate(index.world(), &connection))
}

/// The direction in which a policy denied it: the one that is told, else the one that can have.
fn denied(
    seen: Seen<'_>,
    source: &Place<'_>,
    destination: &Place<'_>,
    answer: Option<&Answer>,
) -> Option<PolicyDirection> {
    let Seen::Denied(_, told) = seen else { return None };
    let by_policies = || {
        let answer = answer?;
        match (answer.egress.verdict == Verdict::Denied, answer.ingress.verdict == Verdict::Denied) {
            (true, false) => Some(PolicyDirection::Egress),
            (false, true) => Some(PolicyDirection::Ingress),
            _ => None,
        }
    };
    let by_place = || match (source.netns, destination.netns) {
        (Some(_), None) => Some(PolicyDirection::Egress),
        (None, Some(_)) => Some(PolicyDirection::Ingress),
        _ => None,
    };
    told.or_else(by_place).or_else(by_policies)
}

impl Case<'_> {
    fn judge(&self) -> Judged {
        let mut judged = Judged::default();
        for direction in [PolicyDirection::Egress, PolicyDirection::Ingress] {
            let (place, says) = self.side(direction);
            let (Some(pod), Some(netns)) = (place.pod(), place.netns) else { continue };
            let told = side::tell(direction, self.seen, self.denied, says);
            let is_denied = told.is_denied();
            match self.verdict(direction, pod, netns, told) {
                Ok(verdict) => judged.verdicts.push(verdict),
                Err(undecided) => judged.undecided += undecided,
            }
            if is_denied {
                // It never came to the other end.
                break;
            }
        }
        judged
    }

    fn side(&self, direction: PolicyDirection) -> (&Place<'_>, Option<&evaluate::Side>) {
        let answer = self.answer.as_ref();
        match direction {
            PolicyDirection::Egress => (&self.source, answer.map(|answer| &answer.egress)),
            PolicyDirection::Ingress => (&self.destination, answer.map(|answer| &answer.ingress)),
        }
    }

    /// The event; `Err`: how many are undecided.
    fn verdict(&self, direction: PolicyDirection, pod: &Pod, netns: u32, told: Told) -> Result<event::Verdict, u64> {
        let (verdict, confidence, contradiction) = match told {
            Told::Is { verdict, confidence, contradiction } => (verdict, confidence, contradiction),
            Told::Undecided => return Err(1),
            Told::NotAsked => return Err(0),
        };
        let enforced_by = self.seen.engine().filter(|_| verdict == event::PolicyVerdict::Denied);
        let mut policy = self.policy(direction, enforced_by);
        if let Some(policy) = &mut policy {
            policy.contradiction.clone_from(&contradiction);
        }
        let mut destination = self.destination.end.clone();
        if destination.service.is_none() {
            destination.service.clone_from(&self.flow.destination.service);
        }
        Ok(event::Verdict {
            time: self.flow.first.clone(),
            direction,
            verdict,
            confidence,
            protocol: self.flow.protocol.clone(),
            source: named(self.source.end.clone(), self.source.pod()),
            destination: named(destination, self.destination.pod()),
            outcome: self.flow.outcome,
            attempts: self.attempts,
            netns: Netns { inode: netns, name: None, pod: Some(pod_name(pod)) },
            policy,
            enforced_by: enforced_by.map(str::to_owned),
            evidence: self.evidence(direction, contradiction),
        })
    }

    /// What the policies say; else what the engine's rule said of them.
    fn policy(&self, direction: PolicyDirection, enforced_by: Option<&str>) -> Option<Policy> {
        let told = self.seen.explanation().and_then(|said| said.policy.clone());
        let says = self.side(direction).1.and_then(|side| enrich::policy(side, enforced_by));
        says.or_else(|| told.filter(|policy| policy.direction == direction))
    }

    fn evidence(&self, direction: PolicyDirection, contradiction: Option<String>) -> Vec<String> {
        let mut evidence = vec![self.outcome()];
        if let Some(said) = self.seen.explanation().or(self.flow.explanation.as_ref()) {
            evidence.push(said.summary.clone());
            evidence.extend(said.evidence.iter().take(MOST_FACTS).cloned());
        }
        evidence.extend(contradiction);
        match self.side(direction).1 {
            None => evidence.push("what the policies say is not known".to_owned()),
            Some(side) if side.verdict == Verdict::Unknown => {
                evidence.extend(side.unknown.iter().map(|open| format!("the policies do not decide it: {open}")));
            }
            Some(_) => {}
        }
        evidence.extend(self.other_end(direction));
        evidence
    }

    fn outcome(&self) -> String {
        let words = match self.flow.outcome {
            Outcome::Established => "the other end answered",
            Outcome::Rejected => "it was refused",
            Outcome::Dropped => "a packet of it was dropped on this node",
            Outcome::NoAnswer => "nobody answered",
        };
        words.to_owned()
    }

    /// What the policies say of an end that is not of this node, where nobody answered.
    fn other_end(&self, direction: PolicyDirection) -> Option<String> {
        let (PolicyDirection::Egress, None) = (direction, self.destination.netns) else { return None };
        let side = self.side(PolicyDirection::Ingress).1.filter(|side| side::denies(Some(side)))?;
        let by: Vec<String> = side.selected_by.iter().map(ToString::to_string).collect();
        (self.flow.outcome != Outcome::Established)
            .then(|| format!("the policies of the other end, on another node, deny it: {}", by.join(", ")))
    }
}

fn named(mut end: Endpoint, pod: Option<&Arc<Pod>>) -> Endpoint {
    if end.pod.is_none() {
        end.pod = pod.map(|pod| pod_name(pod));
    }
    end
}

fn pod_name(pod: &Pod) -> PodName {
    PodName { namespace: pod.id.namespace.to_string(), name: pod.id.name.to_string(), uid: pod.uid.to_string() }
}
