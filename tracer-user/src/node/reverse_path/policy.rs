//! Which rule of the routing policy led to a table (`fib_rule_match`, `net/core/fib_rules.c`).
//!
//! Rule: conditions that a lookup of a way back does not know (user, ports, tunnel) are taken to hold, because the kernel
//! already said which table it was.

use std::net::IpAddr;

use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::text;
use crate::host::error::NetlinkError;
use crate::host::rtnetlink;

/// Priorities of the rules that every namespace begins with: local, main, default.
const ALWAYS: [u32; 3] = [0, 32_766, 32_767];

/// The rules in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy(Vec<RuleMessage>);

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow<'a> {
    pub(super) source: Option<IpAddr>,
    pub(super) destination: IpAddr,
    pub(super) mark: u32,
    /// The device that the packet would have come in by.
    pub(super) input: &'a str,
}

impl Policy {
    pub(super) fn read(is_ipv6: bool) -> Result<Self, NetlinkError> {
        let mut request = RuleMessage::default();
        request.header.family = if is_ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        let rules = rtnetlink::dump(&RouteNetlinkMessage::GetRule(request))?;
        let rule = |message| if let RouteNetlinkMessage::NewRule(rule) = message { Some(rule) } else { None };
        Ok(Self(rules.into_iter().filter_map(rule).collect()))
    }

    pub(super) fn looks_at_mark(&self) -> bool {
        self.any(|attribute| matches!(attribute, RuleAttribute::FwMark(_)))
    }

    /// A rule looks at where the packet comes from.
    pub(super) fn looks_at_source(&self) -> bool {
        self.any(|attribute| matches!(attribute, RuleAttribute::Source(_) | RuleAttribute::Iifname(_)))
    }

    fn any(&self, is: impl Fn(&RuleAttribute) -> bool) -> bool {
        self.0.iter().flat_map(|rule| &rule.attributes).any(is)
    }

    /// The text of the first rule that leads such a packet to this table; `None` for those that are always there.
    pub(super) fn leading_to(&self, table: u32, flow: &Flow<'_>) -> Option<String> {
        let leads = |rule: &&RuleMessage| {
            rule.header.action == RuleAction::ToTable && self::table(rule) == table && holds(rule, flow)
        };
        let rule = self.0.iter().find(leads)?;
        let plain = ALWAYS.contains(&priority(rule)) && !self.any(|a| matches!(a, RuleAttribute::L3MDev(true)));
        (!plain).then(|| text::rule(rule))
    }

    /// The text of the first rule that refuses such a packet.
    pub(super) fn refusing(&self, flow: &Flow<'_>) -> Option<String> {
        let refuses = |rule: &&RuleMessage| {
            matches!(rule.header.action, RuleAction::Blackhole | RuleAction::Unreachable | RuleAction::Prohibit)
                && holds(rule, flow)
        };
        self.0.iter().find(refuses).map(text::rule)
    }
}

fn priority(rule: &RuleMessage) -> u32 {
    let told = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    told.unwrap_or(0)
}

fn table(rule: &RuleMessage) -> u32 {
    let told = rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Table(number) => Some(*number),
        _ => None,
    });
    told.unwrap_or_else(|| rule.header.table.into())
}

fn holds(rule: &RuleMessage, flow: &Flow<'_>) -> bool {
    let (mut mark, mut bits, mut all) = (0, None, true);
    for attribute in &rule.attributes {
        all &= match attribute {
            RuleAttribute::Source(net) => flow.source.is_none_or(|source| contains(*net, rule.header.src_len, source)),
            RuleAttribute::Destination(net) => contains(*net, rule.header.dst_len, flow.destination),
            RuleAttribute::Iifname(name) => name == flow.input,
            // The lookup has no output device.
            RuleAttribute::Oifname(_) => false,
            RuleAttribute::FwMark(value) => {
                mark = *value;
                bits = bits.or(Some(u32::MAX));
                true
            }
            RuleAttribute::FwMask(told) => {
                bits = Some(*told);
                true
            }
            _ => true,
        };
    }
    let marked = (flow.mark ^ mark) & bits.unwrap_or(0) == 0;
    (all && marked) != rule.header.flags.contains(RuleFlags::Invert)
}

fn contains(net: IpAddr, length: u8, address: IpAddr) -> bool {
    let shared = |difference: u128, bits: u8| {
        let ignored = u32::from(bits.saturating_sub(length));
        difference.checked_shr(ignored).unwrap_or(0) == 0
    };
    match (net, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => shared((net.to_bits() ^ address.to_bits()).into(), 32),
        (IpAddr::V6(net), IpAddr::V6(address)) => shared(net.to_bits() ^ address.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(priority: u32, number: u32, attributes: Vec<RuleAttribute>) -> RuleMessage {
        let mut rule = RuleMessage::default();
        rule.header.action = RuleAction::ToTable;
        rule.attributes = attributes;
        rule.attributes.extend([RuleAttribute::Priority(priority), RuleAttribute::Table(number)]);
        rule
    }

    fn flow(mark: u32) -> Flow<'static> {
        Flow { source: "10.0.0.9".parse().ok(), destination: "10.99.2.77".parse().unwrap(), mark, input: "lo" }
    }

    #[test]
    fn the_first_rule_that_holds_and_leads_there_is_named() {
        let mut to = rule(100, 7, vec![RuleAttribute::Destination("10.99.2.0".parse().unwrap())]);
        to.header.dst_len = 24;
        let marked = rule(90, 7, vec![RuleAttribute::FwMark(1), RuleAttribute::FwMask(u32::MAX)]);
        let policy = Policy(vec![rule(0, 255, vec![]), marked, to, rule(32_766, 254, vec![])]);
        assert_eq!(policy.leading_to(7, &flow(0)).as_deref(), Some("100: from all to 10.99.2.0/24 lookup 7"));
        assert_eq!(policy.leading_to(7, &flow(1)).as_deref(), Some("90: from all fwmark 0x1 lookup 7"));
        assert_eq!(policy.leading_to(254, &flow(0)), None, "always there");
        assert_eq!(policy.leading_to(9, &flow(0)), None, "no such rule");
        assert!(policy.looks_at_mark() && !policy.looks_at_source());
    }

    #[test]
    fn conditions_are_heeded() {
        let of = |attribute| holds(&rule(1, 7, vec![attribute]), &flow(0));
        assert!(of(RuleAttribute::Iifname("lo".into())) && !of(RuleAttribute::Iifname("eth0".into())));
        assert!(!of(RuleAttribute::Oifname("eth0".into())) && !of(RuleAttribute::FwMark(1)));
        let mut inverted = rule(1, 7, vec![RuleAttribute::Iifname("lo".into())]);
        inverted.header.flags = RuleFlags::Invert;
        assert!(!holds(&inverted, &flow(0)));
        let mut foreign = rule(1, 7, vec![RuleAttribute::Source("fd99::".parse().unwrap())]);
        foreign.header.src_len = 200;
        assert!(!holds(&foreign, &flow(0)));
    }

    #[test]
    fn the_rules_of_this_namespace_are_read() {
        let policy = Policy::read(false).unwrap();
        assert!(policy.0.iter().any(|rule| table(rule) == 254), "{policy:?}");
    }
}
