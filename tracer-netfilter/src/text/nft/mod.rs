//! Rules of nf_tables as `nft list ruleset` prints them (nft 1.0).
//!
//! ```text
//!  load: registers --> term --+--> matching, set --> rebuild: statements, less what implied finds needless --> text
//!                             +--> effect, nat, stateful ------------^
//! ```
//!
//! Rule: bytecode that can't be put together again is printed as what it is (`@nh,96,32 0x1020304`), never as something
//! likely.

mod chain;
mod clock;
mod command;
mod effect;
mod exthdr;
mod header;
mod implied;
mod kind;
mod load;
mod matching;
mod nat;
mod protocol;
mod rebuild;
mod set;
mod stateful;
mod symbol;
mod term;
#[cfg(test)]
mod tests;
mod value;

use std::sync::Arc;

pub use chain::chain_header;
pub use command::{delete_command, sh_word};

use crate::model::{Chain, Counter, Elements, Expression, Family, PayloadBase, Rule, Table};
use protocol::Bits;
use rebuild::Rebuild;

/// How the elements of a set are found, by its name.
pub type Sets<'a> = rebuild::Sets<'a>;

/// A rule's text with its counter's numbers, as `nft list ruleset` has it.
pub fn rule(table: &Table, _chain: &Chain, rule: &Rule, sets: Sets<'_>) -> String {
    write(table, rule, sets, true)
}

/// A rule's text without what changes from packet to packet, as `nft --stateless list ruleset` has it.
pub fn stateless_rule(table: &Table, _chain: &Chain, rule: &Rule, sets: Sets<'_>) -> String {
    write(table, rule, sets, false)
}

fn write(table: &Table, rule: &Rule, sets: &dyn Fn(&str) -> Option<Arc<Elements>>, has_numbers: bool) -> String {
    let mut rebuild = Rebuild::new(table, sets, has_numbers);
    for expression in rule.expressions.iter().filter(|expression| !is_said(expression, rule.comment.as_deref())) {
        rebuild.feed(expression);
    }
    let text = rebuild.text();
    match &rule.comment {
        Some(comment) if text.is_empty() => format!("comment \"{comment}\""),
        Some(comment) => format!("{text} comment \"{comment}\""),
        None => text,
    }
}

/// A comment of iptables that stands at the rule's end anyway.
fn is_said(expression: &Expression, comment: Option<&str>) -> bool {
    let (Expression::Match(xt), Some(comment)) = (expression, comment) else { return false };
    let text = xt.text(Family::Ip);
    text.strip_prefix("-m comment --comment ").is_some_and(|text| text.trim_matches('"') == comment)
}

/// A name of a table, chain or set: in quotes if nft would not read it as one word.
fn name(name: &str) -> String {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '.';
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/-_.".contains(c);
    let mut letters = name.chars();
    if letters.next().is_some_and(is_start) && letters.all(is_part) { name.to_owned() } else { format!("\"{name}\"") }
}

fn counter(counter: &Counter, has_numbers: bool) -> String {
    if has_numbers {
        format!("counter packets {} bytes {}", counter.packets, counter.bytes)
    } else {
        "counter".to_owned()
    }
}

/// Bytes that have no name: `@nh,96,32`, in bits.
fn raw(at: Bits) -> String {
    let base = match at.base {
        PayloadBase::Link => "ll",
        PayloadBase::Network => "nh",
        PayloadBase::Transport => "th",
        PayloadBase::Inner => "ih",
        PayloadBase::Tunnel => "tunnel",
    };
    format!("@{base},{},{}", at.offset, at.length)
}

/// An extension of x_tables, which has no form of its own in nft: its name, and its text as iptables has it.
fn xt(what: &str, text: &str) -> String {
    let name = text.split_whitespace().nth(1).unwrap_or("unknown");
    format!("xt {what} \"{name}\" /* {text} */")
}

/// The family whose extension it is: a table of both has those of IPv4.
const fn xt_family(family: Family) -> Family {
    match family {
        Family::Ip6 => Family::Ip6,
        _ => Family::Ip,
    }
}
