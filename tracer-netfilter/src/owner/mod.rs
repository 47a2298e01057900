//! Who put a rule there, and what that means for changing it.
//!
//! Rules: an owner is named for a fact that is in the ruleset (a chain's name, a comment, a table), and that fact is told;
//! nobody is told to delete what a program will put back: the remedy is what that program reads. Names out of rules are what
//! others chose: in commands they are one word of the shell.

mod calico;
mod case;
mod cni;
mod container;
mod host;
mod kube_proxy;
mod npm;
mod overlay;
mod router;

use crate::model::Ruleset;
use crate::packet::Packet;
use crate::walk::Candidate;
use case::Case;

/// Which way of a pod's traffic a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyDirection {
    Ingress,
    Egress,
}

impl PolicyDirection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
        }
    }
}

/// A NetworkPolicy, or a policy of the engine's own kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRef {
    /// Absent: it is not told, or the policy is the whole cluster's.
    pub namespace: Option<String>,
    pub name: String,
    pub direction: PolicyDirection,
}

/// That a rule ends what no policy of the pod allowed: the verdict of a policy engine, not a rule of its housekeeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enforced {
    pub direction: PolicyDirection,
    /// The policies that select the pod, as far as the ruleset tells.
    pub chains: Vec<PolicyChain>,
}

/// The chain with the rules of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChain {
    /// Index in the chains of the rule's table.
    pub chain: usize,
    /// Absent: the ruleset does not name it.
    pub policy: Option<PolicyRef>,
}

/// A Service of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRef {
    pub namespace: String,
    pub name: String,
    /// Name of its port, where it has one.
    pub port: Option<String>,
}

/// The program that a rule belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `kube-proxy`, `calico`, `ufw`, …
    pub name: &'static str,
    /// The fact it is known by: `the chain ufw-user-input`.
    pub why: String,
    /// It puts its rules back when they are deleted.
    pub is_controller: bool,
    /// What to change or look at instead of the rule, first the best: commands for a shell, or a sentence.
    pub remedy: Vec<String>,
    /// The policy that decided, where it can be no other.
    pub policy: Option<PolicyRef>,
    pub enforced: Option<Enforced>,
    pub service: Option<ServiceRef>,
    /// What a rule of this shape means, one sentence; empty if there is nothing to say.
    pub note: String,
}

impl Owner {
    fn new(name: &'static str, why: impl Into<String>) -> Self {
        Self {
            name,
            why: why.into(),
            is_controller: true,
            remedy: Vec::new(),
            policy: None,
            enforced: None,
            service: None,
            note: String::new(),
        }
    }

    fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy.push(remedy.into());
        self
    }

    fn enforces(mut self, direction: PolicyDirection, chains: Vec<PolicyChain>) -> Self {
        self.enforced = Some(Enforced { direction, chains });
        self
    }

    /// Nothing puts its rules back.
    const fn by_hand(mut self) -> Self {
        self.is_controller = false;
        self
    }
}

/// Those who name policies and services come first; those who are known by a table's name only are last.
const OWNERS: &[fn(&Case<'_>) -> Option<Owner>] = &[
    npm::recognise,
    calico::recognise,
    router::recognise,
    kube_proxy::recognise,
    cni::recognise,
    host::fail2ban,
    host::ufw,
    host::firewalld,
    container::podman,
    container::docker,
    host::libvirt,
    overlay::recognise,
];

/// The program that a rule or policy which drops a packet belongs to; `None`: made by hand, as far as can be told.
pub fn recognise(ruleset: &Ruleset, candidate: &Candidate, packet: &Packet) -> Option<Owner> {
    let case = Case::new(ruleset, candidate, packet)?;
    OWNERS.iter().find_map(|recognise| recognise(&case))
}
