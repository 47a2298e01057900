//! The rule that came nearest to allowing a connection that is denied by default.
//!
//! Rule: the fewest mismatches first, then the likeliest slip (a label before a port, a port before a namespace, a namespace
//! before an address), then the order of policies and rules: the same question has the same answer.

use super::fit::{self, Fit};
use super::mismatch::Mismatch;
use super::stage;
use super::view::{Far, View};
use super::{Direction, listed};
use crate::model::{
    NetworkPolicy, Peer, PolicyId, PolicyKind, PortMatch, PortRange, Protocol, Requirement, Rule, Text,
};

/// The rule that needs the fewest changes to allow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearest {
    pub policy: PolicyId,
    /// Position in the list of its direction, from 1; 0 if the policy has no rule.
    pub rule: u32,
    /// Position in `from` or `to`, from 1; 0 if the peer is not what fails, or there is none.
    pub peer: u32,
    pub mismatch: Vec<Mismatch>,
}

impl Nearest {
    /// All that keeps the rule from allowing it, in one sentence without a full stop.
    pub fn describe(&self, direction: Direction) -> String {
        let sentences: Vec<String> = self.mismatch.iter().map(|mismatch| mismatch.describe(direction)).collect();
        sentences.join(", and ")
    }

    /// Less is nearer. A policy without rules, and a rule for pods where the far end is none, say too little to be near.
    fn distance(&self) -> (bool, usize, u32) {
        let is_vain = self.mismatch.iter().any(|one| matches!(one, Mismatch::NoRule | Mismatch::NotAPod { .. }));
        (is_vain, self.mismatch.len(), self.mismatch.iter().map(Mismatch::weight).sum())
    }
}

/// Over all NetworkPolicies that select the pod; `None` if it is denied by policies of other kinds only.
pub(super) fn nearest(view: &View<'_>) -> Option<Nearest> {
    stage::selecting(view).flat_map(|(policy, rules)| in_policy(view, policy, rules)).min_by_key(Nearest::distance)
}

/// What each rule of a policy lacks, by the peer of it that comes nearest.
fn in_policy(view: &View<'_>, policy: &NetworkPolicy, rules: &[Rule]) -> impl Iterator<Item = Nearest> {
    let id = PolicyId { kind: PolicyKind::NetworkPolicy, id: policy.id.clone() };
    let without = Nearest { policy: id.clone(), rule: 0, peer: 0, mismatch: vec![Mismatch::NoRule] };
    let each = (1..).zip(rules).map(move |(rule, wanted)| {
        let (peer, mut mismatch) = peers(view, policy, wanted);
        mismatch.extend(ports(view, &wanted.ports));
        Nearest { policy: id.clone(), rule, peer, mismatch }
    });
    each.chain(rules.is_empty().then_some(without))
}

/// The number of the nearest peer, and what it lacks; 0 and nothing if the rule means the far end.
fn peers(view: &View<'_>, policy: &NetworkPolicy, rule: &Rule) -> (u32, Vec<Mismatch>) {
    let each = (1..).zip(&rule.peers).map(|(number, wanted)| (number, peer(view, policy, wanted)));
    let weight =
        |mismatch: &[Mismatch]| -> (usize, u32) { (mismatch.len(), mismatch.iter().map(Mismatch::weight).sum()) };
    match each.min_by_key(|(_, mismatch)| weight(mismatch)) {
        Some((number, mut mismatch)) if !mismatch.is_empty() => {
            for one in &mut mismatch {
                if let Mismatch::Address { wanted, .. } = one {
                    *wanted = blocks(rule);
                }
            }
            (number, mismatch)
        }
        _ => (0, Vec::new()),
    }
}

/// What one peer lacks; the ranges of an address are filled in once it is known to be the nearest.
fn peer(view: &View<'_>, policy: &NetworkPolicy, wanted: &Peer) -> Vec<Mismatch> {
    let address = view.address;
    let (namespaces, pods) = match (wanted, view.far) {
        (Peer::Block { .. }, _) if view.peer_fits(policy, wanted) == Fit::Yes => return Vec::new(),
        (Peer::Block { .. }, _) => return vec![Mismatch::Address { address, wanted: String::new() }],
        (Peer::Pods { .. }, Far::Node(_) | Far::Outside) => return vec![Mismatch::NotAPod { address }],
        (Peer::Pods { namespaces, pods }, Far::Pod(_)) => (namespaces, pods),
    };
    let Far::Pod(far) = view.far else { return Vec::new() };
    let mut mismatch = Vec::new();
    match namespaces {
        None if far.id.namespace != policy.id.namespace => mismatch
            .push(Mismatch::OtherNamespace { own: policy.id.namespace.clone(), found: far.id.namespace.clone() }),
        None => {}
        Some(selector) => mismatch.extend(selector.requirements.iter().filter_map(|wanted| {
            let found = fit::namespace_label(view.world, &far.id.namespace, &wanted.key).flatten();
            let (key, found, wanted) = unmet(wanted, found)?;
            Some(Mismatch::NamespaceLabel { key, wanted, found })
        })),
    }
    mismatch.extend(pods.iter().flat_map(|selector| &selector.requirements).filter_map(|wanted| {
        let (key, found, wanted) = unmet(wanted, far.labels.get(&wanted.key))?;
        Some(Mismatch::PodLabel { key, wanted, found })
    }));
    mismatch
}

type Unmet = (Text, Option<Text>, String);

/// The label, what was found and what is wanted, if that is not the same.
fn unmet(wanted: &Requirement, found: Option<&str>) -> Option<Unmet> {
    (!wanted.holds_for(found)).then(|| (wanted.key.clone(), found.map(Into::into), wanted.to_string()))
}

/// All ranges that a rule names.
fn blocks(rule: &Rule) -> String {
    listed(rule.peers.iter().filter_map(|peer| match peer {
        Peer::Block { range, except } if except.is_empty() => Some(range.to_string()),
        Peer::Block { range, except } => {
            Some(format!("{range} except {}", listed(except.iter().map(ToString::to_string))))
        }
        Peer::Pods { .. } => None,
    }))
}

fn ports(view: &View<'_>, ports: &[PortMatch]) -> Option<Mismatch> {
    if view.ports_fit(ports) {
        return None;
    }
    if let [PortMatch { range: PortRange::Name(name), protocol }] = ports
        && view.numbers_of(name, *protocol).next().is_none()
    {
        return Some(Mismatch::PortName { name: name.clone() });
    }
    let wanted = listed(ports.iter().map(|port| port_text(view, port)));
    Some(Mismatch::Port { wanted, found: view.port, protocol: view.protocol })
}

/// `5432`, `80-90`, `http (8080)`, `53/udp`, `udp`: the protocol where it is another than the connection's.
fn port_text(view: &View<'_>, port: &PortMatch) -> String {
    let range = match &port.range {
        PortRange::All => return Protocol::as_str(port.protocol).to_owned(),
        PortRange::Numbers(first, last) if first == last => first.to_string(),
        PortRange::Numbers(first, last) => format!("{first}-{last}"),
        PortRange::Name(name) => match view.numbers_of(name, port.protocol).next() {
            Some(number) => format!("{name} ({number})"),
            None => name.to_string(),
        },
    };
    if port.protocol == view.protocol { range } else { format!("{range}/{}", port.protocol) }
}
