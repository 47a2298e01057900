//! IPv4's routing policy (`ip rule`), followed by ourselves where the kernel can't be asked
//! (`fib_rules_lookup`, `net/core/fib_rules.c`, Linux 6.18).
//!
//! Rule: the kernel answers questions only for addresses of its own as source. A packet that is forwarded has another one,
//! and where a policy looks at it, the rules are gone through here, and the tables that they name are read.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::RouteError;
use super::socket::{self, Request, split, word};
use super::table::{AF_INET, Route, RoutingTable};
use crate::ipset::Net;
use crate::netlink::Attributes;
use crate::world::{RouteQuestion, Unanswered};

/// `struct fib_rule_hdr`.
const HEADER: usize = 12;
/// `FIB_RULE_INVERT`.
const INVERT: u32 = 2;
/// `FRA_` attributes (`uapi/linux/fib_rules.h`).
const DST: u16 = 1;
const SRC: u16 = 2;
const IIFNAME: u16 = 3;
const GOTO: u16 = 4;
const PRIORITY: u16 = 6;
const FWMARK: u16 = 10;
const SUPPRESS_IFGROUP: u16 = 13;
const SUPPRESS_PREFIXLEN: u16 = 14;
const TABLE: u16 = 15;
const FWMASK: u16 = 16;
const OIFNAME: u16 = 17;
/// What rules may ask that no [`RouteQuestion`] has: tunnel id, VRF, user, protocol, ports, DSCP, flow label.
const OTHERS: [u16; 8] = [12, 19, 20, 22, 23, 24, 25, 26];

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Table(u32),
    Goto(u32),
    Nothing,
    /// `RTN_` value.
    Refuse(u8),
}

/// A rule of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy {
    priority: u32,
    action: Action,
    is_inverted: bool,
    source: Option<Net>,
    destination: Option<Net>,
    /// Value and mask.
    mark: (u32, u32),
    input: Option<String>,
    /// Looks at an output device, or at something that is not asked about here.
    is_strange: bool,
    /// Routes of a shorter or equal prefix don't count; below 0, all do.
    suppressed_prefix: i32,
}

/// The rules in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policies(Vec<Policy>);

impl Policies {
    pub(super) fn read() -> Result<Self, RouteError> {
        let mut header = [0; HEADER];
        header[0] = AF_INET;
        socket::dump(&Request::new(libc::RTM_GETRULE, &header), parse).map(Self::new)
    }

    /// In the order in which the kernel lists them.
    pub(super) const fn new(policies: Vec<Policy>) -> Self {
        Self(policies)
    }

    /// Whether the answer may hang on source or input device, which the kernel does not take from us.
    pub(super) fn looks_at(&self, question: &RouteQuestion) -> bool {
        // Asked without a source, it is 0.0.0.0.
        let none = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let has_source = |policy: &Policy| {
            let both = policy.source.zip(question.source);
            both.is_some_and(|(net, source)| net.contains(source) != net.contains(none))
        };
        self.0.iter().any(|policy| has_source(policy) || (question.input != 0 && policy.input.is_some()))
    }

    /// Follows the rules; `None` if they end without a route. `input` is the name of the input device, `lo` for none.
    pub(super) fn follow(
        &self,
        question: &RouteQuestion,
        input: &str,
        mut table: impl FnMut(u32) -> Result<Arc<RoutingTable>, Unanswered>,
    ) -> Result<Option<Route>, Unanswered> {
        let IpAddr::V4(destination) = question.destination else { return Ok(None) };
        let mut least = 0;
        for policy in &self.0 {
            // After a jump, up to the rule that it leads to; jumps only lead forward.
            if policy.priority < least || !policy.holds(question, destination, input)? {
                continue;
            }
            match policy.action {
                Action::Nothing => {}
                Action::Goto(priority) => least = priority,
                Action::Refuse(kind) => return Ok(Some(Route::refusal(destination, kind))),
                Action::Table(number) => {
                    if let Some(route) = table(number)?.find(destination).filter(|route| policy.counts(route)) {
                        return Ok(Some(route.clone()));
                    }
                }
            }
        }
        Ok(None)
    }
}

impl Policy {
    fn holds(&self, question: &RouteQuestion, destination: Ipv4Addr, input: &str) -> Result<bool, Unanswered> {
        let source = question.source.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let (mark, bits) = self.mark;
        let holds = self.source.is_none_or(|net| net.contains(source))
            && self.destination.is_none_or(|net| net.contains(IpAddr::V4(destination)))
            && (question.mark ^ mark) & bits == 0
            && self.input.as_deref().is_none_or(|name| name == input);
        if holds && self.is_strange {
            return Err(format!("whether the routing policy (ip rule) with priority {} holds", self.priority));
        }
        Ok(holds != self.is_inverted)
    }

    /// Not one that the rule suppresses, and no throw, which leads to the next rule.
    fn counts(&self, route: &Route) -> bool {
        const THROW: u8 = 9;
        route.kind != THROW && i32::from(route.net.prefix) > self.suppressed_prefix
    }
}

/// An `RTM_NEWRULE` of IPv4.
pub(super) fn parse(payload: &[u8]) -> Option<Policy> {
    let (header, attributes) = split::<HEADER>(payload)?;
    let [_, destination_length, source_length, service, table, _, _, action, a, b, c, d] = *header;
    let table = word(attributes, TABLE).unwrap_or_else(|| table.into());
    let action = match action {
        1 => Action::Table(table),
        2 => word(attributes, GOTO).map_or(Action::Nothing, Action::Goto),
        6..=8 => Action::Refuse(action),
        _ => Action::Nothing,
    };
    let mark = word(attributes, FWMARK);
    let bits = word(attributes, FWMASK).or(mark.map(|_| u32::MAX)).unwrap_or(0);
    let is_asked = |kind: u16| attributes.get(kind).is_some();
    let suppressed_group = word(attributes, SUPPRESS_IFGROUP).is_some_and(|group| group != u32::MAX);
    Some(Policy {
        priority: word(attributes, PRIORITY).unwrap_or(0),
        action,
        is_inverted: u32::from_ne_bytes([a, b, c, d]) & INVERT != 0,
        source: net(attributes, SRC, source_length)?,
        destination: net(attributes, DST, destination_length)?,
        mark: (mark.unwrap_or(0), bits),
        input: attributes.text(IIFNAME),
        is_strange: service != 0 || suppressed_group || is_asked(OIFNAME) || OTHERS.into_iter().any(is_asked),
        suppressed_prefix: word(attributes, SUPPRESS_PREFIXLEN).map_or(-1, u32::cast_signed),
    })
}

/// `None` for what makes no sense; `Some(None)` for all addresses.
#[expect(clippy::option_option, reason = "the parser's own `None` is another thing than a rule for all addresses")]
fn net(attributes: Attributes<'_>, kind: u16, prefix: u8) -> Option<Option<Net>> {
    let Some(bytes) = attributes.get(kind) else { return Some(None) };
    let address = Ipv4Addr::from(*bytes.first_chunk::<4>()?);
    (prefix <= 32).then(|| Some(Net::of(IpAddr::V4(address), prefix)))
}
