//! What the ruleset of a namespace says about one drop.

use std::time::SystemTime;

use tracer_netfilter::Ruleset;

use super::conntrack::{Connections, Pressure};
use super::suspect::{Proof, Suspect};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What may have dropped it, the likeliest first.
    pub suspects: Vec<Suspect>,
    /// Rules that were read.
    pub rules: usize,
    pub read: SystemTime,
    /// What was not known: a noun phrase or a short sentence each.
    pub unknown: Vec<String>,
    /// `None` where connection tracking is not at work.
    pub conntrack: Option<Pressure>,
    /// What the connection table says, where it has to do with the drop.
    pub connections: Connections,
}

impl Ruling {
    /// Nothing could be read, and why.
    pub fn unreadable(why: String) -> Self {
        Self {
            suspects: Vec::new(),
            rules: 0,
            read: SystemTime::now(),
            unknown: vec![why],
            conntrack: None,
            connections: Connections::None,
        }
    }

    /// One rule is named, and the kernel's own counter or trace says so.
    pub fn is_certain(&self) -> bool {
        matches!(&*self.suspects, [only] if only.proof.is_seen())
    }

    /// No rule that was read drops such a packet, or none of them saw one.
    pub fn is_without_rule(&self) -> bool {
        self.suspects.iter().all(|suspect| suspect.proof.clears())
    }

    /// The kernel's trace named the rule.
    pub fn is_traced(&self) -> bool {
        self.suspects.iter().any(|suspect| suspect.proof == Proof::Traced)
    }

    /// Whether a rule of `other` is among the suspects.
    pub fn suspects_rule_of(&self, other: &Self) -> bool {
        let same = |a: &Suspect, b: &Suspect| {
            (&a.rule.table, &a.rule.chain, a.rule.handle, a.rule.number)
                == (&b.rule.table, &b.rule.chain, b.rule.handle, b.rule.number)
        };
        self.suspects.iter().any(|mine| other.suspects.iter().any(|theirs| same(mine, theirs)))
    }

    /// The same for another packet of the flow, which was not looked into: nothing proves it.
    #[must_use]
    pub fn of_another_packet(&self) -> Self {
        let mut ruling = self.clone();
        ruling.suspects.iter_mut().for_each(|suspect| suspect.proof = Proof::Unread);
        ruling.unknown.push("the rule is that of another packet of the flow: too many to look into each".to_owned());
        ruling
    }

    /// Leaves out suspects whose counters clear them, if another one is left; those whose counters moved come first, then
    /// those that hang on nothing.
    pub(crate) fn weigh(&mut self) {
        if self.suspects.iter().any(|suspect| !suspect.proof.clears()) {
            self.suspects.retain(|suspect| !suspect.proof.clears());
        }
        self.suspects.sort_by_key(|suspect| (!suspect.proof.is_seen(), suspect.unknown.len()));
    }
}

/// All rules of a ruleset.
pub fn rule_count(ruleset: &Ruleset) -> usize {
    ruleset.tables.iter().flat_map(|table| &table.chains).map(|chain| chain.rules.len()).sum()
}
