//! A rule or policy that may have dropped the packet, as its user would find it, with what speaks for it.

use tracer_netfilter::model::{Counter, Place, Policy, Table};
use tracer_netfilter::near::{self, Near};
use tracer_netfilter::owner::{self, Enforced, Owner};
use tracer_netfilter::walk::{Candidate, End};
use tracer_netfilter::{Backend, Chain, Family, Hook, Packet, Ruleset, World, text};

use super::conntrack::Translator;
use super::wording::place_of;
use crate::event::{self, RuleStep, RulesetFamily};
use crate::node::reverse_path::{self, RuleCheck};

/// What the rule's own counter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The rule has none.
    NoCounter,
    /// It was not read again.
    Unread,
    /// It was first read after the drop, and stands at this many packets: zero speaks against the rule.
    Stands(u64),
    /// It was read before the drop and again after it.
    Rose { from: u64, to: u64 },
    /// The kernel's trace of the flow named it.
    Traced,
}

impl Proof {
    /// The kernel itself says that the rule saw packets around the time of the drop.
    pub const fn is_seen(self) -> bool {
        match self {
            Self::Rose { from, to } => to > from,
            Self::Traced => true,
            Self::NoCounter | Self::Unread | Self::Stands(_) => false,
        }
    }

    /// The rule saw no packet, so it did not drop this one.
    pub const fn clears(self) -> bool {
        match self {
            Self::Stands(packets) => packets == 0,
            Self::Rose { from, to } => from == to,
            Self::NoCounter | Self::Unread | Self::Traced => false,
        }
    }
}

/// A rule, or a chain's policy, that ends a packet like this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    pub rule: event::Rule,
    pub end: End,
    /// What it hangs on, a noun phrase each.
    pub unknown: Vec<String>,
    /// Facts that decided on the way, a sentence each.
    pub facts: Vec<String>,
    pub owner: Option<Owner>,
    /// Takes the rule away, or sets the policy to accept: a command for the ruleset's namespace.
    pub removal: String,
    pub proof: Proof,
    /// What a rule that asks for a way back to the source compared with.
    pub way_back: Option<Box<RuleCheck>>,
    /// The rule of a policy that almost let it through, if a policy engine dropped it.
    pub near: Option<Near>,
    /// It is met only because connection tracking calls the packet invalid.
    pub needs_invalid: bool,
}

impl Suspect {
    /// What is to be said of a candidate; `None` if the ruleset does not hold it (which would be a fault of ours).
    pub(super) fn new(
        ruleset: &Ruleset,
        candidate: &Candidate,
        (packet, hook): (&Packet, Hook),
        world: &dyn World,
        proof: Proof,
    ) -> Option<Self> {
        let (table, chain) = (ruleset.table(candidate.place)?, ruleset.chain(candidate.place)?);
        let decoded = ruleset.rule(candidate.place).and_then(Result::ok);
        let (text, removal) = match &decoded {
            Some(rule) => wording(table, chain, rule, world),
            None => policy_wording(table, chain),
        };
        let path = candidate.path.iter().filter_map(|place| step(ruleset, *place)).collect();
        let packets = packets(proof).or(decoded.as_ref().and_then(|rule| rule.counter).map(|counter| counter.packets));
        let rule = event::Rule { path, packets, ..shown(table, chain, decoded.as_ref(), text) };
        let owner = owner::recognise(ruleset, candidate, packet);
        let asked = near::Asked { ruleset, table: candidate.place.table, packet, hook, world };
        let enforced = owner.as_ref().and_then(|owner| owner.enforced.as_ref());
        // A rule of a policy that denies by itself lacks nothing to allow.
        let is_explicit = |enforced: &Enforced| enforced.chains.iter().any(|one| one.chain == candidate.place.chain);
        let near =
            enforced.filter(|enforced| !is_explicit(enforced)).and_then(|enforced| near::nearest(&asked, enforced));
        let mut facts = candidate.sets.clone();
        facts.extend(candidate.marks.iter().filter_map(|place| mark_fact(ruleset, *place, world)));
        let way_back = reverse_path::of_rule(&rule.text, packet).map(Box::new);
        Some(Self {
            rule,
            end: candidate.end.clone(),
            unknown: candidate.unknown.clone(),
            facts,
            owner,
            removal,
            proof,
            way_back,
            near,
            needs_invalid: false,
        })
    }
}

/// The rule, or the chain's policy, as the event has it; without the way to it.
fn shown(table: &Table, chain: &Chain, rule: Option<&tracer_netfilter::Rule>, text: String) -> event::Rule {
    event::Rule {
        backend: backend(table),
        family: family(table.family),
        table: table.name.clone(),
        chain: chain.name.clone(),
        number: rule.map(|rule| rule.number),
        handle: rule.and_then(|rule| rule.handle),
        text,
        comment: rule.and_then(|rule| rule.comment.clone()),
        path: Vec::new(),
        packets: None,
    }
}

/// The rule at a place that translates sources; `None` if it does not.
pub(super) fn translator(ruleset: &Ruleset, place: Place, world: &dyn World) -> Option<Translator> {
    let (table, chain) = (ruleset.table(place)?, ruleset.chain(place)?);
    let rule = ruleset.rule(place)?.ok()?;
    let range = tracer_netfilter::translation::source_range(&rule)?;
    let shown = shown(table, chain, Some(&rule), wording(table, chain, &rule, world).0);
    Some(Translator { place: place_of(&shown), text: shown.text, range })
}

const fn packets(proof: Proof) -> Option<u64> {
    match proof {
        Proof::Stands(packets) | Proof::Rose { to: packets, .. } => Some(packets),
        Proof::NoCounter | Proof::Unread | Proof::Traced => None,
    }
}

fn step(ruleset: &Ruleset, place: Place) -> Option<RuleStep> {
    Some(RuleStep { chain: ruleset.chain(place)?.name.clone(), number: place.number })
}

fn mark_fact(ruleset: &Ruleset, place: Place, world: &dyn World) -> Option<String> {
    let (table, chain) = (ruleset.table(place)?, ruleset.chain(place)?);
    let rule = ruleset.rule(place)?.ok()?;
    let (text, _) = wording(table, chain, &rule, world);
    Some(format!("its mark was set by {}/{} rule {}: {text}", table.name, chain.name, place.number))
}

/// The text of a rule that was looked at; of its chain, for number 0.
pub(super) fn text_at(ruleset: &Ruleset, place: Place, world: &dyn World) -> String {
    let Some((table, chain)) = ruleset.table(place).zip(ruleset.chain(place)) else { return String::new() };
    match ruleset.rule(place) {
        Some(Ok(rule)) => wording(table, chain, &rule, world).0,
        Some(Err(error)) => error.to_string(),
        None => policy_wording(table, chain).0,
    }
}

/// The rule's text and the command that deletes it.
fn wording(table: &Table, chain: &Chain, rule: &tracer_netfilter::Rule, world: &dyn World) -> (String, String) {
    let name = |index| world.ipset(index).ok().map(|set| set.name.clone());
    // A rule that iptables can't have written is shown as nft shows it.
    if speaks_iptables(table)
        && let Some(text) = text::iptables::exact(table, chain, rule, &name)
    {
        return (text, text::iptables::delete_command(table, chain, rule, &name));
    }
    let sets = |name: &str| world.elements(table, name).ok();
    (text::nft::stateless_rule(table, chain, rule, &sets), text::nft::delete_command(table, chain, Some(rule)))
}

fn policy_wording(table: &Table, chain: &Chain) -> (String, String) {
    if speaks_iptables(table)
        && let (Some(text), Some(command)) =
            (text::iptables::policy_text(chain), text::iptables::policy_command(table, chain))
    {
        return (text, command);
    }
    (text::nft::chain_header(table, chain), text::nft::delete_command(table, chain, None))
}

fn speaks_iptables(table: &Table) -> bool {
    table.backend == Backend::Legacy || text::iptables::is_iptables_nft(table)
}

fn backend(table: &Table) -> event::Backend {
    match table.backend {
        Backend::Legacy => event::Backend::IptablesLegacy,
        Backend::Nft if text::iptables::is_iptables_nft(table) => event::Backend::IptablesNft,
        Backend::Nft => event::Backend::Nftables,
    }
}

const fn family(family: Family) -> RulesetFamily {
    match family {
        Family::Ip => RulesetFamily::Ip,
        Family::Ip6 => RulesetFamily::Ip6,
        Family::Inet => RulesetFamily::Inet,
        Family::Arp => RulesetFamily::Arp,
        Family::Bridge => RulesetFamily::Bridge,
        Family::Netdev => RulesetFamily::Netdev,
    }
}

/// The counter at a place as the ruleset was read: of the rule, or of the chain's policy.
pub(super) fn counter(ruleset: &Ruleset, place: Place) -> Option<Counter> {
    match place.number {
        0 => ruleset.chain(place)?.base.as_ref().filter(|base| base.policy == Policy::Drop)?.counter,
        _ => ruleset.rule(place)?.ok()?.counter,
    }
}
