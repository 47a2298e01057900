//! One rule of a policy that stands before or after the NetworkPolicies.
//!
//! Rule: a peer or a port that is not understood makes its rule undecided, not narrower.

use serde::Deserialize;
use serde_json::Value;

use super::error::{Fault, each, quoted, typed};
use super::interner::Interner;
use super::port::{name, number, protocol, range};
use super::selector::{LabelSelector, SHAPE as SELECTOR};
use super::shape::Shape;
use super::tier::{NamespacedPods, PODS};
use super::{block, present};
use crate::model::{PolicyKind, PortMatch, PortRange, Protocol, Text, TierAction, TierPeer, TierRule};

const NUMBERED: Shape = Shape::Fields(&[("protocol", Shape::Any), ("port", Shape::Any)]);
const RANGED: Shape = Shape::Fields(&[("protocol", Shape::Any), ("start", Shape::Any), ("end", Shape::Any)]);
const PORT: Shape = Shape::Fields(&[("portNumber", NUMBERED), ("portRange", RANGED), ("namedPort", Shape::Any)]);
const DESTINATION: Shape = Shape::Fields(&[(
    "destinationPort",
    Shape::Fields(&[("number", Shape::Any), ("range", Shape::Fields(&[("start", Shape::Any), ("end", Shape::Any)]))]),
)]);
const PROTOCOL: Shape = Shape::Fields(&[
    ("tcp", DESTINATION),
    ("udp", DESTINATION),
    ("sctp", DESTINATION),
    ("destinationNamedPort", Shape::Any),
]);
const FROM: Shape = Shape::List(&Shape::Fields(&[("namespaces", SELECTOR), ("pods", PODS)]));
const TO: Shape = Shape::List(&Shape::Fields(&[
    ("namespaces", SELECTOR),
    ("pods", PODS),
    ("nodes", SELECTOR),
    ("networks", Shape::Any),
    ("domainNames", Shape::Any),
]));
const INGRESS: Shape = Shape::Fields(&[
    ("name", Shape::Any),
    ("action", Shape::Any),
    ("from", FROM),
    ("ports", Shape::List(&PORT)),
    ("protocols", Shape::List(&PROTOCOL)),
]);
const EGRESS: Shape = Shape::Fields(&[
    ("name", Shape::Any),
    ("action", Shape::Any),
    ("to", TO),
    ("ports", Shape::List(&PORT)),
    ("protocols", Shape::List(&PROTOCOL)),
]);

#[derive(Deserialize)]
struct Entry<'a> {
    name: Option<&'a str>,
    action: &'a str,
    #[serde(borrow)]
    from: Option<Vec<Peer<'a>>>,
    #[serde(borrow)]
    to: Option<Vec<Peer<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<PortEntry<'a>>>,
    #[serde(borrow)]
    protocols: Option<Vec<Layer4<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peer<'a> {
    #[serde(borrow)]
    namespaces: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    pods: Option<NamespacedPods<'a>>,
    #[serde(borrow)]
    nodes: Option<LabelSelector<'a>>,
    #[serde(borrow)]
    networks: Option<Vec<&'a str>>,
    #[serde(borrow)]
    domain_names: Option<Vec<&'a str>>,
}

/// Of v1alpha1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PortEntry<'a> {
    #[serde(borrow)]
    port_number: Option<Numbered<'a>>,
    #[serde(borrow)]
    port_range: Option<Ranged<'a>>,
    named_port: Option<&'a str>,
}

#[derive(Deserialize)]
struct Numbered<'a> {
    protocol: Option<&'a str>,
    port: i64,
}

#[derive(Deserialize)]
struct Ranged<'a> {
    protocol: Option<&'a str>,
    start: i64,
    end: i64,
}

/// Of v1alpha2 and v1beta1.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer4<'a> {
    tcp: Option<Destination>,
    udp: Option<Destination>,
    sctp: Option<Destination>,
    destination_named_port: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    destination_port: Option<DestinationPort>,
}

#[derive(Deserialize)]
struct DestinationPort {
    number: Option<i64>,
    range: Option<Bounds>,
}

#[derive(Deserialize)]
struct Bounds {
    start: i64,
    end: i64,
}

pub(super) fn rule(
    kind: PolicyKind,
    is_ingress: bool,
    value: &Value,
    interner: &mut Interner,
) -> Result<TierRule, Fault> {
    let entry: Entry<'_> = typed(value)?;
    let (shape, field, peers) = if is_ingress { (INGRESS, "from", entry.from) } else { (EGRESS, "to", entry.to) };
    let mut unknown: Vec<Text> = shape.unknown(value).into_iter().map(Text::from).collect();
    let peers = each(field, peers, |peer| peer.read(interner))?;
    if peers.is_empty() && unknown.is_empty() {
        return Err(Fault::new(field, "must have at least one entry"));
    }
    let ports = each("ports", entry.ports, |port| port.read(interner))?;
    let protocols = each("protocols", entry.protocols, |layer| layer.read(interner))?;
    let has_strange = |entries: &[Option<Box<[PortMatch]>>]| entries.iter().any(Option::is_none);
    for (name, is_strange) in [
        (field, peers.iter().any(Option::is_none)),
        ("ports", has_strange(&ports)),
        ("protocols", has_strange(&protocols)),
    ] {
        if is_strange && unknown.is_empty() {
            unknown.push(format!("{name} (an entry in which nothing is set)").into());
        }
    }
    Ok(TierRule {
        name: present(entry.name).map(|name| interner.text(name)),
        action: action(kind, entry.action)?,
        peers: peers.into_iter().flatten().collect(),
        ports: ports.into_iter().chain(protocols).flatten().flatten().collect(),
        unknown: unknown.into(),
    })
}

fn action(kind: PolicyKind, text: &str) -> Result<TierAction, Fault> {
    let allow = if kind == PolicyKind::ClusterNetworkPolicy { "Accept" } else { "Allow" };
    match text {
        text if text == allow => Ok(TierAction::Allow),
        "Deny" => Ok(TierAction::Deny),
        "Pass" if kind != PolicyKind::BaselineAdminNetworkPolicy => Ok(TierAction::Pass),
        other => Err(Fault::new("action", format!("{} is none of {allow}, Deny, Pass", quoted(other)))),
    }
}

impl Peer<'_> {
    /// None if nothing that is known is set.
    fn read(self, interner: &mut Interner) -> Result<Option<TierPeer>, Fault> {
        let mut found = Vec::new();
        if let Some(namespaces) = self.namespaces {
            let namespaces = namespaces.read(interner).map_err(|fault| fault.under("namespaces"))?;
            found.push(TierPeer::Pods { namespaces, pods: None });
        }
        if let Some(pods) = self.pods {
            let (namespaces, pods) = pods.read(interner).map_err(|fault| fault.under("pods"))?;
            found.push(TierPeer::Pods { namespaces, pods });
        }
        if let Some(nodes) = self.nodes {
            found.push(TierPeer::Nodes(nodes.read(interner).map_err(|fault| fault.under("nodes"))?));
        }
        if self.networks.is_some() {
            found.push(TierPeer::Networks(each("networks", self.networks, block)?));
        }
        if let Some(names) = self.domain_names {
            found.push(TierPeer::Domains(names.into_iter().map(|name| interner.text(name)).collect()));
        }
        if found.len() > 1 {
            return Err(Fault::new("", "has more than one field: exactly one of them is set"));
        }
        Ok(found.pop())
    }
}

impl PortEntry<'_> {
    fn read(self, interner: &mut Interner) -> Result<Option<Box<[PortMatch]>>, Fault> {
        let matched = if let Some(port) = self.port_number {
            let number = number(port.port).map_err(|fault| fault.under("portNumber.port"))?;
            let protocol = protocol(port.protocol).map_err(|fault| fault.under("portNumber"))?;
            [PortMatch { protocol, range: PortRange::Numbers(number, number) }].into()
        } else if let Some(ports) = self.port_range {
            let range = range(ports.start, ports.end, ["portRange.start", "portRange.end"])?;
            let protocol = protocol(ports.protocol).map_err(|fault| fault.under("portRange"))?;
            [PortMatch { protocol, range }].into()
        } else if let Some(text) = present(self.named_port) {
            named(text, interner).map_err(|fault| fault.under("namedPort"))?
        } else {
            return Ok(None);
        };
        Ok(Some(matched))
    }
}

impl Layer4<'_> {
    fn read(self, interner: &mut Interner) -> Result<Option<Box<[PortMatch]>>, Fault> {
        if let Some(text) = present(self.destination_named_port) {
            return named(text, interner).map(Some).map_err(|fault| fault.under("destinationNamedPort"));
        }
        let found = [(Protocol::Tcp, self.tcp), (Protocol::Udp, self.udp), (Protocol::Sctp, self.sctp)];
        let Some((protocol, destination)) =
            found.into_iter().find_map(|(protocol, destination)| Some((protocol, destination?)))
        else {
            return Ok(None);
        };
        let range = destination.read().map_err(|fault| fault.under(protocol))?;
        Ok(range.map(|range| [PortMatch { protocol, range }].into()))
    }
}

impl Destination {
    /// None where a port is asked for in a way that is not known.
    fn read(self) -> Result<Option<PortRange>, Fault> {
        let Some(port) = self.destination_port else { return Ok(Some(PortRange::All)) };
        match (port.number, port.range) {
            (Some(number), _) => range(number, number, ["destinationPort.number"; 2]).map(Some),
            (None, Some(Bounds { start, end })) => {
                range(start, end, ["destinationPort.range.start", "destinationPort.range.end"]).map(Some)
            }
            (None, None) => Ok(None),
        }
    }
}

/// A container's port of any protocol.
fn named(text: &str, interner: &mut Interner) -> Result<Box<[PortMatch]>, Fault> {
    let name = interner.text(name(text)?);
    let matched = |protocol| PortMatch { protocol, range: PortRange::Name(Text::clone(&name)) };
    Ok([Protocol::Tcp, Protocol::Udp, Protocol::Sctp].map(matched).into())
}
