//! DNS at a link-local address of the node (NodeLocal DNSCache: 169.254.20.10) where Cilium puts the policies into force.
//!
//! Rule: told only where Cilium runs and a policy that selects the client denies it for sure. Such an address is no pod's, so that a
//! rule for the pods of kube-dns does not cover it.

use std::net::IpAddr;

use tracer_policy::evaluate::{Side, Verdict};
use tracer_policy::model::{Pod, PolicyKind, Protocol};

use super::ends::{self, Opener};
use super::{Judged, denial, silence, words};
use crate::enrich;
use crate::event::{Cause, Confidence, Dns, Drop, Explanation, Flow, QueryOutcome};
use crate::explain::cilium;
use crate::kubernetes::{Index, Span};

const DNS: u16 = 53;
/// Labels by which pods are usually selected, the commonest first.
const USUAL: [&str; 4] = ["app", "app.kubernetes.io/name", "k8s-app", "run"];

/// To be called when the rest is explained; `is_here`: Cilium's Hubble answers.
pub fn refine_drop(drop: &mut Drop, index: &Index, span: Span, is_here: bool) {
    if let Some(opener) = ends::of_drop(drop) {
        refine(&mut drop.explanation, &opener, index, span, is_here);
    }
}

/// The same of an attempt.
pub fn refine_flow(flow: &mut Flow, index: &Index, span: Span, is_here: bool) {
    let opener = ends::of_flow(flow);
    if let (Some(opener), Some(explanation)) = (opener, &mut flow.explanation) {
        refine(explanation, &opener, index, span, is_here);
    }
}

/// The same of a query that nobody answered.
pub fn refine_dns(dns: &mut Dns, index: &Index, span: Span, is_here: bool) {
    let is_lost = matches!(dns.outcome, QueryOutcome::NoAnswer | QueryOutcome::Dropped);
    if !is_lost || dns.translated.is_some() {
        return;
    }
    let (client, server, protocol) = (dns.client.address, dns.server.address, Protocol::parse(&dns.protocol));
    let Some(((client, server), protocol)) = client.zip(server).zip(protocol) else { return };
    let opener = Opener { client, server, protocol, port: dns.server.port.unwrap_or(DNS) };
    if let Some(explanation) = &mut dns.explanation {
        refine(explanation, &opener, index, span, is_here);
    }
}

fn refine(explanation: &mut Explanation, opener: &Opener, index: &Index, span: Span, is_here: bool) {
    if opener.port != DNS || !is_link_local(opener.server) || !has_cilium(explanation, index, is_here) {
        return;
    }
    let is_open = silence::is_open(explanation.cause) || explanation.cause == Cause::Dns;
    if !is_open && explanation.cause != Cause::NetworkPolicy {
        return;
    }
    let Some(judged) = Judged::new(opener, index, span) else { return };
    let side = &judged.answer.egress;
    if side.verdict != Verdict::Denied {
        return;
    }
    if is_open {
        denial::say(explanation, Confidence::Inferred, words::denial(side, &judged));
        explanation.evidence.extend(words::evidence(side, &judged));
        explanation.policy = enrich::policy(side, Some("cilium"));
        let others = std::mem::take(&mut explanation.remedy);
        explanation.remedy = denial::remedy(side, &judged);
        words::add_new(&mut explanation.remedy, others);
    }
    explanation.evidence.push(format!(
        "{} is a link-local address of the node (node-local DNS): to Cilium it is no pod, so a rule for the pods of kube-dns does \
         not cover it; a rule for {} or for the host does",
        opener.server,
        range(opener.server)
    ));
    if let Some(pod) = judged.client.pod().filter(|_| is_ciliums(side)) {
        words::add_new(&mut explanation.remedy, vec![allowing(pod, opener.server)]);
    }
}

const fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// Its programs dropped it, its agent answers, or there are policies of its own kind.
fn has_cilium(explanation: &Explanation, index: &Index, is_here: bool) -> bool {
    is_here
        || cilium::is_its(explanation)
        || explanation.policy.as_ref().is_some_and(|policy| policy.enforced_by.as_deref() == Some("cilium"))
        || index.world().policies().any(|policy| is_cilium_kind(policy.kind()))
}

const fn is_cilium_kind(kind: PolicyKind) -> bool {
    matches!(kind, PolicyKind::CiliumNetworkPolicy | PolicyKind::CiliumClusterwideNetworkPolicy)
}

/// One of the deciding kind: a NetworkPolicy gets its remedy as any other.
fn is_ciliums(side: &Side) -> bool {
    words::deciding(side).is_some_and(|policy| is_cilium_kind(policy.kind))
}

fn range(address: IpAddr) -> String {
    format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 })
}

/// A policy beside those that select the pod already; it takes nothing away from it. JSON is YAML, and needs no indenting.
fn allowing(pod: &Pod, server: IpAddr) -> String {
    let usual = USUAL.iter().find_map(|key| pod.labels.get(key).map(|value| (*key, value)));
    let label = usual.or_else(|| pod.labels.iter().next());
    let selector = label.map(|(key, value)| serde_json::json!({"matchLabels": {key: value}}));
    let ports = serde_json::json!([{"ports": [
        {"port": "53", "protocol": "UDP"}, {"port": "53", "protocol": "TCP"}
    ]}]);
    let policy = serde_json::json!({
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "allow-node-local-dns", "namespace": &*pod.id.namespace},
        "spec": {
            "endpointSelector": selector.unwrap_or_else(|| serde_json::json!({})),
            "egress": [
                {"toCIDR": [range(server)], "toPorts": ports},
                {"toEntities": ["host"], "toPorts": ports},
            ],
        },
    });
    format!("to allow it for the pods like {}:\nkubectl apply -f - <<'EOF'\n{policy:#}\nEOF", pod.id)
}
