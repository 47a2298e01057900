//! Firewall rules inside a namespace only, by the tools that users have, and what the rules themselves counted.

use anyhow::{Context, Result};

use crate::family::Family;
use crate::kernel;
use crate::netns::NetNs;

/// The two iptables that distributions ship.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Legacy,
    Nft,
}

impl Backend {
    pub const BOTH: [Self; 2] = [Self::Legacy, Self::Nft];

    pub const fn program(self, family: Family) -> &'static str {
        match (self, family) {
            (Self::Legacy, Family::V4) => "iptables-legacy",
            (Self::Legacy, Family::V6) => "ip6tables-legacy",
            (Self::Nft, Family::V4) => "iptables-nft",
            (Self::Nft, Family::V6) => "ip6tables-nft",
        }
    }

    /// Where the kernel frees what a rule drops (5.10 to 7.2): nftables does so itself since there are drop reasons.
    pub fn location(self) -> &'static str {
        match self {
            Self::Nft if kernel::tells_reasons() => "nft_do_chain",
            Self::Legacy | Self::Nft => "nf_hook_slow",
        }
    }
}

/// What a rule saw: packets, and bytes from the IP header on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    pub packets: u64,
    pub bytes: u64,
}

/// Where a rule goes.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a> {
    pub namespace: &'a NetNs,
    pub backend: Backend,
    pub family: Family,
    pub table: &'a str,
    pub chain: &'a str,
}

impl<'a> Chain<'a> {
    /// A chain of the table `filter`.
    pub const fn filter(namespace: &'a NetNs, backend: Backend, family: Family, chain: &'a str) -> Self {
        Self { namespace, backend, family, table: "filter", chain }
    }

    /// Adds a rule at the end for as long as the guard lives.
    pub fn append(self, rule: &str) -> Result<Rule<'a>> {
        self.tool(&format!("-A {} {rule}", self.chain))?;
        let number = self.tool(&format!("-S {}", self.chain))?.lines().filter(|line| line.starts_with("-A ")).count();
        Ok(Rule { chain: self, text: rule.to_owned(), number })
    }

    pub fn set_policy(self, target: &str) -> Result<()> {
        self.tool(&format!("-P {} {target}", self.chain)).map(drop)
    }

    fn tool(self, arguments: &str) -> Result<String> {
        let program = self.backend.program(self.family);
        self.namespace.exec(&format!("{program} -w 20 -t {} {arguments}", self.table))
    }
}

/// An iptables rule; deleted on drop.
#[derive(Debug)]
pub struct Rule<'a> {
    chain: Chain<'a>,
    text: String,
    /// From 1, as `iptables -L --line-numbers` shows it when only the lab changes the chain.
    pub number: usize,
}

impl Rule<'_> {
    pub fn counter(&self) -> Result<Counter> {
        let shown = self.chain.tool(&format!("-v -n -x -L {} {}", self.chain.chain, self.number))?;
        let mut words = shown.split_whitespace();
        let mut next = || words.next().and_then(|word| word.parse().ok());
        let numbers = next().zip(next());
        let (packets, bytes) = numbers.with_context(|| format!("no counter of {}: {shown}", self.text))?;
        Ok(Counter { packets, bytes })
    }
}

impl Drop for Rule<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.chain.tool(&format!("-D {} {}", self.chain.chain, self.text)) {
            eprintln!("a rule stays: {error:#}");
        }
    }
}

/// Gives a script to `nft` inside a namespace. It lasts as long as the namespace.
pub fn nft(namespace: &NetNs, script: &str) -> Result<()> {
    namespace.exec(&format!("nft '{script}'")).map(drop)
}

/// The first `counter` of a chain, named as in `inet table chain`.
pub fn nft_counter(namespace: &NetNs, chain: &str) -> Result<Counter> {
    let listed = namespace.exec(&format!("nft -j list chain {chain}"))?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let expressions = listed["nftables"].as_array().into_iter().flatten();
    let mut statements = expressions.flat_map(|entry| entry["rule"]["expr"].as_array().into_iter().flatten());
    let counter = statements.find_map(|statement| statement.get("counter"));
    let counter = counter.with_context(|| format!("{chain} has no counter"))?;
    let number = |key: &str| counter[key].as_u64().with_context(|| format!("no {key} in {counter}"));
    Ok(Counter { packets: number("packets")?, bytes: number("bytes")? })
}
