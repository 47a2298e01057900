//! The base chains that a packet passes at a hook, in the order in which the kernel runs them.
//!
//! Rule: chains of type nat all run where the kernel's address translation stands, whatever their priority is; between
//! themselves it counts (`nf_nat_inet_fn`, Linux 4.18). Of chains with the same priority the one that was registered last
//! runs first (`nf_hook_entries_grow`, `net/netfilter/core.c`); the order of reading stands for that of registering.

use super::registers::Reason;
use crate::model::{Backend, Base, Chain, ChainKind, Family, Hook, Place, Policy, Ruleset, Table};
use crate::packet::{ConnectionState, Device, ETH_P_ARP, Known, Packet};
use crate::truth::Truth;
use crate::walk::{Layer, Question};

/// `NF_IP_PRI_CONNTRACK`: chains before have no connection yet.
pub(super) const CONNTRACK: i32 = -200;

/// A base chain on the way.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    /// Of the chain: number 0.
    pub place: Place,
    pub backend: Backend,
    pub kind: ChainKind,
    pub policy: Policy,
    /// Where it runs.
    pub priority: i32,
    /// Its own, which orders nat chains among themselves.
    own: i32,
    /// Why the packet perhaps does not come by it.
    pub doubt: Option<Reason>,
}

pub(super) fn stops(ruleset: &Ruleset, question: &Question<'_>) -> Vec<Stop> {
    let mut stops = Vec::new();
    for (table_index, table) in ruleset.tables.iter().enumerate() {
        if table.dormant || !stands_at(table.family, question) {
            continue;
        }
        for (index, chain) in table.chains.iter().enumerate() {
            let place = Place { table: table_index, chain: index, number: 0 };
            stops.extend(stop(table, chain, place, question));
        }
    }
    stops.reverse();
    stops.sort_by_key(|stop| (stop.priority, stop.own));
    stops
}

/// Whether tables of a family have chains at this layer that the packet passes.
fn stands_at(family: Family, question: &Question<'_>) -> bool {
    let packet = question.packet;
    match question.layer {
        Layer::Ip => match family {
            Family::Ip => packet.is_ipv4(),
            Family::Ip6 => packet.is_ipv6(),
            Family::Inet => packet.is_ipv4() || packet.is_ipv6(),
            _ => false,
        },
        Layer::Bridge => family == Family::Bridge,
        Layer::Arp => family == Family::Arp && packet.ethertype == ETH_P_ARP,
        Layer::Device => match family {
            Family::Netdev => true,
            Family::Inet => question.hook == Hook::Ingress && (packet.is_ipv4() || packet.is_ipv6()),
            _ => false,
        },
    }
}

fn stop(table: &Table, chain: &Chain, place: Place, question: &Question<'_>) -> Option<Stop> {
    let base = chain.base.as_ref().filter(|base| base.hook == question.hook)?;
    let mut doubt = None;
    if question.layer == Layer::Device {
        let device = match question.hook {
            Hook::Egress => &question.packet.output,
            _ => &question.packet.input,
        };
        match is_on(base, device) {
            Truth::Yes => {}
            Truth::No => return None,
            Truth::Unknown(reason) => doubt = Some(reason),
        }
    }
    Some(Stop {
        place,
        backend: table.backend,
        kind: base.kind,
        policy: base.policy,
        priority: nat_priority(base.hook).filter(|_| base.kind == ChainKind::Nat).unwrap_or(base.priority),
        own: base.priority,
        doubt,
    })
}

/// Whether a chain of devices is on this one.
fn is_on(base: &Base, device: &Known<Device>) -> Truth {
    match device {
        Known::Absent => Truth::No,
        Known::Unknown => Truth::unknown("the device"),
        Known::Is(device) => Truth::from(base.devices.iter().any(|name| match name.strip_suffix('*') {
            Some(prefix) => device.name.starts_with(prefix),
            None => device.name == *name,
        })),
    }
}

/// `NF_IP_PRI_NAT_DST` and `NF_IP_PRI_NAT_SRC` (`include/uapi/linux/netfilter_ipv4.h`).
pub(super) const fn nat_priority(hook: Hook) -> Option<i32> {
    match hook {
        Hook::Prerouting | Hook::Output => Some(-100),
        Hook::Input | Hook::Postrouting => Some(100),
        Hook::Forward | Hook::Ingress | Hook::Egress => None,
    }
}

/// `IPS_CONFIRMED`, `IPS_DST_NAT_DONE`
const CONFIRMED: u32 = 0x8;
const DESTINATION_DONE: u32 = 0x100;

/// Whether the packet passes chains of type nat: the first of its connection does, until that is confirmed. That an
/// unconfirmed connection is new is taken from its state where its status was not read, because a packet that a nat chain
/// drops leaves no connection behind, so that the next one is a first one again.
pub(super) fn passes_nat(packet: &Packet, hook: Hook) -> Truth {
    let connection = match &packet.connection {
        Known::Absent => return Truth::No,
        Known::Unknown => return Truth::unknown("whether it is the first packet of its connection"),
        Known::Is(connection) => connection,
    };
    let status = connection.status.unwrap_or(0);
    // A packet that went out by a loopback device has been there already.
    let is_looped = hook == Hook::Prerouting && status & DESTINATION_DONE != 0 && is_loopback(&packet.input);
    match connection.state {
        // Errors of ICMP are translated as their connection is.
        ConnectionState::Related if matches!(packet.protocol, Some(1 | 58)) => Truth::No,
        ConnectionState::New | ConnectionState::Related => Truth::from(status & CONFIRMED == 0 && !is_looped),
        ConnectionState::Invalid | ConnectionState::Established | ConnectionState::Untracked => Truth::No,
    }
}

pub(super) fn is_loopback(device: &Known<Device>) -> bool {
    matches!(device, Known::Is(device) if device.hardware == Some(772) || device.name == "lo")
}
