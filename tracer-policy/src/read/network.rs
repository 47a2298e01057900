//! NetworkPolicies (networking.k8s.io/v1).
//!
//! Rule: a field that is not known is an error, from a file (a typo) as from a server (a newer API): a policy that is read
//! without it would say something else.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::block;
use super::error::{Fault, ReadError, each, quoted};
use super::interner::Interner;
use super::meta::{Meta, titled};
use super::port::Match;
use super::selector::{LabelSelector, SHAPE as SELECTOR, optional};
use super::shape::Shape;
use crate::model::{NetworkPolicy, Peer, Rule};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Manifest<'a> {
    #[serde(rename = "apiVersion")]
    _version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    #[serde(borrow, default)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec<'a> {
    #[serde(borrow)]
    pod_selector: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    policy_types: Option<Vec<&'a str>>,
    #[serde(borrow)]
    ingress: Option<Vec<IngressRule<'a>>>,
    #[serde(borrow)]
    egress: Option<Vec<EgressRule<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IngressRule<'a> {
    #[serde(borrow)]
    from: Option<Vec<PeerEntry<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<Match<'a>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EgressRule<'a> {
    #[serde(borrow)]
    to: Option<Vec<PeerEntry<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<Match<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PeerEntry<'a> {
    #[serde(borrow)]
    pod_selector: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    namespace_selector: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    ip_block: Option<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block<'a> {
    cidr: &'a str,
    #[serde(borrow)]
    except: Option<Vec<&'a str>>,
}

const PEERS: Shape = Shape::List(&Shape::Fields(&[
    ("podSelector", SELECTOR),
    ("namespaceSelector", SELECTOR),
    ("ipBlock", Shape::Fields(&[("cidr", Shape::Any), ("except", Shape::Any)])),
]));
const PORTS: Shape =
    Shape::List(&Shape::Fields(&[("protocol", Shape::Any), ("port", Shape::Any), ("endPort", Shape::Any)]));
const RULES: Shape = Shape::List(&Shape::Fields(&[("from", PEERS), ("to", PEERS), ("ports", PORTS)]));
const SPEC: Shape =
    Shape::Fields(&[("podSelector", SELECTOR), ("policyTypes", Shape::Any), ("ingress", RULES), ("egress", RULES)]);

/// Reads a NetworkPolicy of the API.
pub fn network_policy(value: &Value, interner: &mut Interner) -> Result<NetworkPolicy, ReadError> {
    titled("NetworkPolicy", value, |manifest: Manifest<'_>| {
        if let Some(field) = value.get("spec").and_then(|spec| SPEC.unknown(spec).into_iter().next()) {
            return Err(Fault::new(field, "is not of the right type").under("spec"));
        }
        let id = manifest.metadata.namespaced(interner)?;
        let mut policy = NetworkPolicy { id, pods: crate::model::Selector::default(), ingress: None, egress: None };
        manifest.spec.unwrap_or_default().read_into(&mut policy, interner).map_err(|fault| fault.under("spec"))?;
        Ok(policy)
    })
}

impl Spec<'_> {
    fn read_into(self, policy: &mut NetworkPolicy, interner: &mut Interner) -> Result<(), Fault> {
        policy.pods = optional("podSelector", self.pod_selector, interner)?.unwrap_or_default();
        let types = each("policyTypes", self.policy_types, |text| match text {
            "Ingress" | "Egress" => Ok(text),
            other => Err(Fault::new("", format!("{} is none of Ingress, Egress", quoted(other)))),
        })?;
        // SetDefaults_NetworkPolicy (kubernetes, pkg/apis/networking/v1/defaults.go): an empty list of egress rules is none.
        let has_egress = self.egress.as_ref().is_some_and(|rules| !rules.is_empty());
        let is_about = |direction: &str, default| if types.is_empty() { default } else { types.contains(&direction) };
        let ingress = each("ingress", self.ingress, |entry| read_rule("from", entry.from, entry.ports, interner))?;
        let egress = each("egress", self.egress, |entry| read_rule("to", entry.to, entry.ports, interner))?;
        policy.ingress = is_about("Ingress", true).then_some(ingress);
        policy.egress = is_about("Egress", has_egress).then_some(egress);
        Ok(())
    }
}

fn read_rule(
    field: &str,
    peers: Option<Vec<PeerEntry<'_>>>,
    ports: Option<Vec<Match<'_>>>,
    interner: &mut Interner,
) -> Result<Rule, Fault> {
    let peers = each(field, peers, |entry| entry.read(interner))?;
    Ok(Rule { peers, ports: each("ports", ports, Match::read)? })
}

impl PeerEntry<'_> {
    fn read(self, interner: &mut Interner) -> Result<Peer, Fault> {
        let has_selector = self.pod_selector.is_some() || self.namespace_selector.is_some();
        match self.ip_block {
            Some(_) if has_selector => {
                Err(Fault::new("ipBlock", "can't be with a selector in one entry: write two entries"))
            }
            Some(block) => block.read().map_err(|fault| fault.under("ipBlock")),
            None if has_selector => Ok(Peer::Pods {
                namespaces: optional("namespaceSelector", self.namespace_selector, interner)?,
                pods: optional("podSelector", self.pod_selector, interner)?,
            }),
            None => Err(Fault::new("", "is empty: it needs podSelector, namespaceSelector or ipBlock")),
        }
    }
}

impl Block<'_> {
    fn read(self) -> Result<Peer, Fault> {
        let range = block(self.cidr).map_err(|fault| fault.under("cidr"))?;
        let except = each("except", self.except, |text| {
            let exception = block(text)?;
            let is_within = range.contains(&exception) && exception.prefix_len() > range.prefix_len();
            if is_within { Ok(exception) } else { Err(Fault::new("", format!("{exception} does not lie in {range}"))) }
        })?;
        Ok(Peer::Block { range, except })
    }
}
