//! Which rule it was: a ruleset drops a packet, and the binary names the rule as its user would find it, with whoever put
//! it there, and what to try.

mod changes;
mod confirm;
mod explain;
mod faults;
mod iptables;
mod namespaces;
mod nftables;
mod owners;
mod told_apart;
