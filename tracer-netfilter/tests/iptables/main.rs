//! What whydrop reads and writes of iptables, compared with iptables itself. Needs root and the four iptables programs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod arp;
mod legacy;
#[path = "../namespace/mod.rs"]
mod namespace;
mod random;
mod rules;
mod text;
