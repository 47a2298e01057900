//! Drops that no tracepoint shows, found by counters of the kernel and of network cards that rose.
//!
//! Rules: only counters of packets that no drop event shows are watched ([`table`] lists them); the first look at a
//! namespace or a device is the baseline, so counts of all time are never told as drops; a counter that went back (a
//! number that was given to another namespace or device, a card that was reset) is a new baseline.

mod baseline;
mod ethtool;
mod handle;
mod link;
mod listener;
mod look;
mod snmp;
pub mod table;

use std::time::SystemTime;

pub use handle::{CounterHandle, Plan, spawn};
pub use listener::{Listener, Listening};
pub use table::{Card, Protocol};

use crate::host::Netns;

/// Which counters may be told of, by what the user filters for. A counter has no addresses, ports or reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    All,
    /// Those of interfaces with these names only.
    Interfaces(Vec<String>),
    Nothing,
}

impl Scope {
    fn has_protocols(&self) -> bool {
        *self == Self::All
    }

    fn has_device(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Interfaces(names) => names.iter().any(|wanted| wanted == name),
            Self::Nothing => false,
        }
    }
}

/// A counter that rose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rise {
    /// When it was read.
    pub read: SystemTime,
    pub netns: Netns,
    /// As the kernel has it: `TcpExtListenOverflows`, `rx_missed_errors`, or as the driver has it.
    pub name: String,
    pub before: u64,
    /// More than 0.
    pub delta: u64,
    pub what: What,
}

/// What a counter counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Connection attempts that a listener had no room for.
    Listen(&'static Protocol, Listening),
    Protocol(&'static Protocol),
    Device(Device),
}

/// A network device with a counter that rose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub index: u32,
    /// As the kernel has it; not sanitised.
    pub name: String,
    /// `ena`, `mlx5_core`, `virtio_net`, ….
    pub driver: Option<String>,
    pub card: &'static Card,
    /// Further counters of the same packets that rose as well, with by how much.
    pub alike: Vec<(String, u64)>,
}
