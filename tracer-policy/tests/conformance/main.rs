//! The behaviour that the NetworkPolicy API and its conformance programme ask of every engine, as matrices of who reaches whom.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod egress;
mod hosts;
mod ingress;
mod ports;
mod ranges;
mod setup;
mod tiers;
mod undecided;
