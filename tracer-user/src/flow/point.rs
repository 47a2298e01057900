//! Devices that the tc programs are attached to: what each is and where it leads.

use std::collections::HashMap;
use std::sync::Arc;

use crate::host::Netns;

/// Where a device leads, seen from its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Out of the namespace: a network card, or whatever its gateway is reached by. A pod's own `eth0` is the pod's uplink.
    Uplink,
    /// To a namespace of this machine: the host's side of a pod's veth.
    Pod,
    /// Into something whose packets pass another device of the namespace again: vxlan, geneve, IP in IP, WireGuard; a pair with both
    /// ends in the namespace.
    Tunnel,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    pub netns: Arc<Netns>,
    pub index: u32,
    /// As the kernel has it; not sanitised.
    pub name: String,
    pub role: Role,
    /// The namespace at the other end of a veth, where it is known.
    pub leads_to: Option<Arc<Netns>>,
    /// The driver's kind: `veth`, `vxlan`, …; none for a network card.
    pub kind: Option<String>,
}

/// All devices that are attached to, by namespace inode and index. A device that went away stays as long as packets may be told
/// of it.
#[derive(Clone, Debug, Default)]
pub struct Points(HashMap<(u32, u32), Arc<Point>>);

impl Points {
    pub fn get(&self, netns: u32, index: u32) -> Option<&Arc<Point>> {
        self.0.get(&(netns, index))
    }

    pub fn insert(&mut self, point: Point) {
        self.0.insert((point.netns.inode, point.index), Arc::new(point));
    }

    pub fn remove(&mut self, netns: u32, index: u32) {
        self.0.remove(&(netns, index));
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Point>> {
        self.0.values()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
