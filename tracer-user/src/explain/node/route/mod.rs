//! What decided that a packet goes nowhere: a route, a rule of the routing policy, a setting, a missing address.
//!
//! Rule: what is read now is only told if it could have ended the packet where it ended ([`Place::fits`]); else the
//! routes have changed since, and the event's own words stay.

mod forwarding;
mod hops;
mod refusal;
#[cfg(test)]
mod tests;

use crate::event::{Explanation, Sysctl};
use crate::explain::Observation;
use crate::node::route::{BLACKHOLE, End, PROHIBIT, Routing, Setting, THROW, UNREACHABLE, is_output};
use crate::node::sysctl::dotted;

/// Where it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// IPv4's stand-in for routes that refuse, for none, and for interfaces that do not forward.
    Error,
    /// IPv6's stand-ins for no route and for routes of these types.
    Stub(Stub),
    /// IPv6's forwarding itself.
    Forward,
    /// A local program's packet.
    Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stub {
    Discard,
    Prohibit,
    Blackhole,
    Any,
}

/// Says what the state of the node adds to what the kernel's event says.
pub(in crate::explain) fn refine(explanation: &mut Explanation, state: &Routing, drop: &Observation<'_>) {
    if explanation.cause == crate::event::Cause::Ttl {
        if matches!(drop.symbol(), "ip_forward" | "ip6_forward") {
            hops::refine(explanation, state, drop);
        }
        return;
    }
    let Some(place) = Place::of(drop) else { return };
    match place {
        Place::Forward => forwarding::ipv6(explanation, state, drop),
        Place::Error if drop.reason == Some("IP_INADDRERRORS") => forwarding::off(explanation, state, drop),
        // A kernel that gives no reasons: an interface that does not forward hides what the routes say.
        Place::Error if drop.reason.is_none() && forwarding::is_off(state, drop) => {
            forwarding::off(explanation, state, drop);
        }
        Place::Output if state.is_source_local == Some(false) => refusal::source_is_gone(explanation, state, drop),
        place => match &state.way {
            Some(way) if place.fits(&way.end, drop.reason) => refusal::refine(explanation, state, way, drop),
            Some(way) => changed(explanation, &refusal::now(&way.end)),
            None => explanation.evidence.extend(state.refused.and_then(answer)),
        },
    }
}

impl Place {
    fn of(drop: &Observation<'_>) -> Option<Self> {
        Some(match drop.symbol() {
            "ip_error" => Self::Error,
            "ip6_pkt_prohibit" | "ip6_pkt_prohibit_out" => Self::Stub(Stub::Prohibit),
            "ip6_pkt_discard" | "ip6_pkt_discard_out" => Self::Stub(Stub::Discard),
            "ip6_pkt_drop" if drop.called_by("ip6_pkt_prohibit") || drop.called_by("ip6_pkt_prohibit_out") => {
                Self::Stub(Stub::Prohibit)
            }
            "ip6_pkt_drop" if drop.called_by("ip6_pkt_discard") || drop.called_by("ip6_pkt_discard_out") => {
                Self::Stub(Stub::Discard)
            }
            "ip6_pkt_drop" => Self::Stub(Stub::Any),
            "dst_discard" | "dst_discard_out" => Self::Stub(Stub::Blackhole),
            "ip6_forward" => Self::Forward,
            symbol if is_output(symbol) => Self::Output,
            _ => return None,
        })
    }

    /// Whether a lookup that ends so ends a packet here, with this reason.
    fn fits(self, end: &End, reason: Option<&str>) -> bool {
        let kind = match end {
            End::Route(route) => Some(route.kind),
            End::Rule(rule) => Some(rule.kind),
            End::Nothing => None,
        };
        let refuses = matches!(kind, None | Some(BLACKHOLE | UNREACHABLE | PROHIBIT | THROW));
        match self {
            Self::Error => match (reason, end) {
                // `fib4_rule_action`: a rule of type unreachable is no route.
                (Some("IP_INNOROUTES"), End::Rule(rule)) => rule.kind == UNREACHABLE,
                (Some("IP_INNOROUTES"), _) => kind.is_none(),
                (Some(_), End::Rule(rule)) => rule.kind != UNREACHABLE,
                (Some(_), _) => kind.is_some() && refuses,
                (None, _) => refuses,
            },
            Self::Stub(Stub::Discard) => matches!(kind, None | Some(UNREACHABLE | THROW)),
            Self::Stub(Stub::Prohibit) => kind == Some(PROHIBIT),
            Self::Stub(Stub::Blackhole) => kind == Some(BLACKHOLE),
            Self::Stub(Stub::Any) | Self::Output => refuses,
            Self::Forward => false,
        }
    }
}

/// What an error number means where the tables can't be read.
fn answer(errno: i32) -> Option<String> {
    let means = match errno {
        libc::EINVAL => "a blackhole (EINVAL)",
        libc::EHOSTUNREACH => "unreachable (EHOSTUNREACH)",
        libc::EACCES => "prohibited (EACCES)",
        libc::ENETUNREACH => "no route (ENETUNREACH)",
        _ => return None,
    };
    Some(format!("asked for its route now, the kernel answers: {means}"))
}

/// The live state does not explain it.
fn changed(explanation: &mut Explanation, now: &str) {
    explanation.unknown = Some(format!("what it was then: it has changed since, and now {now}"));
}

fn setting(setting: &Setting, effective: &str) -> Sysctl {
    Sysctl { name: dotted(&setting.name), value: setting.value.clone(), effective: effective.to_owned() }
}

/// The destination in words.
fn destination(drop: &Observation<'_>) -> String {
    drop.destination.map_or_else(|| "its destination".to_owned(), |to| to.to_string())
}

/// `ip` for the packet's family.
fn ip(drop: &Observation<'_>) -> &'static str {
    if drop.is_ipv6() { "ip -6" } else { "ip" }
}
