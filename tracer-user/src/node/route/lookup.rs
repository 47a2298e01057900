//! The way of a packet through rules and tables, as the kernel goes it (`fib_rules_lookup`, `fib_table_lookup` and
//! `fib6_table_lookup`, Linux 6.18).
//!
//! Rule: this finds the entry that decided; whether it did is what the kernel itself answers (see [`super::kernel`]), and
//! where the two differ nothing is claimed.

use std::net::IpAddr;

use super::entry::{DEAD, Entry, THROW, UNICAST};
use super::rule::{Action, Rule};

/// Routes in other tables that are told of.
const MOST_ELSEWHERE: usize = 3;

/// What rules and tables are asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::node) struct Flow {
    pub(in crate::node) source: Option<IpAddr>,
    pub(in crate::node) destination: IpAddr,
    pub(in crate::node) protocol: Option<u8>,
    pub(in crate::node) source_port: Option<u16>,
    pub(in crate::node) destination_port: Option<u16>,
    pub(in crate::node) mark: u32,
    /// The byte of the header; unknown without one.
    pub(in crate::node) tos: Option<u8>,
    /// Name of the device that it came in by; `lo` for a local packet.
    pub(in crate::node) input: Option<String>,
    pub(in crate::node) output: Option<String>,
    /// Who owns its socket; 0 for a packet from elsewhere (`sock_net_uid`).
    pub(in crate::node) user: Option<u32>,
    /// It came in by a port of a VRF.
    pub(in crate::node) in_vrf: bool,
}

/// All rules and routes of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// As the kernel lists them, which is their order.
    pub rules: Vec<Rule>,
    /// By table, and within one as the kernel lists them.
    pub routes: Vec<Entry>,
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End<'a> {
    Route(&'a Entry),
    /// By a rule itself.
    Refused(&'a Rule),
    Nothing,
    /// Whether this rule holds is not known.
    Undecided(&'a Rule),
}

/// Why a table gave no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Passed<'a> {
    Empty,
    /// A `throw` route ended the search in this table.
    Throw(&'a Entry),
    /// The rule does not take routes like this one.
    Suppressed(&'a Entry),
    /// Its devices are down.
    Dead(&'a Entry),
}

/// A lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way<'a> {
    pub(super) end: End<'a>,
    /// The rule that led to the table of the route.
    pub(super) rule: Option<&'a Rule>,
    /// Rules and tables that were gone through before.
    pub(super) passed: Vec<(&'a Rule, u32, Passed<'a>)>,
}

/// What to leave out, to see what would be without it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Without<'a> {
    pub(super) route: Option<&'a Entry>,
    pub(super) rule: Option<&'a Rule>,
}

impl Way<'_> {
    /// Whether it ends with a route that leads somewhere.
    pub(super) fn leads(&self) -> bool {
        matches!(self.end, End::Route(route) if !route.refuses())
    }
}

impl Tables {
    pub fn new(rules: Vec<Rule>, mut routes: Vec<Entry>) -> Self {
        routes.sort_by_key(|route| route.table);
        Self { rules, routes }
    }

    fn of(&self, table: u32) -> &[Entry] {
        let start = self.routes.partition_point(|route| route.table < table);
        let end = self.routes.partition_point(|route| route.table <= table);
        self.routes.get(start..end).unwrap_or_default()
    }

    /// Follows the rules.
    pub(super) fn follow<'a>(&'a self, flow: &Flow, without: Without<'a>) -> Way<'a> {
        let mut passed = Vec::new();
        let mut least = 0;
        for rule in &self.rules {
            // Jumps only lead forward.
            if rule.priority < least || without.rule == Some(rule) {
                continue;
            }
            let end = |end| Way { end, rule: Some(rule), passed: Vec::new() };
            match rule.holds(flow) {
                Some(true) => {}
                Some(false) => continue,
                None => return Way { passed, ..end(End::Undecided(rule)) },
            }
            match rule.action {
                Action::Nothing | Action::Goto(_, true) => {}
                Action::Goto(priority, false) => least = priority,
                Action::Refuse(_) => return Way { passed, ..end(End::Refused(rule)) },
                Action::Table(number) => match self.find(number, flow, without) {
                    Ok(route) if rule.suppressed_group.is_some() && !route.refuses() => {
                        return Way { passed, ..end(End::Undecided(rule)) };
                    }
                    Ok(route) if rule.suppresses(route) => passed.push((rule, number, Passed::Suppressed(route))),
                    Ok(route) => return Way { passed, ..end(End::Route(route)) },
                    Err(why) => passed.push((rule, number, why)),
                },
            }
        }
        Way { end: End::Nothing, rule: None, passed }
    }

    /// The route of one table, or why it has none.
    fn find<'a>(&'a self, table: u32, flow: &Flow, without: Without<'a>) -> Result<&'a Entry, Passed<'a>> {
        let mut fitting: Vec<_> = self.of(table).iter().filter(|route| route.fits(flow)).collect();
        fitting.retain(|route| without.route != Some(*route));
        // The longest prefix, then that of the source, then the type of service, then the lowest metric.
        fitting.sort_by_key(|route| {
            let source = route.source.map_or(0, |source| source.length);
            let order = (route.destination.length, source, route.tos);
            (std::cmp::Reverse(order), route.metric.unwrap_or(0))
        });
        let mut why = Passed::Empty;
        for route in fitting {
            if route.kind == THROW {
                return Err(Passed::Throw(route));
            }
            if !route.is_dead() {
                return Ok(route);
            }
            if why == Passed::Empty {
                why = Passed::Dead(route);
            }
        }
        Err(why)
    }

    /// Routes for the packet in tables that no rule led it to.
    pub(super) fn elsewhere<'a>(&'a self, flow: &Flow, way: &Way<'a>) -> Vec<&'a Entry> {
        let seen = |number: u32| way.passed.iter().any(|(_, passed, _)| *passed == number);
        let routes = self.routes.iter().filter(|route| !seen(route.table) && route.fits(flow));
        routes.filter(|route| route.kind == UNICAST && !route.is_dead()).take(MOST_ELSEWHERE).collect()
    }
}

impl Tables {
    /// Lines of rules that lead to a table.
    pub(super) fn leading(&self, table: u32) -> Vec<String> {
        let rules = self.rules.iter().filter(|rule| rule.action == Action::Table(table));
        rules.take(MOST_ELSEWHERE).map(Rule::line).collect()
    }
}

impl Entry {
    fn fits(&self, flow: &Flow) -> bool {
        self.destination.contains(flow.destination)
            && self.source.is_none_or(|net| flow.source.is_some_and(|source| net.contains(source)))
            && (self.tos == 0 || flow.tos.is_some_and(|tos| tos & 0xfc == self.tos))
    }

    /// All its devices are down. The kernel marks those without carrier so where `ignore_routes_with_linkdown` is set
    /// (`fib_nexthop_info`).
    pub(super) fn is_dead(&self) -> bool {
        !self.hops.is_empty() && self.hops.iter().all(|hop| hop.flags & DEAD != 0)
    }
}

impl Rule {
    /// `fib4_rule_suppress`: only routes that lead somewhere.
    fn suppresses(&self, route: &Entry) -> bool {
        let length = u32::from(route.destination.length);
        !route.refuses() && self.suppressed_length.is_some_and(|suppressed| length <= suppressed)
    }
}
