//! Which rule dropped a packet: the rulesets of namespaces, read and asked beside the event line.
//!
//! Rules: the line never waits here. It asks through a bounded queue and goes on; an answer is a plain [`Ruling`] that
//! explaining uses as it uses any other fact. Nothing is changed in any namespace (but by [`confirm`], when it is asked
//! for), and nothing is read from one in which netfilter dropped nothing, but for one reading when it is first seen, against
//! which counters are compared later.

pub mod ask;
mod confirm;
mod conntrack;
mod handle;
mod namespace;
mod packet;
mod ruling;
mod suspect;
mod wording;

pub use conntrack::{
    Becomes, Connections, Creator, Direction, Invalid, Ports, Pressure, Segment, Settings, Table, Target, Timeouts,
    Translation, Translator, Used, Why,
};
pub use handle::{NetfilterHandle, Plan, spawn};
pub use packet::{Ends, packet};
pub use ruling::{Ruling, rule_count};
pub use suspect::{Proof, Suspect};

use tracer_netfilter::model::Backend;
use tracer_netfilter::packet::Device;
use tracer_netfilter::walk::Layer;
use tracer_netfilter::{Hook, Packet};

use crate::aggregate::Due;
use crate::decode::Dropped;
use crate::enrich;
use crate::event::{self, Interface};
use crate::explain::Firewall;
use crate::host::{self, Netns};
use crate::inquiry::Case;

/// What the event line wants to know of one dropped packet.
#[derive(Clone, Debug)]
pub struct Question {
    pub case: Case,
    pub netns: Netns,
    /// Tells it from another one with the same number; 0 if unknown.
    pub netns_cookie: u64,
    /// Where it may have been dropped: one place, or all that there are where the stack does not tell.
    pub spots: Vec<Spot>,
    /// Which kind of rules the kernel says it was; `None` where it does not tell them apart.
    pub backend: Option<Backend>,
    /// When it was dropped, `CLOCK_MONOTONIC` ns.
    pub time: u64,
}

/// A hook, and the packet as its rules saw it.
#[derive(Clone, Debug)]
pub struct Spot {
    pub hook: Hook,
    pub layer: Layer,
    pub packet: Packet,
}

impl Question {
    /// The question about a drop; `None` while its namespace is not known yet.
    ///
    /// # Errors
    /// Why no rule can be asked about it.
    pub fn new(
        at: Firewall,
        due: &Due,
        dropped: &Dropped,
        interface: &Interface,
        facts: &host::Facts,
    ) -> Result<Option<Self>, String> {
        let ends = Ends {
            on: Device {
                index: interface.index,
                name: interface.name.clone().unwrap_or_default(),
                ..Device::default()
            },
            in_index: dropped.event.in_ifindex,
            out: Device {
                index: dropped.event.out_ifindex,
                name: enrich::interface_name(dropped.event.out_interface_name).unwrap_or_default(),
                ..Device::default()
            },
        };
        let spots: Option<Vec<Spot>> = places(at, ends.in_index != 0)
            .iter()
            .map(|(hook, layer)| {
                packet(dropped, &ends, *hook, *layer).map(|packet| Spot { hook: *hook, layer: *layer, packet })
            })
            .collect();
        let spots = spots.ok_or("what the packet was: no header of it was read")?;
        let Some(netns) = facts.netns(due.key.netns) else { return Ok(None) };
        let time = due.time.unwrap_or(dropped.event.time);
        let (netns, backend, case) = (netns.clone(), at.backend, Case::new(due.key, Some(dropped)));
        Ok(Some(Self { case, netns, netns_cookie: dropped.event.netns_cookie, spots, backend, time }))
    }
}

/// Where it may have been dropped. Not every event has a stack: when many flows begin at once, few have.
fn places(at: Firewall, came_in: bool) -> Vec<(Hook, Layer)> {
    const FROM_HERE: &[(Hook, Layer)] =
        &[(Hook::Output, Layer::Ip), (Hook::Postrouting, Layer::Ip), (Hook::Egress, Layer::Device)];
    const CAME_IN: &[(Hook, Layer)] = &[
        (Hook::Ingress, Layer::Device),
        (Hook::Prerouting, Layer::Bridge),
        (Hook::Input, Layer::Bridge),
        (Hook::Forward, Layer::Bridge),
        (Hook::Postrouting, Layer::Bridge),
        (Hook::Prerouting, Layer::Ip),
        (Hook::Input, Layer::Ip),
        (Hook::Forward, Layer::Ip),
        (Hook::Postrouting, Layer::Ip),
        (Hook::Egress, Layer::Device),
    ];
    match (hook(at.hook), at.layer, came_in) {
        (Some(hook), layer, _) => vec![(hook, layer)],
        (None, Layer::Arp, _) => vec![(Hook::Input, Layer::Arp), (Hook::Output, Layer::Arp)],
        (None, _, true) => CAME_IN.to_vec(),
        (None, _, false) => FROM_HERE.to_vec(),
    }
}

const fn hook(hook: event::Hook) -> Option<Hook> {
    Some(match hook {
        event::Hook::Prerouting => Hook::Prerouting,
        event::Hook::Input => Hook::Input,
        event::Hook::Forward => Hook::Forward,
        event::Hook::Output => Hook::Output,
        event::Hook::Postrouting => Hook::Postrouting,
        event::Hook::Ingress => Hook::Ingress,
        event::Hook::Egress => Hook::Egress,
        _ => return None,
    })
}
