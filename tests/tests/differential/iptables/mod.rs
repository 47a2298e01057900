//! Rulesets for iptables and ip6tables, legacy and nft: the text that `iptables-restore` takes.

mod matches;
mod sets;

use std::fmt::Write as _;

pub(crate) use sets::sets;

use crate::random::Random;
use crate::style::Style;
use crate::universe::{MARKS, MASKS};

/// A built-in chain and those that only it leads to, so that each match stands where its hook allows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) table: &'static str,
    pub(crate) chain: &'static str,
}

impl Group {
    /// Packets have a device that they came in by.
    pub(crate) fn has_input(self) -> bool {
        matches!(self.chain, "PREROUTING" | "INPUT" | "FORWARD")
    }

    pub(crate) fn has_output(self) -> bool {
        matches!(self.chain, "OUTPUT" | "POSTROUTING" | "FORWARD")
    }

    /// Connection tracking has looked at the packet (it does at priority -200).
    pub(crate) fn is_tracked(self) -> bool {
        self.table != "raw"
    }
}

const TABLES: [(&str, &[&str]); 4] = [
    ("raw", &["PREROUTING", "OUTPUT"]),
    ("mangle", &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"]),
    ("filter", &["INPUT", "FORWARD", "OUTPUT"]),
    ("security", &["INPUT", "FORWARD", "OUTPUT"]),
];

/// The whole text. Every table is named, so that what was there before is gone.
pub(crate) fn ruleset(random: &mut Random, style: Style) -> String {
    let mut text = String::new();
    for (table, chains) in TABLES {
        let (mut names, mut rules) = (String::new(), String::new());
        for chain in chains {
            let group = Group { table, chain };
            let policy = if random.percent(6) { "DROP" } else { "ACCEPT" };
            let _ = writeln!(names, ":{chain} {policy} [0:0]");
            // Rules everywhere would end each packet in the first table.
            let share = if table == "filter" { 100 } else { 45 };
            if random.percent(share) {
                chain_group(random, style, group, &mut names, &mut rules);
            }
        }
        let _ = write!(text, "*{table}\n{names}{rules}COMMIT\n");
    }
    text
}

/// A built-in chain with up to three others, which jump to later ones only.
fn chain_group(random: &mut Random, style: Style, group: Group, names: &mut String, rules: &mut String) {
    let short = group.chain.to_lowercase();
    let others: Vec<_> = (1..=random.below(4)).map(|number| format!("{short}-{number}")).collect();
    for other in &others {
        let _ = writeln!(names, ":{other} - [0:0]");
    }
    let chains: Vec<_> = std::iter::once(group.chain.to_owned()).chain(others).collect();
    for (at, chain) in chains.iter().enumerate() {
        for _ in 0..=random.below(6) {
            // A rule for every packet would be the end of most in a base chain.
            let is_narrow = at == 0 && random.percent(50);
            let asked = matches::some(random, style, group, is_narrow);
            let target = target(random, style, group, &chains[at + 1..]);
            let _ = writeln!(rules, "[0:0] -A {chain}{asked}{target}");
        }
    }
}

/// What a rule does, with a space before it; nothing for one that only counts.
fn target(random: &mut Random, style: Style, group: Group, later: &[String]) -> String {
    let answers = group.table == "filter";
    match random.below(20) {
        0..=4 => " -j DROP".to_owned(),
        5 if later.is_empty() => " -j DROP".to_owned(),
        6 if answers => " -j REJECT".to_owned(),
        // Nobody takes packets from it, which can't be seen from outside.
        7 if style.is_unsure => " -j NFQUEUE --queue-num 5".to_owned(),
        7 | 8 => " -j ACCEPT".to_owned(),
        9 => " -j RETURN".to_owned(),
        5 | 10..=12 if !later.is_empty() => format!(" -j {}", random.pick(later)),
        13 if !later.is_empty() => format!(" -g {}", random.pick(later)),
        14 if group.table == "raw" && style.is_tracked => " -j CT --notrack".to_owned(),
        15 if group.is_tracked() && style.is_tracked => connmark(random),
        14..=18 => set_mark(random),
        _ => String::new(),
    }
}

fn set_mark(random: &mut Random) -> String {
    let (value, mask) = (*random.pick(&MARKS), *random.pick(&MASKS));
    match random.below(4) {
        0 => format!(" -j MARK --set-xmark {value:#x}/{mask:#x}"),
        1 => format!(" -j MARK --or-mark {value:#x}"),
        2 => format!(" -j MARK --and-mark {mask:#x}"),
        _ => format!(" -j MARK --xor-mark {value:#x}"),
    }
}

fn connmark(random: &mut Random) -> String {
    match random.below(3) {
        0 => format!(" -j CONNMARK --set-mark {:#x}", random.pick(&MARKS)),
        1 => " -j CONNMARK --save-mark".to_owned(),
        _ => " -j CONNMARK --restore-mark".to_owned(),
    }
}
