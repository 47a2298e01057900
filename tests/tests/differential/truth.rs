//! What the kernel says: each rule's own counter before and after a packet.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;
use tracer_netfilter::model::{Backend, Ruleset};
use tracer_netfilter::model::{Family as Table, Place};
use tracer_tests::{Family, NetNs};

/// A rule as its users count it; number 0 is the policy of the chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) is_legacy: bool,
    pub(crate) family: &'static str,
    pub(crate) table: String,
    pub(crate) chain: String,
    pub(crate) number: u32,
}

impl Name {
    /// How the library names a place.
    pub(crate) fn of(ruleset: &Ruleset, place: Place) -> Option<Self> {
        let table = ruleset.table(place)?;
        Some(Self {
            is_legacy: table.backend == Backend::Legacy,
            family: table.family.as_str(),
            table: table.name.clone(),
            chain: ruleset.chain(place)?.name.clone(),
            number: place.number,
        })
    }

    pub(crate) const fn backend(&self) -> Backend {
        if self.is_legacy { Backend::Legacy } else { Backend::Nft }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { is_legacy, family, table, chain, number } = self;
        let backend = if *is_legacy { "legacy" } else { "nft" };
        write!(f, "{backend} {family} {table} {chain} {number}")
    }
}

/// What a rule does to a packet, as far as the truth wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It lets the packet go on, or counts only.
    None,
    Drop,
    /// It drops it and sends something, which may meet rules of its own.
    Answer,
}

/// Packets by rule, and what the rule does.
pub(crate) type Counters = BTreeMap<Name, (u64, Effect)>;

/// The counters of one iptables, by its own `save`.
pub(crate) fn iptables(router: &NetNs, family: Family, is_legacy: bool) -> Result<Counters> {
    let program =
        family.pick(["iptables-nft-save", "iptables-legacy-save"], ["ip6tables-nft-save", "ip6tables-legacy-save"]);
    let saved = router.exec(&format!("{} -c", program[usize::from(is_legacy)]))?;
    let family = family.pick(Table::Ip, Table::Ip6).as_str();
    let (mut counters, mut table) = (Counters::new(), String::new());
    let mut numbers = BTreeMap::new();
    let mut put = |table: &str, chain: &str, number, count: &str, effect| -> Result<()> {
        let packets = count.trim_start_matches('[').split(':').next().unwrap_or_default();
        let packets = packets.parse().with_context(|| format!("no counter in {count}"))?;
        let name = Name { is_legacy, family, table: table.to_owned(), chain: chain.to_owned(), number };
        counters.insert(name, (packets, effect));
        Ok(())
    };
    for line in saved.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            [first, ..] if first.starts_with('*') => table = first[1..].to_owned(),
            [chain, policy, count] if chain.starts_with(':') && policy != "-" => {
                let effect = if policy == "DROP" { Effect::Drop } else { Effect::None };
                put(&table, &chain[1..], 0, count, effect)?;
            }
            [count, "-A", chain, ..] => {
                let number: &mut u32 = numbers.entry((table.clone(), chain.to_owned())).or_default();
                *number += 1;
                put(&table, chain, *number, count, iptables_effect(line))?;
            }
            _ => {}
        }
    }
    Ok(counters)
}

fn iptables_effect(rule: &str) -> Effect {
    match rule.rsplit_once(" -j ").map(|(_, target)| target.split(' ').next().unwrap_or_default()) {
        Some("DROP" | "NFQUEUE") => Effect::Drop,
        Some("REJECT") => Effect::Answer,
        _ => Effect::None,
    }
}

/// The counters of nf_tables, by `nft -j`. `what`: `ruleset`, or one table.
pub(crate) fn nft(router: &NetNs, what: &str) -> Result<Counters> {
    let listed: Value = serde_json::from_str(&router.exec(&format!("nft -j list {what}"))?)?;
    let (mut counters, mut numbers) = (Counters::new(), BTreeMap::new());
    for rule in listed["nftables"].as_array().into_iter().flatten().filter_map(|entry| entry.get("rule")) {
        let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        let number: &mut u32 = numbers.entry((text("family"), text("table"), text("chain"))).or_default();
        *number += 1;
        let name = Name {
            is_legacy: false,
            family: family(&text("family"))?,
            table: text("table"),
            chain: text("chain"),
            number: *number,
        };
        let has = |key: &str| rule["expr"].as_array().into_iter().flatten().find_map(|part| part.get(key));
        let effect = match (has("drop").is_some(), has("reject").is_some()) {
            (_, true) => Effect::Answer,
            (true, _) => Effect::Drop,
            _ => Effect::None,
        };
        if let Some(packets) = has("counter").and_then(|counter| counter["packets"].as_u64()) {
            counters.insert(name, (packets, effect));
        }
    }
    Ok(counters)
}

fn family(name: &str) -> Result<&'static str> {
    ["ip", "ip6", "inet", "arp", "bridge", "netdev"]
        .into_iter()
        .find(|known| *known == name)
        .with_context(|| format!("{name} is no family"))
}

/// Which rule dropped the one packet between two readings; `None` if that can't be told: nothing or too much has moved.
pub(crate) fn dropper(before: &Counters, after: &Counters) -> Option<Name> {
    let moved = |wanted: Effect| {
        let mut all = after.iter().filter(move |(name, (packets, effect))| {
            *effect == wanted && before.get(*name).is_some_and(|(old, _)| old < packets)
        });
        (all.next(), all.next())
    };
    match (moved(Effect::Answer), moved(Effect::Drop)) {
        ((Some((name, _)), None), _) | ((None, _), (Some((name, _)), None)) => Some(name.clone()),
        _ => None,
    }
}

/// How many rules that drop have counted something between two readings.
pub(crate) fn drops(before: &Counters, after: &Counters) -> usize {
    let has_moved = |name, packets| before.get(name).is_some_and(|(old, _)| *old < packets);
    after.iter().filter(|(name, (packets, effect))| *effect != Effect::None && has_moved(name, *packets)).count()
}
