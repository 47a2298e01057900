//! A rule of the routing policy as ip-rule(8) shows it.

use std::fmt::Write as _;
use std::net::IpAddr;

use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};

use super::table;

/// The line of `ip rule show`.
pub(in super::super) fn rule(rule: &RuleMessage) -> String {
    let priority = number(rule, |attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    });
    let mut text = format!("{}: ", priority.unwrap_or(0));
    if rule.header.flags.contains(RuleFlags::Invert) {
        text.push_str("not ");
    }
    ends(&mut text, rule);
    marks(&mut text, rule);
    for attribute in &rule.attributes {
        let _infallible = match attribute {
            RuleAttribute::Iifname(name) => write!(text, " iif {name}"),
            RuleAttribute::Oifname(name) => write!(text, " oif {name}"),
            RuleAttribute::L3MDev(true) => write!(text, " lookup [l3mdev-table]"),
            RuleAttribute::SuppressPrefixLen(length) if *length != u32::MAX => {
                write!(text, " suppress_prefixlength {length}")
            }
            _ => Ok(()),
        };
    }
    action(&mut text, rule);
    text
}

fn number(rule: &RuleMessage, pick: impl Fn(&RuleAttribute) -> Option<u32>) -> Option<u32> {
    rule.attributes.iter().find_map(pick)
}

fn ends(text: &mut String, rule: &RuleMessage) {
    let (mut from, mut to) = ("all".to_owned(), String::new());
    for attribute in &rule.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = net(*address, rule.header.src_len),
            RuleAttribute::Destination(address) => to = format!(" to {}", net(*address, rule.header.dst_len)),
            _ => {}
        }
    }
    let _infallible = write!(text, "from {from}{to}");
}

fn marks(text: &mut String, rule: &RuleMessage) {
    let mark = number(rule, |attribute| match attribute {
        RuleAttribute::FwMark(mark) => Some(*mark),
        _ => None,
    });
    let bits = number(rule, |attribute| match attribute {
        RuleAttribute::FwMask(bits) => Some(*bits),
        _ => None,
    });
    let _infallible = match (mark, bits) {
        (Some(mark), None | Some(u32::MAX)) => write!(text, " fwmark {mark:#x}"),
        (mark, Some(bits)) if bits != 0 => write!(text, " fwmark {:#x}/{bits:#x}", mark.unwrap_or(0)),
        _ => Ok(()),
    };
}

fn action(text: &mut String, rule: &RuleMessage) {
    let lookup = number(rule, |attribute| match attribute {
        RuleAttribute::Table(number) => Some(*number),
        _ => None,
    });
    let goto = number(rule, |attribute| match attribute {
        RuleAttribute::Goto(priority) => Some(*priority),
        _ => None,
    });
    let _infallible = match (rule.header.action, goto) {
        (RuleAction::ToTable, _) => match lookup.unwrap_or_else(|| rule.header.table.into()) {
            0 => Ok(()),
            number => write!(text, " lookup {}", table(number)),
        },
        (RuleAction::Goto, Some(priority)) => write!(text, " goto {priority}"),
        (RuleAction::Blackhole, _) => write!(text, " blackhole"),
        (RuleAction::Unreachable, _) => write!(text, " unreachable"),
        (RuleAction::Prohibit, _) => write!(text, " prohibit"),
        (RuleAction::Nop, _) => write!(text, " nop"),
        _ => Ok(()),
    };
}

fn net(address: IpAddr, length: u8) -> String {
    let whole = if address.is_ipv4() { 32 } else { 128 };
    if length == whole { address.to_string() } else { format!("{address}/{length}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_written_as_ip_rule_does() {
        let mut message = RuleMessage::default();
        message.header.action = RuleAction::ToTable;
        message.header.src_len = 24;
        message.attributes = vec![
            RuleAttribute::Priority(100),
            RuleAttribute::Source("10.1.2.0".parse().unwrap()),
            RuleAttribute::FwMark(1),
            RuleAttribute::FwMask(0xff),
            RuleAttribute::Iifname("lo".into()),
            RuleAttribute::Table(100),
        ];
        assert_eq!(rule(&message), "100: from 10.1.2.0/24 fwmark 0x1/0xff iif lo lookup 100");
        message.header.flags = RuleFlags::Invert;
        message.attributes = vec![RuleAttribute::Table(254)];
        assert_eq!(rule(&message), "0: not from all lookup main");
    }
}
