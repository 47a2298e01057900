//! From numbers to names: a dropped packet becomes the `drop` event, all but its explanation.
//!
//! Rule: functions of an event and [`Facts`]; no input or output. What has no name is shown by its number, and asked for
//! through [`Facts::unknown`].

mod attempt;
mod conntrack;
mod names;
mod observation;
mod packet;
pub mod policy;
mod symbol;

use tracer_common::{FLAG_OWNER, FlowKey, NO_REASON};

use crate::btf::ReasonNames;
use crate::decode::Dropped;
use crate::event::{Hook, Interface, Location, Netns, Process, Reason, Socket};
use crate::host::{self, Symbols, Unknown};
use crate::node::socket::Owner;

pub use attempt::{dns, drops_of_attempts, ends, flow};
pub use conntrack::conntrack;
pub(crate) use names::{LOCAL_DNS, METADATA, WIRE_SERVER};
pub use names::{is_steady, keep_names, name_counter, name_dns, name_drop, name_flow, name_netns};
pub use observation::observation;
pub use packet::packet;
pub use policy::policy;
pub use symbol::{location, stack};

/// Everything that names come from, at one moment.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    pub host: &'a host::Facts,
    pub reasons: &'a ReasonNames,
    /// `None` where the kernel hides its symbols.
    pub symbols: Option<&'a Symbols>,
}

impl Facts<'_> {
    /// What the host readers should look up for this flow.
    pub fn unknown(&self, flow: &FlowKey, cookie: u64) -> Option<Unknown> {
        let unknown = Unknown { netns: flow.netns, ifindex: flow.ifindex, cookie };
        (flow.netns != 0 && !self.host.knows(unknown)).then_some(unknown)
    }
}

/// The kernel's reason, by name where it has one.
pub fn reason(code: u32, reasons: &ReasonNames) -> Reason {
    if code == NO_REASON {
        return Reason { name: "UNKNOWN".into(), code: None, subsystem: None, derived: None };
    }
    let name = reasons.name(code).map_or_else(|| format!("REASON_{code}"), str::to_owned);
    Reason { name, code: Some(code), subsystem: Some(reasons.subsystem(code).to_owned()), derived: None }
}

pub fn netns(inode: u32, host: &host::Facts) -> Netns {
    Netns { inode, name: host.netns(inode).map(|netns| netns.name.to_string()), pod: None }
}

/// The interface that the packet was on: the event carries its name, which is right even when the interface or its
/// namespace came or went a moment ago.
pub fn interface_of(flow: &FlowKey, dropped: Option<&Dropped>, host: &host::Facts) -> Interface {
    let name = dropped.and_then(|dropped| interface_name(dropped.event.interface_name));
    match name {
        Some(name) => Interface { index: flow.ifindex, name: Some(name) },
        None => interface(flow.netns, flow.ifindex, host),
    }
}

/// A NUL-padded name; bytes that are not UTF-8 are replaced.
pub fn interface_name(words: [u64; 2]) -> Option<String> {
    let bytes = words.map(u64::to_ne_bytes).concat();
    let name = bytes.split(|byte| *byte == 0).next().filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(name).into_owned())
}

pub fn interface(netns: u32, index: u32, host: &host::Facts) -> Interface {
    Interface { index, name: host.interface(netns, index).map(|interface| interface.name.clone()) }
}

/// The interface by which the packet came in, if it is another than the one it was on.
pub fn in_interface(dropped: &Dropped, host: &host::Facts) -> Option<Interface> {
    let (index, flow) = (dropped.event.in_ifindex, &dropped.event.flow);
    (index != 0 && index != flow.ifindex).then(|| interface(flow.netns, index, host))
}

/// A port of the bridge that br_netfilter has the packet on.
pub fn bridge_port(dropped: &Dropped, index: u32, host: &host::Facts) -> Option<Interface> {
    (index != 0).then(|| interface(dropped.event.flow.netns, index, host))
}

/// The interface by which the packet was to leave, if it is another than the one it was on. Only where a packet has been routed
/// and is on its way out: at the other hooks the route says something else, or there is none.
pub fn out_interface(dropped: &Dropped, hook: Hook, host: &host::Facts) -> Option<Interface> {
    let (index, flow) = (dropped.event.out_ifindex, &dropped.event.flow);
    let is_leaving = matches!(hook, Hook::Forward | Hook::Output | Hook::Postrouting);
    if index == 0 || index == flow.ifindex || !is_leaving {
        return None;
    }
    match interface_name(dropped.event.out_interface_name) {
        Some(name) => Some(Interface { index, name: Some(name) }),
        None => Some(interface(flow.netns, index, host)),
    }
}

pub fn socket(dropped: &Dropped) -> Option<Socket> {
    let known = |number| (number != 0).then_some(number);
    let event = &dropped.event;
    let is_owned = event.flags & FLAG_OWNER != 0;
    let socket = Socket {
        cookie: known(event.socket_cookie),
        cgroup: known(event.cgroup),
        uid: is_owned.then_some(event.uid),
        gid: is_owned.then_some(event.gid),
    };
    (socket.cookie.is_some() || socket.cgroup.is_some() || is_owned).then_some(socket)
}

/// The program that holds a socket.
pub fn process(owner: &Owner) -> Process {
    Process { pid: owner.pid, comm: owner.comm.clone(), container: owner.place.container.clone(), pod: None }
}

/// Where the packet was freed.
pub fn place(flow: &FlowKey, facts: &Facts<'_>) -> Location {
    location(flow.location, facts.symbols)
}
