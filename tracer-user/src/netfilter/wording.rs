//! How a suspect is spoken of: its place, what it does, what was seen of it and what to try.
//!
//! Rule: a rule that a controller puts back is never to be deleted: its owner's way to change it is named instead.

use tracer_netfilter::owner::Owner;
use tracer_netfilter::walk::End;

use super::{Proof, Suspect};
use crate::event::{Backend, Rule};
use crate::explain::quoted;

impl Suspect {
    /// `iptables-nft filter/INPUT rule 1`, `nftables inet t/input rule 2 (handle 4)`, `the policy of …`.
    pub fn place(&self) -> String {
        place_of(&self.rule)
    }

    /// What it does with a packet.
    pub const fn verb(&self) -> &'static str {
        match self.end {
            End::Drop | End::Policy => "drops",
            End::Reject(_) => "rejects",
            End::Queue { .. } => "hands to a program (NFQUEUE), which drops or is not there,",
            End::TransparentProxy => "finds no listener (TPROXY) for",
            End::SynProxy => "answers in the listener's place (SYNPROXY)",
        }
    }

    /// What was read and seen of it, a fact each.
    pub fn evidence(&self) -> Vec<String> {
        let mut facts = Vec::new();
        if self.rule.number.is_none() {
            facts.push("no rule decided before its policy".to_owned());
        }
        if self.rule.path.len() > 1 {
            let way: Vec<String> = self.rule.path.iter().map(step).collect();
            facts.push(format!("the way to it: {}", way.join(" -> ")));
        }
        facts.extend(self.facts.iter().cloned());
        facts.extend(self.counted());
        if let Some(owner) = &self.owner {
            facts.push(format!("{} put it there: {}", owner.name, owner.why));
            facts.extend(Some(owner.note.clone()).filter(|note| !note.is_empty()));
        }
        facts
    }

    fn counted(&self) -> Option<String> {
        match self.proof {
            Proof::NoCounter => Some("it has no counter to compare".to_owned()),
            Proof::Unread => None,
            Proof::Traced => Some("the kernel's trace of the flow named it".to_owned()),
            Proof::Stands(packets) => Some(format!("its counter stands at {}", counted(packets))),
            Proof::Rose { from, to } if from == to => {
                Some(format!("its counter stood still at {} while the packet was dropped", counted(to)))
            }
            Proof::Rose { from, to } => Some(format!("its counter rose from {from} to {} with the drops", counted(to))),
        }
    }

    /// What its owner would have one do; or how to look at it and take it away. `entry`: how a command is run in the
    /// namespace, if it needs that.
    pub fn remedy(&self, entry: Option<&str>) -> Vec<String> {
        let entered = |command: String| match entry {
            Some(entry) => format!("{entry} {command}"),
            None => command,
        };
        match &self.owner {
            Some(Owner { remedy, .. }) if !remedy.is_empty() => remedy.clone(),
            Some(Owner { is_controller: true, name, .. }) => {
                vec![format!("change what {name} makes it from: it puts the rule back if it is deleted")]
            }
            _ => vec![entered(self.look()), entered(self.removal.clone())],
        }
    }

    /// A command that shows its chain, with counters.
    fn look(&self) -> String {
        let Rule { backend, family, table, chain, .. } = &self.rule;
        let (table, chain) = (quoted(table), quoted(chain));
        match backend {
            Backend::Nftables => format!("nft -a list chain {} {table} {chain}", family.as_str()),
            backend => format!("{} -t {table} -vnL {chain} --line-numbers", family.program(*backend)),
        }
    }
}

/// Where a rule stands.
pub(super) fn place_of(rule: &Rule) -> String {
    let Rule { backend, family, table, chain, number, handle, .. } = rule;
    let tool = match backend {
        Backend::Nftables => format!("nftables {}", family.as_str()),
        backend => family.program(*backend).to_owned(),
    };
    match (number, handle, backend) {
        (None, ..) => format!("the policy of {tool} {table}/{chain}"),
        (Some(number), Some(handle), Backend::Nftables) => {
            format!("{tool} {table}/{chain} rule {number} (handle {handle})")
        }
        (Some(number), ..) => format!("{tool} {table}/{chain} rule {number}"),
    }
}

fn counted(packets: u64) -> String {
    if packets == 1 { "1 packet".to_owned() } else { format!("{packets} packets") }
}

fn step(step: &crate::event::RuleStep) -> String {
    match step.number {
        0 => format!("the policy of {}", step.chain),
        number => format!("{} rule {number}", step.chain),
    }
}
