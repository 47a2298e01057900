//! whydrop tells why a packet was dropped on this Linux node, or why it was never answered.
//!
//! The data path is one straight line; [`pipeline`] is it, top to bottom:
//!
//! ```text
//!  kernel                              | user space
//!  hook -> filter -> count -> emit ---ring---> source -> decode -> aggregate -> enrich -> explain -> sink
//!             |        |        |                           ^         ^          ^
//!             |        +-- flow maps, taken each tick ------+         |          +-- netfilter, node: what decided
//!             +----------- own counters -> stats                      +-- host::Facts, symbols, reason names
//! ```
//!
//! `diagnose` and `dns` also look at attempts to talk, where they pass network devices; the line takes them in beside the drops:
//!
//! ```text
//!  kernel                | user space
//!  tc programs: attempts, queries ---maps---> flow::watch -> flow::Book, flow::dns::Book -> explain::flow, ::dns -> enrich -> sink
//!  retransmit: segments  | each half second       ^ joined by addresses, decided    ^
//!                        |                        |                                 +-- node: what was read of the namespace
//!                        |                        +-- drops, explained
//! ```
//!
//! No stage calls back. Aggregation stands before enrichment, so that only what is printed is explained. Enrichment and
//! explanation are functions of an event and facts and do no input or output; readers beside the line ([`host`],
//! [`btf`]) replace the facts as a whole, and [`netfilter`] and [`node`] answer what the line asks about drops: which rule
//! it was, and which of the node's own settings, routes, sockets, programs or queues. [`counter`] finds drops that no event
//! shows. [`kubernetes`] knows the pods, Services and policies: who had an address or a namespace when a packet was seen, and which
//! policy is about it. [`diagnose`] is a sink that gathers all of it and says at the end what is wrong.

pub mod aggregate;
pub mod btf;
pub mod cilium;
pub mod cli;
pub mod counter;
pub mod decode;
pub mod demo;
pub mod diagnose;
pub mod doctor;
pub mod enrich;
pub mod event;
pub mod explain;
pub mod flow;
pub mod host;
pub mod inquiry;
pub mod kubernetes;
pub mod load;
pub mod netfilter;
pub mod node;
pub mod pipeline;
pub mod policy;
pub mod recording;
pub mod settings;
pub mod sink;
pub mod source;
pub mod verdict;
