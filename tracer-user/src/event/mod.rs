//! The event contract: what every sink prints, as Rust types.
//!
//! A key is always present or absent-when-unknown; it is never `null`. Names in the types are the keys of the JSON.

mod cause;
mod counter;
mod dns;
mod drop;
mod explanation;
mod finding;
mod flow;
mod header;
mod name;
mod stats;
mod verdict;

pub use cause::{Cause, Confidence, Direction, Hook, Outcome, QueryOutcome, SeenPacket, Severity, SuspectKind};
pub use counter::Counter;
pub use dns::Dns;
pub use drop::{
    Conntrack, ConntrackEnd, ConntrackState, ConntrackStatus, ConntrackTuple, Drop, Endpoint, Family, Icmp, Interface,
    Location, Netns, Packet, Process, Reason, Socket,
};
pub use explanation::{
    Backend, Explanation, Nearest, Policy, PolicyDirection, PolicyName, PolicyRule, PolicyVerdict, Program, Route,
    Rule, RuleStep, RulesetFamily, Suspect, Sysctl,
};
pub use finding::{Affected, Finding};
pub use flow::{Flow, Seen, Translated};
pub use header::{Header, SCHEMA, SourceLine};
pub use name::{PodName, ServiceName, WorkloadName};
pub use stats::{AttemptTotals, PlaceTotal, ReasonTotal, Stats, VerdictTotals};
pub use verdict::Verdict;
