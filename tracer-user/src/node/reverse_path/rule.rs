//! The same check made by a rule of netfilter: `rpfilter` of iptables, `fib saddr` of nftables.
//!
//! Rule: a rule's own words say how it looks; the way back is asked for as it does, in the calling thread's namespace.

use std::net::IpAddr;

use tracer_netfilter::Packet;
use tracer_netfilter::packet::{Known, Mark};

use super::back::{Asked, Back, back};

/// What such a rule compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCheck {
    pub source: IpAddr,
    /// Name of the device that the way back is to leave by; `None` if any will do.
    pub input: Option<String>,
    pub back: Back,
}

/// The check of a rule, if it makes one.
pub fn of_rule(text: &str, packet: &Packet) -> Option<RuleCheck> {
    let look = Look::of(text)?;
    let source = packet.source?;
    let Known::Is(input) = &packet.input else { return None };
    let (Mark::Before(mark) | Mark::After(mark)) = packet.mark;
    let mark = if look.is_marked { mark } else { 0 };
    let asked = Asked { source, destination: packet.destination, mark, input: input.index, forwarded: None };
    let input = look.is_strict.then(|| input.name.clone()).filter(|name| !name.is_empty());
    Some(RuleCheck { source, input, back: back(&asked) })
}

/// How a rule looks for the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    is_strict: bool,
    is_marked: bool,
}

impl Look {
    fn of(text: &str) -> Option<Self> {
        if let Some((_, options)) = text.split_once("-m rpfilter") {
            let has = |option| options.split_whitespace().any(|word| word == option);
            return Some(Self { is_strict: !has("--loose"), is_marked: has("--validmark") });
        }
        // `fib saddr . mark . iif oif missing`
        let (keys, wanted) = text.split_once("fib saddr")?.1.split_once(" oif ")?;
        if !wanted.starts_with("missing") && !wanted.starts_with("0 ") {
            return None;
        }
        let keys: Vec<&str> = keys.split(" . ").map(str::trim).collect();
        let is_check = keys.iter().all(|key| matches!(*key, "" | "iif" | "mark"));
        is_check.then(|| Self { is_strict: keys.contains(&"iif"), is_marked: keys.contains(&"mark") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_says_how_it_looks() {
        let strict = Look { is_strict: true, is_marked: false };
        let marked = Look { is_strict: false, is_marked: true };
        assert_eq!(Look::of("-A PREROUTING -p udp -m rpfilter --invert -j DROP"), Some(strict));
        assert_eq!(Look::of("-A PREROUTING -m rpfilter --loose --validmark --invert -j DROP"), Some(marked));
        assert_eq!(Look::of("fib saddr . iif oif missing drop"), Some(strict));
        assert_eq!(Look::of("fib saddr . mark oif missing drop"), Some(marked));
        assert_eq!(Look::of("fib saddr . mark . iif oif 0 drop"), Some(Look { is_strict: true, is_marked: true }));
        for other in [
            "fib saddr type local drop",
            "fib saddr type local oif eth0 drop",
            "fib saddr . iif oif eth0 drop",
            "fib daddr . iif type != local drop",
            "-A INPUT -j DROP",
            "",
        ] {
            assert_eq!(Look::of(other), None, "{other}");
        }
    }
}
