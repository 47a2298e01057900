//! The firewall of one network namespace: what its rules are, and what they do to a packet.
//!
//! ```text
//!  nft (netlink) ---+
//!  legacy (getsockopt) --> model::Ruleset --> evaluate (packet, world) --> Walk: which rule, how sure, by which way
//!  ipset, routes ------------> World ------------^                          |
//!                                                                           +--> text (as iptables -S, nft list), owner
//! ```
//!
//! Rules: nothing here changes the firewall, but for [`trace`], which is asked for by name and cleans up after itself; no
//! external program is run; every byte from the kernel is checked before it is believed, and a rule that can't be
//! understood is "unknown", never "matches" or "does not match".

pub mod conntrack;
pub mod evaluate;
pub mod ipset;
pub mod legacy;
pub mod live;
pub mod model;
pub mod near;
pub mod netlink;
pub mod nft;
pub mod owner;
pub mod packet;
pub mod presence;
pub mod text;
pub mod trace;
pub mod translation;
pub mod truth;
pub mod walk;
pub mod world;
pub mod xt;

pub use model::{Backend, Chain, Family, Hook, Rule, Ruleset, Table};
pub use packet::Packet;
pub use truth::Truth;
pub use walk::Walk;
pub use world::World;
