//! Drops by netfilter, as far as the kernel event alone tells: which part and which hook, not which rule.
//!
//! Rule: no rule is blamed that was not seen. What a hook returned "drop" for is left open, because a full connection
//! table and an exhausted address translation look like a rule of iptables-legacy.

use super::hook::Netfilter;
use super::observation::Observation;
use crate::event::{Cause, Confidence, Hook};

/// What is said about a netfilter drop; remedies are templates of [`super::fill`].
pub(super) struct Verdict {
    pub(super) summary: String,
    pub(super) cause: Cause,
    pub(super) confidence: Confidence,
    pub(super) remedy: Vec<String>,
    pub(super) unknown: Option<String>,
}

/// The verdict on a drop that `part` of netfilter made at `hook`.
pub(super) fn verdict(part: Netfilter, hook: Hook, drop: &Observation<'_>) -> Verdict {
    let at = if hook == Hook::Other { String::new() } else { format!(" at {hook}") };
    match part {
        Netfilter::Queue => queue(&at, drop),
        Netfilter::Nftables => Verdict {
            summary: format!("netfilter (nf_tables) dropped it{at}"),
            cause: Cause::Unknown,
            confidence: Confidence::Unknown,
            remedy: listings("nft", hook, drop),
            unknown: Some(
                "which rule or chain policy it was: compare the counters of the listings while it happens".to_owned(),
            ),
        },
        Netfilter::Hook => Verdict {
            summary: format!("netfilter dropped it{at}: {}", suspects(hook, drop)),
            cause: Cause::Unknown,
            confidence: Confidence::Unknown,
            remedy: hook_remedy(hook, drop),
            unknown: Some(
                "which of these it was: the kernel frees the packet in the same place for all of them".to_owned(),
            ),
        },
    }
}

fn queue(at: &str, drop: &Observation<'_>) -> Verdict {
    let refused = drop.symbol().starts_with("nfqnl_") || drop.symbol() == "nf_reinject";
    let what = if refused {
        "the program behind an NFQUEUE rule refused it"
    } else {
        "a rule hands it to a program (NFQUEUE), and no program takes it or its queue is full"
    };
    Verdict {
        summary: format!("{what}{at}"),
        cause: Cause::NetfilterRule,
        confidence: Confidence::Derived,
        remedy: vec![
            "{ns}cat /proc/net/netfilter/nfnetlink_queue".to_owned(),
            "{ns}{iptables}-save -c".to_owned(),
            "{ns}nft -a list ruleset".to_owned(),
            "start the program that reads the queue, or add bypass (--queue-bypass) to the rule".to_owned(),
        ],
        unknown: None,
    }
}

/// What returns "drop" to the hook, in the order of likelihood.
fn suspects(hook: Hook, drop: &Observation<'_>) -> &'static str {
    // Before 5.17 a drop by nf_tables is freed here as well.
    let any_rule = drop.reason.is_none();
    match (hook, any_rule) {
        (Hook::Prerouting, false) => "a rule of iptables-legacy, a full connection table, or TPROXY without a listener",
        (Hook::Prerouting, true) => "a firewall rule, a full connection table, or TPROXY without a listener",
        (Hook::Output, false) => "a rule of iptables-legacy, or a full connection table",
        (Hook::Output, true) => "a firewall rule, or a full connection table",
        (Hook::Input | Hook::Postrouting, false) => {
            "a rule of iptables-legacy, or address translation without a free port"
        }
        (Hook::Input | Hook::Postrouting, true) => "a firewall rule, or address translation without a free port",
        (_, false) => "a rule of iptables-legacy or another netfilter module",
        (_, true) => "a firewall rule or another netfilter module",
    }
}

fn hook_remedy(hook: Hook, drop: &Observation<'_>) -> Vec<String> {
    let mut remedy = Vec::new();
    if matches!(hook, Hook::Prerouting | Hook::Output | Hook::Input | Hook::Postrouting) {
        remedy.push("{ns}conntrack -S".to_owned());
    }
    if matches!(hook, Hook::Prerouting | Hook::Output) {
        remedy.push("{ns}sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max".to_owned());
    }
    remedy.extend(listings("legacy", hook, drop));
    if drop.reason.is_none() {
        remedy.extend(listings("nft", hook, drop));
    }
    remedy
}

/// Commands that list what may have dropped at this hook.
fn listings(backend: &str, hook: Hook, drop: &Observation<'_>) -> Vec<String> {
    let mut commands = Vec::new();
    if backend == "nft" || tables(hook).is_empty() {
        commands.push("{ns}nft -a list ruleset".to_owned());
    }
    if drop.is_arp() {
        commands.push(format!("{{ns}}arptables-{backend} -vnL"));
        return commands;
    }
    if drop.frames().any(|frame| frame.starts_with("br_") || frame == "__br_forward") {
        commands.push("{ns}ebtables -L --Lc".to_owned());
    }
    let chain = hook.as_str().to_uppercase();
    for table in tables(hook) {
        commands.push(format!("{{ns}}{{iptables}}-{backend} -t {table} -vnL {chain} --line-numbers"));
    }
    commands
}

/// The tables of iptables with a chain at this hook, the usual one first.
const fn tables(hook: Hook) -> &'static [&'static str] {
    match hook {
        Hook::Prerouting => &["raw", "mangle"],
        Hook::Input | Hook::Forward => &["filter", "mangle"],
        Hook::Output => &["filter", "raw"],
        Hook::Postrouting => &["mangle", "nat"],
        _ => &[],
    }
}
