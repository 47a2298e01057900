//! What the kernel says: each rule's own counter before and after a packet.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde_json::Value;
use tracer_netfilter::model::{Backend, Ruleset};
use tracer_netfilter::model::{Family as Table, Place};
use tracer_tests::{Family, NetNs};

use crate::watch::SWALLOW;

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
    /// A packet came to this base chain, which stands at this place among all; its policy is to drop or not. nft counts no
    /// policies: of the chains that a packet came to and no rule dropped it, the last one's policy did.
    Enter {
        order: (u8, i32),
        drops: bool,
    },
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
            [first, ..] if first.starts_with('*') => first[1..].clone_into(&mut table),
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
    let all = || listed["nftables"].as_array().into_iter().flatten();
    let mut counters = Counters::new();
    let maps: BTreeMap<_, _> =
        all().filter_map(|entry| entry.get("map")).map(|map| ((text(map, "table"), text(map, "name")), map)).collect();
    let bases: BTreeMap<_, _> = all()
        .filter_map(|entry| entry.get("chain"))
        .filter_map(|chain| Some(((text(chain, "table"), text(chain, "name")), order(chain)?)))
        .collect();
    let mut numbers = BTreeMap::new();
    for rule in all().filter_map(|entry| entry.get("rule")) {
        let (table, chain) = (text(rule, "table"), text(rule, "chain"));
        let number: &mut u32 = numbers.entry((table.clone(), chain.clone())).or_default();
        *number += 1;
        let family = family(&text(rule, "family"))?;
        let mut name = Name { is_legacy: false, family, table: table.clone(), chain: chain.clone(), number: *number };
        let has = |key: &str| rule["expr"].as_array().into_iter().flatten().find_map(|part| part.get(key));
        let Some(mut packets) = has("counter").and_then(packets) else { continue };
        let mut effect = match (has("drop").is_some(), has("reject").is_some()) {
            (_, true) => Effect::Answer,
            (true, _) => Effect::Drop,
            _ => Effect::None,
        };
        if let Some(map) = has("vmap").and_then(|map| map["data"].as_str()) {
            let map = maps.get(&(table.clone(), map.trim_start_matches('@').to_owned())).context("no such map")?;
            (packets, effect) = (map_drops(map), Effect::Drop);
        }
        if *number == 1
            && table != SWALLOW
            && let Some((order, drops)) = bases.get(&(table, chain))
        {
            effect = Effect::Enter { order: *order, drops: *drops };
            name.number = 0;
        }
        counters.insert(name, (packets, effect));
    }
    Ok(counters)
}

fn text(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

fn packets(counter: &Value) -> Option<u64> {
    counter["packets"].as_u64()
}

/// Where a base chain stands among all, and whether its policy is to drop.
fn order(chain: &Value) -> Option<((u8, i32), bool)> {
    let hooks = ["ingress", "prerouting", "input", "forward", "output", "postrouting"];
    let hook = hooks.iter().position(|hook| Some(*hook) == chain["hook"].as_str())?;
    Some(((hook as u8, i32::try_from(chain["prio"].as_i64()?).ok()?), chain["policy"] == "drop"))
}

/// How often elements of a map of verdicts have dropped something: each counts for itself.
fn map_drops(map: &Value) -> u64 {
    let elements = map["elem"].as_array().into_iter().flatten();
    let drops = elements.filter(|pair| pair[1].get("drop").is_some());
    drops.filter_map(|pair| packets(&pair[0]["elem"]["counter"])).sum()
}

fn family(name: &str) -> Result<&'static str> {
    ["ip", "ip6", "inet", "arp", "bridge", "netdev"]
        .into_iter()
        .find(|known| *known == name)
        .with_context(|| format!("{name} is no family"))
}

/// Which rule dropped the one packet between two readings; `None` if that can't be told: nothing or too much has moved.
pub(crate) fn dropper(before: &Counters, after: &Counters) -> Option<Name> {
    let moved: Vec<_> = moved(before, after).collect();
    let only = |wanted: Effect| {
        let mut all = moved.iter().filter(|(_, effect)| *effect == wanted).map(|(name, _)| *name);
        (all.next(), all.next())
    };
    match (only(Effect::Answer), only(Effect::Drop)) {
        ((Some(name), None), _) | ((None, _), (Some(name), None)) => Some(name.clone()),
        ((None, _), (None, _)) => by_policy(&moved),
        _ => None,
    }
}

/// The last chain that a packet came to, if its policy is to drop.
fn by_policy(moved: &[(&Name, Effect)]) -> Option<Name> {
    let entered = moved.iter().filter_map(|(name, effect)| match effect {
        Effect::Enter { order, drops } => Some((*order, *name, *drops)),
        _ => None,
    });
    let (_, name, drops) = entered.max_by_key(|(order, ..)| *order)?;
    drops.then(|| name.clone())
}

fn moved<'a>(before: &'a Counters, after: &'a Counters) -> impl Iterator<Item = (&'a Name, Effect)> {
    let has_moved = |name, packets| before.get(name).is_some_and(|(old, _)| *old < packets);
    after
        .iter()
        .filter(move |(name, (packets, _))| has_moved(*name, *packets))
        .map(|(name, (_, effect))| (name, *effect))
}

/// How many rules that drop have counted something between two readings.
pub(crate) fn drops(before: &Counters, after: &Counters) -> usize {
    moved(before, after).filter(|(_, effect)| matches!(effect, Effect::Drop | Effect::Answer)).count()
}
