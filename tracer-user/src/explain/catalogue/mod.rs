//! What every kernel drop reason means, why it usually happens, and what to try.
//!
//! Reasons are looked up by name: their numbers differ between kernels. A name that is not here is shown by name only.
//! Facts are from the kernel's `include/net/dropreason-core.h` and the places that use each reason (Linux 6.1 to 7.3).

mod core;
mod device;
mod ip;
mod ipv6;
mod mac80211;
mod neighbour;
mod openvswitch;
mod policy;
mod qdisc;
mod socket;
mod tcp;
mod tcp_auth;
mod tunnel;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::event::{Cause, Severity};

/// One drop reason. Texts are clauses without a full stop, so that they fit into a sentence or stand alone.
///
/// `remedy` lines may hold the placeholders of [`super::fill`]; a line that starts with `{ns}` is a command.
#[derive(Debug)]
pub struct ReasonEntry {
    /// The kernel's name without `SKB_DROP_REASON_`.
    pub name: &'static str,
    /// What the kernel saw.
    pub meaning: &'static str,
    /// Where it usually comes from.
    pub usual_cause: &'static str,
    /// The class of an ordinary unicast packet; [`super::severity`] refines it by the packet.
    pub severity: Severity,
    pub severity_why: &'static str,
    pub cause: Cause,
    /// Commands and actions to try, safest first.
    pub remedy: &'static [&'static str],
}

/// Reasons of one part of the network stack, as the documentation groups them.
#[derive(Debug)]
pub struct Group {
    pub title: &'static str,
    pub layout: Layout,
    pub entries: &'static [ReasonEntry],
}

/// How the documentation shows a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Sections,
    /// Many reasons about which there is little to say.
    Table,
}

/// Every group, in the order of the documentation.
pub const GROUPS: &[Group] = &[
    policy::GROUP,
    ip::GROUP,
    ipv6::GROUP,
    neighbour::GROUP,
    socket::GROUP,
    tcp::GROUP,
    tcp_auth::GROUP,
    qdisc::GROUP,
    device::GROUP,
    tunnel::GROUP,
    core::GROUP,
    openvswitch::GROUP,
    mac80211::GROUP,
];

static BY_NAME: LazyLock<HashMap<&'static str, &'static ReasonEntry>> =
    LazyLock::new(|| GROUPS.iter().flat_map(|group| group.entries).map(|entry| (entry.name, entry)).collect());

/// The entry of a reason, with or without the enum's prefix.
pub fn reason(name: &str) -> Option<&'static ReasonEntry> {
    BY_NAME.get(name.strip_prefix("SKB_DROP_REASON_").unwrap_or(name)).copied()
}

#[cfg(test)]
mod tests;
