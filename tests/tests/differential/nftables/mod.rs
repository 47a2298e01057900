//! Rulesets for nft: several tables of several families, whose base chains stand at every hook in a random order.

mod matches;
mod sets;
mod statements;

use std::fmt::Write as _;

use anyhow::{Result, bail, ensure};
use tracer_netfilter::model::Hook;

use crate::lab::Lab;
use crate::random::Random;
use crate::style::Style;

/// Priorities, none of which any two chains of a hook share: which runs first among equals hangs on how they were made.
const PRIORITIES: [i32; 9] = [-450, -300, -290, -150, -10, 0, 5, 60, 300];
/// Each time nft names all the rules that it refuses at one stage of its work.
const ATTEMPTS: usize = 5;
const HOOKS: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

/// What may stand in a chain: where packets come to it from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    /// `ip`, `ip6`, `inet` or `netdev`.
    pub(crate) table: &'static str,
    pub(crate) hook: Hook,
    pub(crate) style: Style,
    /// Connection tracking has looked at the packet (it does at priority -200).
    pub(crate) is_tracked: bool,
    /// Before connection tracking, so that it may be told to look away.
    pub(crate) is_raw: bool,
}

/// The whole text.
pub(crate) fn ruleset(random: &mut Random, style: Style) -> String {
    let mut text = String::new();
    let mut free = HOOKS.map(|hook| (hook, PRIORITIES.to_vec()));
    for (table, share) in [(style.family.pick("ip", "ip6"), 100), ("inet", 80)] {
        if random.percent(share) {
            text += &ip_table(random, style, table, &mut free);
        }
    }
    if random.percent(25) {
        text += &device_table(random, style);
    }
    text
}

/// Loads it without the rules that nft itself refuses as contradictions, and gives what was loaded.
pub(crate) fn load(lab: &Lab, text: &str) -> Result<String> {
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    for _ in 0..ATTEMPTS {
        let Err(error) = lab.load("nft -f -", &lines.join("\n")) else { return Ok(lines.join("\n")) };
        let error = error.to_string();
        let numbers =
            error.lines().filter_map(|line| line.strip_prefix("/dev/stdin:").or(line.split("/dev/stdin:").nth(1)));
        let refused: Vec<usize> = numbers.filter_map(|rest| rest.split(':').next()?.parse().ok()).collect();
        let is_rule = |number: &usize| lines.get(number - 1).is_some_and(|line| line.contains("counter "));
        ensure!(!refused.is_empty() && refused.iter().all(is_rule), "{error}");
        ensure!(refused.len() * 5 < lines.len(), "nft refuses too much: {error}");
        for number in refused {
            lines[number - 1].clear();
        }
    }
    bail!("nft still refuses {}", lines.join("\n"))
}

fn ip_table(random: &mut Random, style: Style, table: &'static str, free: &mut [(Hook, Vec<i32>)]) -> String {
    let mut body = String::new();
    let mut objects = sets::Objects::new(random, style.family);
    for (hook, priorities) in free {
        for number in 0..random.below(3) {
            let priority = priorities.remove(random.below(priorities.len()));
            let site = Site {
                table,
                hook: *hook,
                style,
                is_tracked: style.is_tracked && priority > -200,
                is_raw: priority < -200,
            };
            let kind = if *hook == Hook::Output && random.percent(20) { "route" } else { "filter" };
            let base = format!("type {kind} hook {} priority {priority};", hook.as_str());
            body += &chains(random, site, &format!("{}{number}", hook.as_str()), &base, &mut objects);
        }
    }
    format!("table {table} t-{table} {{\n{}{body}}}\n", objects.text())
}

fn device_table(random: &mut Random, style: Style) -> String {
    let site = Site { table: "netdev", hook: Hook::Ingress, style, is_tracked: false, is_raw: false };
    let mut objects = sets::Objects::new(random, style.family);
    let base = "type filter hook ingress device r1 priority 0;";
    let body = chains(random, site, "ingress0", base, &mut objects);
    format!("table netdev t-netdev {{\n{}{body}}}\n", objects.text())
}

/// A base chain with up to three others, which jump to later ones only. Its first rule counts whatever comes in: the last
/// base chain that a packet came to, and in which no rule dropped it, is the one whose policy did.
fn chains(random: &mut Random, site: Site, name: &str, base: &str, objects: &mut sets::Objects) -> String {
    let others: Vec<_> = (1..=random.below(4)).map(|number| format!("{name}-{number}")).collect();
    let policy = if random.percent(12) { "drop" } else { "accept" };
    let all: Vec<_> = std::iter::once(name.to_owned()).chain(others).collect();
    let mut text = Vec::new();
    for (at, chain) in all.iter().enumerate() {
        let mut body = if at == 0 { format!("{base} policy {policy};\ncounter\n") } else { String::new() };
        for _ in 0..=random.below(6) {
            let _ = writeln!(body, "{}", rule(random, site, &all[at + 1..], objects));
        }
        text.push(format!("chain {chain} {{\n{body}}}\n"));
    }
    // A chain is known before another jumps to it.
    text.into_iter().rev().collect()
}

fn rule(random: &mut Random, site: Site, later: &[String], objects: &mut sets::Objects) -> String {
    let asked = matches::some(random, site);
    let done = statements::some(random, site, later, objects);
    let comment = if random.percent(10) { " comment \"what for\"" } else { "" };
    format!("{asked}{done}{comment}")
}
