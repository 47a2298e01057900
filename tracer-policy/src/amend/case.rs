//! The denial that is to be cured, in a world that is small enough to try changes in.

use std::sync::Arc;

use crate::World;
use crate::evaluate::{Connection, Direction, End, Nearest, Verdict, evaluate};
use crate::model::{NetworkPolicy, Peer, Pod, Policy, Rule};

/// One denied side of a connection, and the policy that came nearest to allowing it.
pub(super) struct Case<'a> {
    /// Both pods, and what policies ask about them.
    small: World,
    connection: Connection<'a>,
    pub(super) direction: Direction,
    pub(super) policy: &'a NetworkPolicy,
    pub(super) nearest: &'a Nearest,
    /// The pod that the policy selects.
    pub(super) selected: &'a Pod,
}

impl<'a> Case<'a> {
    /// `None` if the denied end is no pod: no policy can deny it.
    pub(super) fn new(
        world: &World,
        connection: Connection<'a>,
        direction: Direction,
        policy: &'a NetworkPolicy,
        nearest: &'a Nearest,
    ) -> Option<Self> {
        let selected = match direction {
            Direction::Ingress => connection.destination.pod(),
            Direction::Egress => connection.source.pod(),
        }?;
        let small = around(world, &connection);
        Some(Self { small, connection, direction, policy, nearest, selected })
    }

    /// The end that the policy's rules are about.
    pub(super) fn other(&self) -> End<'a> {
        match self.direction {
            Direction::Ingress => self.connection.source,
            Direction::Egress => self.connection.destination,
        }
    }

    pub(super) fn connection(&self) -> &Connection<'a> {
        &self.connection
    }

    /// The rule that came nearest, and its position from 0; `None` if the policy has no rule.
    pub(super) fn rule(&self) -> Option<(usize, &'a Rule)> {
        let number = (self.nearest.rule as usize).checked_sub(1)?;
        let rules = match self.direction {
            Direction::Ingress => &self.policy.ingress,
            Direction::Egress => &self.policy.egress,
        };
        Some((number, rules.as_ref()?.get(number)?))
    }

    /// The entry of that rule's peers that came nearest.
    pub(super) fn peer(&self) -> Option<&'a Peer> {
        self.rule()?.1.peers.get((self.nearest.peer as usize).checked_sub(1)?)
    }

    /// Whether the connection is allowed in this direction with that policy.
    pub(super) fn is_allowed_with(&self, policy: NetworkPolicy) -> bool {
        let mut world = self.small.clone();
        world.set_policy(Arc::new(Policy::Network(policy)));
        self.verdict(&world, &self.connection) == Verdict::Allowed
    }

    /// The same with the other end's pod changed.
    pub(super) fn is_allowed_as(&self, other: &Pod) -> bool {
        let mut world = self.small.clone();
        world.set_pod(Arc::new(other.clone()));
        let end = End::Pod(other, self.other().address());
        let connection = match self.direction {
            Direction::Ingress => Connection { source: end, ..self.connection },
            Direction::Egress => Connection { destination: end, ..self.connection },
        };
        self.verdict(&world, &connection) == Verdict::Allowed
    }

    fn verdict(&self, world: &World, connection: &Connection<'_>) -> Verdict {
        let answer = evaluate(world, connection);
        match self.direction {
            Direction::Ingress => answer.ingress.verdict,
            Direction::Egress => answer.egress.verdict,
        }
    }
}

/// What policies can ask about one connection: copying a whole cluster for each try would take milliseconds.
fn around(world: &World, connection: &Connection<'_>) -> World {
    let mut small = World::default();
    small.set_knows_policies(world.knows_policies());
    for end in [connection.source, connection.destination] {
        let node = match end {
            End::Pod(pod, _) => pod.node.as_deref(),
            End::Node(node, _) => node,
            End::Outside(_) => None,
        };
        node.and_then(|name| world.node(name)).cloned().into_iter().for_each(|node| small.set_node(node));
        let Some(pod) = end.pod() else { continue };
        small.set_pod(Arc::new(pod.clone()));
        world.namespace(&pod.id.namespace).cloned().into_iter().for_each(|namespace| small.set_namespace(namespace));
        world.policies_in(&pod.id.namespace).iter().for_each(|policy| small.set_policy(Arc::clone(policy)));
    }
    world.policies_in("").iter().for_each(|policy| small.set_policy(Arc::clone(policy)));
    small
}
