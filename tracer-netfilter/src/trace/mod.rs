//! The kernel's own word on which rule a packet meets: a temporary trace of one flow.
//!
//! Rules: this is the only place that changes a firewall, and all it changes is a table of its own, which marks packets of
//! one flow to be traced and nothing else. The table is gone when the [`Tracer`] is: it is removed on drop, and when the
//! process dies by whatever means the kernel removes it with the socket that owns it (5.12 and later), or on older kernels a
//! [`guard`] process does. Events of packets that somebody else traces are not ours and are left out.
//!
//! The trace bit stays with a packet through all tables of nf_tables, those of iptables-nft and ebtables-nft included, until
//! it leaves the namespace. Tables of x_tables do not look at it: they can't be traced without changing them, as their
//! `TRACE` target is itself a rule, has no owner that takes it along, and speaks to the kernel log only.

mod event;
mod guard;
mod table;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use thiserror::Error;

use crate::netlink::transaction::{self, Connection, messages};
pub use event::{Headers, Origin, TraceEvent};
use guard::Guard;
use table::Means;

use crate::model::Family;

/// Bytes of events that may wait for us: some thousand packets.
const RECEIVE_BUFFER: libc::c_int = 4 << 20;
/// Packets and events that are remembered at once, should the kernel tell of packets without an end.
const MOST_PACKETS: usize = 1024;
const MOST_EVENTS: usize = 1024;

/// One direction of a conversation, by its addresses at one of the hooks: if they are translated on the way, the trace begins
/// behind that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// `IPPROTO_` value.
    pub protocol: u8,
    pub source: IpAddr,
    pub destination: IpAddr,
    /// `None` for any, and for protocols that have none.
    pub source_port: Option<u16>,
    pub destination_port: Option<u16>,
}

/// Where packets are marked for the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// As they come to a hook of IPv4 and IPv6. They are traced from the lowest priority on, to the egress of a device.
    Ip,
    /// As they come to a bridge, or are sent by it; untagged ones.
    Bridge,
    /// As they come in by a device, for chains at its ingress.
    Ingress(String),
}

/// Who takes the tables away when we can't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The kernel, with our socket.
    Owner,
    /// A process of ours.
    Guard,
}

/// Why there is no trace, or no more of it.
#[derive(Debug, Error)]
pub enum TraceError {
    #[error("source and destination of the flow are of different families; give both as IPv4 or both as IPv6")]
    Families,
    #[error("cannot open a netlink socket to netfilter ({0}); check that the kernel has CONFIG_NETFILTER_NETLINK")]
    Socket(#[source] io::Error),
    #[error(
        "the kernel refuses to trace this flow ({0}); it takes nf_tables and CAP_NET_ADMIN in the user namespace that owns the \
         network namespace"
    )]
    Refused(#[source] io::Error),
    #[error("cannot start the process that removes the trace if this one is killed ({0}); nothing was changed")]
    Guard(#[source] io::Error),
    #[error("the kernel traced more packets of this flow than could be read; confirm again while it is quieter")]
    Overrun,
    #[error("reading the trace failed ({0}); run the command again")]
    Read(#[source] io::Error),
}

/// What a traced packet met, in order, up to its drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedDrop {
    /// Rules that matched before, and what became of the packet in other base chains.
    pub path: Vec<TraceEvent>,
    /// The rule or policy that dropped it.
    pub end: TraceEvent,
}

/// A running trace.
#[derive(Debug)]
pub struct Tracer {
    name: String,
    entries: Vec<Entry>,
    /// Owns the tables: dropped after all else.
    control: Connection,
    events: Connection,
    guard: Option<Guard>,
    packets: HashMap<u32, Packet>,
    ready: VecDeque<TraceEvent>,
    is_stopped: bool,
}

/// What was seen of a packet.
#[derive(Debug, Default)]
struct Packet {
    /// Which of our own chains have marked it.
    entered: Vec<(Family, String)>,
    path: Vec<TraceEvent>,
}

impl Tracer {
    /// Traces a flow in the calling thread's network namespace from now on.
    pub fn start(flow: &Flow, entries: &[Entry]) -> Result<Self, TraceError> {
        match Self::start_with(flow, entries, Removal::Owner) {
            // A flag that this kernel does not know (before 5.12).
            Err(TraceError::Refused(error))
                if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) =>
            {
                Self::start_with(flow, entries, Removal::Guard)
            }
            result => result,
        }
    }

    /// As [`Self::start`], but by this means only.
    pub fn start_with(flow: &Flow, entries: &[Entry], removal: Removal) -> Result<Self, TraceError> {
        if flow.source.is_ipv4() != flow.destination.is_ipv4() {
            return Err(TraceError::Families);
        }
        let name = unused_name();
        let events = Connection::open(libc::NETLINK_NETFILTER).map_err(TraceError::Socket)?;
        // More than the limit of the machine is cut to it.
        events.socket.set_rx_buf_sz(RECEIVE_BUFFER).map_err(TraceError::Socket)?;
        events.socket.add_membership(libc::NFNLGRP_NFTRACE as u32).map_err(TraceError::Socket)?;
        let mut control = Connection::open(libc::NETLINK_NETFILTER).map_err(TraceError::Socket)?;
        let guard = match removal {
            Removal::Owner => None,
            Removal::Guard => {
                let (farewell, _) = transaction::datagram(&table::delete(&name, entries));
                Some(Guard::start(&farewell).map_err(TraceError::Guard)?)
            }
        };
        let mut means = Means { is_owned: removal == Removal::Owner, is_limited: true };
        let mut made = control.transact(&table::create(&name, flow, entries, means));
        if made.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENOENT)) {
            // A kernel without nft_limit.
            means.is_limited = false;
            made = control.transact(&table::create(&name, flow, entries, means));
        }
        if let Err(error) = made {
            guard.into_iter().for_each(Guard::stand_down);
            return Err(TraceError::Refused(error));
        }
        let (packets, ready) = (HashMap::new(), VecDeque::new());
        Ok(Self { name, entries: entries.to_vec(), control, events, guard, packets, ready, is_stopped: false })
    }

    /// Name of our tables.
    pub fn table(&self) -> &str {
        &self.name
    }

    /// Who removes them if this process is killed.
    pub const fn removal(&self) -> Removal {
        if self.guard.is_some() { Removal::Guard } else { Removal::Owner }
    }

    /// The next thing that happens to a packet of the flow; `None` when the time is over. After [`TraceError::Overrun`] the
    /// trace goes on, with a gap.
    pub fn next(&mut self, deadline: Instant) -> Result<Option<TraceEvent>, TraceError> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                if self.is_of_flow(&event) {
                    return Ok(Some(event));
                }
            }
            match self.events.receive(deadline) {
                Ok(Some(datagram)) => self.ready.extend(messages(datagram).filter_map(TraceEvent::decode)),
                Ok(None) => return Ok(None),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Err(TraceError::Overrun),
                Err(error) => return Err(TraceError::Read(error)),
            }
        }
    }

    /// Waits until a packet of the flow is dropped; `None` when the time is over.
    pub fn next_drop(&mut self, deadline: Instant) -> Result<Option<TracedDrop>, TraceError> {
        while let Some(event) = self.next(deadline)? {
            if event.is_drop() {
                let path = self.packets.remove(&event.id).unwrap_or_default().path;
                return Ok(Some(TracedDrop { path, end: event }));
            }
            if let Some(packet) = self.packets.get_mut(&event.id)
                && packet.path.len() < MOST_EVENTS
            {
                packet.path.push(event);
            }
        }
        Ok(None)
    }

    /// Whether the event is of a packet that we marked, and no mark of our own.
    fn is_of_flow(&mut self, event: &TraceEvent) -> bool {
        if event.table != self.name {
            return self.packets.contains_key(&event.id);
        }
        if self.packets.len() >= MOST_PACKETS {
            self.packets.clear();
        }
        // Packets that others trace pass our chains too, but only those of the flow match their rules.
        if event.origin == Origin::Policy {
            return false;
        }
        // Each of our chains is passed once: the second time it is another packet with a number that was used before.
        let packet = self.packets.entry(event.id).or_default();
        let entered = (event.family, event.chain.clone());
        if packet.entered.contains(&entered) {
            *packet = Packet::default();
        }
        packet.entered.push(entered);
        false
    }

    /// Removes the tables, and says if that fails.
    pub fn stop(mut self) -> Result<(), TraceError> {
        self.remove().map_err(TraceError::Refused)
    }

    fn remove(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.is_stopped, true) {
            return Ok(());
        }
        self.control.transact(&table::delete(&self.name, &self.entries))?;
        // If that failed the guard tries once more when it is dropped.
        self.guard.take().into_iter().for_each(Guard::stand_down);
        Ok(())
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!("the table {} was not removed by hand: {error}", self.name);
        }
    }
}

/// `whydrop-trace-PID-N`: who looks at the ruleset meanwhile sees whose it is.
fn unused_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("whydrop-trace-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
