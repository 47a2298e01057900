//! Which rule of the routing policy led to a table (`fib_rule_match`, `net/core/fib_rules.c`).
//!
//! Rule: conditions that a lookup of a way back does not know (user, ports, tunnel) are taken to hold, because the kernel
//! already said which table it was.

use crate::host::error::NetlinkError;
use crate::node::route::{Action, Flow, Rule, rules};

/// Priorities of the rules that every namespace begins with: local, main, default.
const ALWAYS: [u32; 3] = [0, 32_766, 32_767];

/// The rules in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Policy(Vec<Rule>);

impl Policy {
    pub(super) fn read(is_ipv6: bool) -> Result<Self, NetlinkError> {
        rules(is_ipv6).map(Self)
    }

    pub(super) fn looks_at_mark(&self) -> bool {
        self.0.iter().any(|rule| rule.mark.is_some())
    }

    /// A rule looks at where the packet comes from.
    pub(super) fn looks_at_source(&self) -> bool {
        self.0.iter().any(|rule| rule.from.is_some() || rule.input.is_some())
    }

    /// The text of the first rule that leads such a packet to this table; `None` for those that are always there.
    pub(super) fn leading_to(&self, table: u32, flow: &Flow) -> Option<String> {
        let rule = self.0.iter().find(|rule| rule.action == Action::Table(table) && rule.holds(flow) != Some(false))?;
        let is_plain = ALWAYS.contains(&rule.priority) && !self.0.iter().any(|rule| rule.l3mdev);
        (!is_plain).then(|| rule.line())
    }

    /// The text of the first rule that refuses such a packet.
    pub(super) fn refusing(&self, flow: &Flow) -> Option<String> {
        let refuses = |rule: &&Rule| matches!(rule.action, Action::Refuse(_)) && rule.holds(flow) != Some(false);
        self.0.iter().find(refuses).map(Rule::line)
    }
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

    use super::super::back::flow;
    use super::*;

    fn rule(priority: u32, number: u32, change: impl FnOnce(&mut RuleMessage)) -> Rule {
        let mut rule = RuleMessage::default();
        rule.header.family = AddressFamily::Inet;
        rule.header.action = RuleAction::ToTable;
        rule.attributes.extend([RuleAttribute::Priority(priority), RuleAttribute::Table(number)]);
        change(&mut rule);
        Rule::new(&rule).unwrap()
    }

    fn of(mark: u32) -> Flow {
        flow("10.0.0.9".parse().ok(), "10.99.2.77".parse().unwrap(), mark, "lo".to_owned())
    }

    #[test]
    fn the_first_rule_that_holds_and_leads_there_is_named() {
        let to = rule(100, 7, |rule| {
            rule.header.dst_len = 24;
            rule.attributes.push(RuleAttribute::Destination("10.99.2.0".parse().unwrap()));
        });
        let marked = rule(90, 7, |rule| rule.attributes.extend([RuleAttribute::FwMark(1)]));
        let policy = Policy(vec![rule(0, 255, |_| ()), marked, to, rule(32_766, 254, |_| ())]);
        assert_eq!(policy.leading_to(7, &of(0)).as_deref(), Some("100: from all to 10.99.2.0/24 lookup 7"));
        assert_eq!(policy.leading_to(7, &of(1)).as_deref(), Some("90: from all fwmark 0x1 lookup 7"));
        assert_eq!(policy.leading_to(254, &of(0)), None, "always there");
        assert_eq!(policy.leading_to(9, &of(0)), None, "no such rule");
        assert!(policy.looks_at_mark() && !policy.looks_at_source());
    }

    #[test]
    fn what_is_not_known_is_taken_to_hold() {
        let leads = |attribute: RuleAttribute, flags: RuleFlags| {
            let rule = rule(1, 7, |rule| {
                rule.header.flags = flags;
                rule.attributes.push(attribute);
            });
            Policy(vec![rule]).leading_to(7, &of(0)).is_some()
        };
        let plain = RuleFlags::empty();
        assert!(leads(RuleAttribute::IpProtocol(6.into()), plain), "its protocol is not known");
        assert!(leads(RuleAttribute::Iifname("lo".into()), plain) && !leads(RuleAttribute::Iifname("x".into()), plain));
        assert!(!leads(RuleAttribute::Oifname("x".into()), plain) && !leads(RuleAttribute::FwMark(1), plain));
        assert!(!leads(RuleAttribute::Iifname("lo".into()), RuleFlags::Invert));
    }

    #[test]
    fn the_rules_of_this_namespace_are_read() {
        let policy = Policy::read(false).unwrap();
        assert!(policy.0.iter().any(|rule| rule.action == Action::Table(254)), "{policy:?}");
    }
}
