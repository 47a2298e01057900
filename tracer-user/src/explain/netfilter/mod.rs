//! Drops by netfilter: which part and which hook by the kernel event, which rule by the ruleset.
//!
//! Rule: no rule is blamed that was not read and does not drop such a packet. What a hook returned "drop" for is left
//! open otherwise, because a full connection table and an exhausted address translation look like a rule of
//! iptables-legacy.

mod conntrack;
mod rule;

use tracer_netfilter::model::Backend;
use tracer_netfilter::walk::Layer;

use super::fill;
use super::hook::{self, Netfilter, netfilter_hook};
use super::observation::Observation;
use crate::event::{Cause, Confidence, Explanation, Hook};

/// Where to look for the rule that dropped a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firewall {
    pub hook: Hook,
    pub layer: Layer,
    /// Which kind of rules it was, where the kernel shows it.
    pub backend: Option<Backend>,
}

/// Whether a rule may have dropped it, and where that rule stands.
pub fn firewall(drop: &Observation<'_>) -> Option<Firewall> {
    let part = hook::netfilter(drop.symbol(), drop.reason)?;
    let hook = hook::hook(drop.stack, drop.symbol(), drop.reason);
    let layer = match (Rules::of(drop), hook) {
        (_, Hook::Ingress | Hook::Egress) => Layer::Device,
        (Rules::Ip, _) => Layer::Ip,
        (Rules::Bridge, _) => Layer::Bridge,
        (Rules::Arp, _) => Layer::Arp,
    };
    let backend = match part {
        Netfilter::Nftables => Some(Backend::Nft),
        // Before 5.17 a drop by nf_tables is freed there as well.
        Netfilter::Hook if drop.reason.is_some() => Some(Backend::Legacy),
        Netfilter::Hook | Netfilter::Queue => None,
    };
    Some(Firewall { hook, layer, backend })
}

/// What is said about a drop by `part` of netfilter at `hook`.
pub(super) fn explanation(part: Netfilter, hook: Hook, drop: &Observation<'_>) -> Explanation {
    let ruled = drop.ruling.and_then(|ruling| {
        let by_conntrack = || conntrack::explanation(part, hook, ruling, drop);
        let by_rule = || {
            let mut explanation = rule::explanation(ruling, drop)?;
            conntrack::refine(&mut explanation, ruling, drop);
            Some(explanation)
        };
        // Rules whose counters stood still did not do it, if something else can have.
        if ruling.is_without_rule() { by_conntrack().or_else(by_rule) } else { by_rule() }
    });
    let mut explanation = ruled.unwrap_or_else(|| without_rule(part, hook, drop));
    if explanation.remedy.is_empty() {
        explanation.remedy = filled(&hook_remedy(hook, drop), drop);
    }
    explanation
}

/// What the event alone tells, and that no rule could be named.
fn without_rule(part: Netfilter, hook: Hook, drop: &Observation<'_>) -> Explanation {
    let verdict = verdict(part, hook, drop);
    let mut explanation = Explanation::new(verdict.cause, verdict.confidence, verdict.summary);
    explanation.remedy = filled(&verdict.remedy, drop);
    explanation.unknown = verdict.unknown;
    let Some(ruling) = drop.ruling else { return explanation };
    if ruling.rules > 0 {
        explanation.evidence.push(format!("none of the {} rules that were read drops such a packet", ruling.rules));
    }
    // A number of a namespace is soon another one's.
    let is_gone = part == Netfilter::Nftables && ruling.rules == 0 && ruling.unknown.is_empty();
    let gone = is_gone.then(|| "the rules: when they were read they, or the namespace itself, were gone".to_owned());
    let open = explanation.unknown.into_iter().chain(ruling.unknown.iter().cloned()).chain(gone).collect::<Vec<_>>();
    explanation.unknown = (!open.is_empty()).then(|| open.join("; "));
    explanation
}

fn filled(templates: &[String], drop: &Observation<'_>) -> Vec<String> {
    templates.iter().filter_map(|template| fill::remedy(template, drop)).collect()
}

/// What is said where no rule is known; remedies are templates of [`fill`].
struct Verdict {
    summary: String,
    cause: Cause,
    confidence: Confidence,
    remedy: Vec<String>,
    unknown: Option<String>,
}

/// The verdict on a drop that `part` of netfilter made at `hook`.
fn verdict(part: Netfilter, hook: Hook, drop: &Observation<'_>) -> Verdict {
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

/// Which rules can stand at a hook: those of another family for ARP, and for frames that only pass a bridge.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rules {
    Ip,
    Bridge,
    Arp,
}

impl Rules {
    fn of(drop: &Observation<'_>) -> Self {
        if drop.is_arp() {
            return Self::Arp;
        }
        // br_netfilter (`br_nf_`) shows bridged IP packets to the rules of IP.
        match netfilter_hook(drop.stack.iter().copied()) {
            Some((_, "__br_forward")) => Self::Bridge,
            Some((_, frame)) if frame.starts_with("br_") && !frame.starts_with("br_nf_") => Self::Bridge,
            _ => Self::Ip,
        }
    }
}

/// What returns "drop" to the hook, in the order of likelihood.
fn suspects(hook: Hook, drop: &Observation<'_>) -> String {
    // Before 5.17 a drop by nf_tables is freed here as well.
    let backend = if drop.reason.is_none() { "" } else { "-legacy" };
    let rule = match (Rules::of(drop), backend) {
        (Rules::Arp, _) => return format!("a rule of arptables{backend} or another netfilter module"),
        (Rules::Bridge, _) => return format!("a rule of ebtables{backend} or another netfilter module"),
        (Rules::Ip, "") => "a firewall rule".to_owned(),
        (Rules::Ip, backend) => format!("a rule of iptables{backend}"),
    };
    match hook {
        Hook::Prerouting => format!("{rule}, a full connection table, or TPROXY without a listener"),
        Hook::Output => format!("{rule}, or a full connection table"),
        Hook::Input | Hook::Postrouting => format!("{rule}, or address translation without a free port"),
        Hook::Ingress | Hook::Egress => "a netfilter module at the device".to_owned(),
        _ => format!("{rule} or another netfilter module"),
    }
}

fn hook_remedy(hook: Hook, drop: &Observation<'_>) -> Vec<String> {
    let mut remedy = Vec::new();
    let ip = Rules::of(drop) == Rules::Ip;
    if ip && matches!(hook, Hook::Prerouting | Hook::Output | Hook::Input | Hook::Postrouting) {
        remedy.push("{ns}conntrack -S".to_owned());
    }
    if ip && matches!(hook, Hook::Prerouting | Hook::Output) {
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
    match Rules::of(drop) {
        Rules::Arp => commands.push(format!("{{ns}}arptables-{backend} -vnL")),
        Rules::Bridge => commands.push(format!("{{ns}}ebtables-{backend} -L --Lc")),
        Rules::Ip => {
            let chain = hook.as_str().to_uppercase();
            for table in tables(hook) {
                commands.push(format!("{{ns}}{{iptables}}-{backend} -t {table} -vnL {chain} --line-numbers"));
            }
        }
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

#[cfg(test)]
mod tests {
    use super::super::scenarios::seen;

    #[test]
    fn arp_and_bridges_have_their_own_rules() {
        let arp = seen(Some("NETFILTER_DROP"), "nf_hook_slow", "arp_rcv", "arp").explanation;
        assert!(arp.summary.contains("arptables-legacy") && !arp.remedy.iter().any(|try_| try_.contains("conntrack")));
        let bridge = seen(Some("NETFILTER_DROP"), "nft_do_chain", "__br_forward br_handle_frame_finish", "udp");
        assert_eq!(bridge.explanation.remedy, ["nft -a list ruleset", "ebtables-nft -L --Lc"]);
        let bridged_ip = seen(Some("NETFILTER_DROP"), "nft_do_chain", "br_nf_forward_ip __br_forward", "udp");
        assert!(
            bridged_ip.explanation.remedy.contains(&"iptables-nft -t filter -vnL FORWARD --line-numbers".to_owned())
        );
    }

    #[test]
    fn every_backend_is_suspected_where_places_do_not_tell() {
        let old = seen(None, "nf_hook_slow", "ip_local_deliver ip_rcv", "tcp6").explanation;
        assert!(old.summary.contains("a firewall rule") && !old.summary.contains("legacy"), "{}", old.summary);
        assert!(old.remedy.iter().any(|try_| try_.starts_with("ip6tables-legacy")));
        assert!(old.remedy.iter().any(|try_| try_.starts_with("ip6tables-nft")));
    }

    #[test]
    fn a_queue_program_that_says_no_is_told_from_one_that_is_missing() {
        let refused = seen(Some("NETFILTER_DROP"), "nfqnl_recv_verdict", "nfnetlink_rcv_msg", "tcp").explanation;
        let missing = seen(Some("NOT_SPECIFIED"), "nf_queue", "nf_hook_slow ip_rcv", "tcp").explanation;
        assert!(refused.summary.contains("refused") && missing.summary.contains("no program takes it"));
    }
}
