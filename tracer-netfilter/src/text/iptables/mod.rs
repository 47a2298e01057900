//! Rules as `iptables -S` prints them, whichever backend they are kept by, and the commands that take them away.
//!
//! Rule: the text is what the tool itself would print, so that it can be searched for in its listing and in the scripts
//! that made it; a rule that the tool could not have written has none.

mod native;
mod ports;
mod registers;
mod shell;

use std::fmt::Write as _;

use crate::model::{Backend, Chain, ChainKind, Expression, Family, Hook, Policy, Rule, Table, Verdict};
use crate::xt::{Match, Target};

/// Gives the name of a set of ipset by the kernel's number of it.
pub type SetName<'a> = &'a dyn Fn(u16) -> Option<String>;

/// The parts of a rule, as x_tables has them.
#[derive(Debug, Default)]
struct Line {
    matches: Vec<Match>,
    action: Option<Action>,
}

#[derive(Debug)]
enum Action {
    Verdict(Verdict),
    Target(Target),
}

/// The whole line, without counters: `-A INPUT -p tcp -m tcp --dport 22 -j DROP`. A rule that iptables can't print, as one
/// that nft has written into a table of iptables, is shown as far as it goes, and that it is not all of it. A set without a
/// name is shown as its number: `#3`.
pub fn rule(table: &Table, chain: &Chain, rule: &Rule, set_name: SetName<'_>) -> String {
    let (line, is_whole) = line(table, rule);
    let rest = if is_whole { "" } else { " (and more, which iptables can't show)" };
    format!("-A {}{}{rest}", chain.name, options(table, rule, &line, set_name))
}

/// As [`rule`], but `None` for what iptables can't print.
pub fn exact(table: &Table, chain: &Chain, rule: &Rule, set_name: SetName<'_>) -> Option<String> {
    let (line, is_whole) = line(table, rule);
    is_whole.then(|| format!("-A {}{}", chain.name, options(table, rule, &line, set_name)))
}

/// The command that deletes a rule: by its text where that is all of it, since numbers change with each rule that comes or
/// goes in front; else by its handle, or by its number where it has none.
pub fn delete_command(table: &Table, chain: &Chain, rule: &Rule, set_name: SetName<'_>) -> String {
    let (line, is_whole) = line(table, rule);
    let (tool, name) = (tool(table), &table.name);
    if is_whole && line.is_known(set_name) {
        return format!(
            "{tool} -t {name} -D {}{}",
            shell::word(&chain.name),
            shell::requote(&options(table, rule, &line, set_name))
        );
    }
    match rule.handle {
        Some(handle) => {
            format!("nft delete rule {} {name} {} handle {handle}", table.family.as_str(), shell::word(&chain.name))
        }
        None => format!("{tool} -t {name} -D {} {}", shell::word(&chain.name), rule.number),
    }
}

/// `-P INPUT DROP`; `None` if it is no built-in chain.
pub fn policy_text(chain: &Chain) -> Option<String> {
    let policy = match chain.base.as_ref()?.policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    };
    Some(format!("-P {} {policy}", chain.name))
}

/// The command by which a chain's policy accepts; `None` if it is no built-in chain.
pub fn policy_command(table: &Table, chain: &Chain) -> Option<String> {
    chain.base.as_ref()?;
    Some(format!("{} -t {} -P {} ACCEPT", tool(table), table.name, chain.name))
}

/// Whether a table of nf_tables is one that iptables-nft, ip6tables-nft, ebtables-nft or arptables-nft keeps: by its name,
/// and by its base chains, of which iptables bears none but its own.
pub fn is_iptables_nft(table: &Table) -> bool {
    let tables: &[&str] = match table.family {
        Family::Ip | Family::Ip6 => &["raw", "mangle", "nat", "filter", "security"],
        Family::Bridge => &["broute", "nat", "filter"],
        Family::Arp => &["filter"],
        Family::Inet | Family::Netdev => &[],
    };
    table.backend == Backend::Nft
        && tables.contains(&table.name.as_str())
        && table.chains.iter().all(|chain| is_user_or_standard(table, chain))
}

fn is_user_or_standard(table: &Table, chain: &Chain) -> bool {
    let Some(base) = &chain.base else { return true };
    let is_ip = matches!(table.family, Family::Ip | Family::Ip6);
    let kind = match (table.name.as_str(), base.hook) {
        ("nat", _) if is_ip => ChainKind::Nat,
        ("mangle", Hook::Output) => ChainKind::Route,
        _ => ChainKind::Filter,
    };
    let priority = standard_priority(table, base.hook, &chain.name);
    // iptables-nft has the table security at 150, x_tables at 50.
    let is_late = table.name == "security" && base.priority == 150;
    base.kind == kind && priority.is_some_and(|priority| priority == base.priority || is_late)
}

/// Priority of a built-in chain; `None` if there is none of that name at that hook (`include/uapi/linux/netfilter_*.h`).
fn standard_priority(table: &Table, hook: Hook, chain: &str) -> Option<i32> {
    if table.family == Family::Bridge && (table.name.as_str(), chain, hook) == ("broute", "BROUTING", Hook::Prerouting)
    {
        return Some(i32::MIN);
    }
    if chain != hook.as_str().to_uppercase() {
        return None;
    }
    Some(match (table.family, table.name.as_str(), hook) {
        (Family::Arp, ..) => 0,
        (Family::Bridge, "filter", _) => -200,
        (Family::Bridge, _, Hook::Prerouting) => -300,
        (Family::Bridge, _, Hook::Output) => 100,
        (Family::Bridge, _, Hook::Postrouting) => 300,
        (Family::Bridge, ..) => return None,
        (_, name, hook) => crate::legacy::place(name, hook)?.0,
    })
}

/// The program that a rule belongs to.
pub fn tool(table: &Table) -> &'static str {
    match (table.backend, table.family) {
        (Backend::Legacy, Family::Ip6) => "ip6tables-legacy",
        (Backend::Legacy, _) => "iptables-legacy",
        (Backend::Nft, Family::Ip6) => "ip6tables-nft",
        (Backend::Nft, Family::Bridge) => "ebtables-nft",
        (Backend::Nft, Family::Arp) => "arptables-nft",
        (Backend::Nft, _) => "iptables-nft",
    }
}

/// A rule's parts, and whether they are all of it.
fn line(table: &Table, rule: &Rule) -> (Line, bool) {
    match table.backend {
        Backend::Nft => native::line(table.family, rule),
        Backend::Legacy => (legacy_line(rule), true),
    }
}

fn legacy_line(rule: &Rule) -> Line {
    let mut line = Line::default();
    for expression in &rule.expressions {
        match expression {
            Expression::Match(found) => line.matches.push(found.clone()),
            Expression::Verdict(verdict) => line.action = Some(Action::Verdict(verdict.clone())),
            Expression::Target(target) => line.action = Some(Action::Target(target.clone())),
            _ => {}
        }
    }
    line
}

impl Line {
    /// Whether its text stands for all of it: extensions and sets are known, and iptables reads what it prints (of HMARK it
    /// leaves out which tuple is hashed, and then finds no such rule).
    fn is_known(&self, set_name: SetName<'_>) -> bool {
        let target = match &self.action {
            Some(Action::Target(target)) => Some(target),
            Some(Action::Verdict(_)) | None => None,
        };
        let is_unknown = self.matches.iter().any(|found| matches!(found, Match::Unknown { .. }))
            || matches!(target, Some(Target::Unknown { .. } | Target::HashMark(_)));
        let sets = self.matches.iter().filter_map(Match::set).chain(target.into_iter().flat_map(Target::sets));
        !is_unknown && sets.into_iter().all(|set| set_name(set).is_some())
    }
}

/// What stands behind `-A CHAIN`, each part with a space in front.
fn options(table: &Table, rule: &Rule, line: &Line, set_name: SetName<'_>) -> String {
    // Both families have the same options in tables that are of neither.
    let family = if table.family == Family::Ip6 { Family::Ip6 } else { Family::Ip };
    let mut text = String::new();
    let mut has_comment = false;
    for part in line.matches.iter().map(|found| found.text_naming(family, set_name)).filter(|part| !part.is_empty()) {
        has_comment |= part.starts_with("-m comment ");
        let _ = write!(text, " {part}");
    }
    // nft's way to keep a comment, which iptables prints behind the matches.
    if let Some(comment) = rule.comment.as_ref().filter(|_| !has_comment)
        && let Ok(comment) = Match::decode("comment", 0, family, &comment_data(comment))
    {
        let _ = write!(text, " {}", comment.text(family));
    }
    match &line.action {
        Some(Action::Verdict(verdict)) => text.push_str(&verdict_text(verdict)),
        Some(Action::Target(target)) => {
            let _ = write!(text, " {}", target.text_naming(family, set_name));
        }
        None => {}
    }
    text
}

/// `struct xt_comment_info`, whose last byte is 0.
fn comment_data(comment: &str) -> Vec<u8> {
    let mut data: Vec<u8> = comment.bytes().take(255).collect();
    data.resize(256, 0);
    data
}

fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Accept => " -j ACCEPT".to_owned(),
        Verdict::Drop => " -j DROP".to_owned(),
        Verdict::Return => " -j RETURN".to_owned(),
        Verdict::Jump(chain) => format!(" -j {chain}"),
        Verdict::Goto(chain) => format!(" -g {chain}"),
        Verdict::Queue(_) => " -j QUEUE".to_owned(),
        Verdict::Continue | Verdict::Stolen => String::new(),
    }
}
