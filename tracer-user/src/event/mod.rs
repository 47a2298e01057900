//! The event contract: what every sink prints, as Rust types.
//!
//! A key is always present or absent-when-unknown; it is never `null`. Names in the types are the keys of the JSON.

mod cause;
mod counter;
mod drop;
mod explanation;
mod header;
mod stats;

pub use cause::{Cause, Confidence, Hook, Severity};
pub use counter::Counter;
pub use drop::{
    Conntrack, ConntrackEnd, ConntrackState, ConntrackStatus, ConntrackTuple, Drop, Endpoint, Family, Icmp, Interface,
    Location, Netns, Packet, Process, Reason, Socket,
};
pub use explanation::{
    Backend, Explanation, Nearest, Policy, PolicyDirection, PolicyName, PolicyVerdict, Program, Route, Rule, RuleStep,
    RulesetFamily, Sysctl,
};
pub use header::{Header, SCHEMA, SourceLine};
pub use stats::{PlaceTotal, ReasonTotal, Stats};
