//! The world as the kernel shows it to the calling thread's network namespace.
//!
//! Rule: nothing is asked before a rule wants to know it, and the same thing is not asked twice in the life of a
//! [`Live`]: it stands for one moment. Its methods are called on a thread of the namespace that it is to speak for.

mod address;
mod change;
mod device;
mod error;
mod policy;
mod route;
mod socket;
mod table;
#[cfg(test)]
mod tests;

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

pub use change::{counter, is_legacy_unchanged, is_nft_unchanged};
pub use error::RouteError;

use crate::ipset::{self, IpSet};
use crate::model::{Elements, Family, Ruleset, Table};
use crate::packet::Device;
use crate::world::{RouteAnswer, RouteQuestion, Unanswered, World};
use crate::{legacy, nft};

/// All rules of the calling thread's network namespace, of nf_tables and of x_tables.
///
/// Needs CAP_NET_ADMIN in the user namespace that owns the network namespace.
pub fn ruleset() -> Ruleset {
    let mut gaps = Vec::new();
    let nft = nft::read().unwrap_or_else(|error| {
        gaps.push(format!("the rules of nf_tables could not be read: {error}"));
        nft::Reading::default()
    });
    let (legacy_tables, legacy_gaps) = legacy::read();
    gaps.extend(nft.gaps);
    gaps.extend(legacy_gaps);
    let mut tables = nft.tables;
    tables.extend(legacy_tables);
    Ruleset { generation: nft.generation, tables, gaps }
}

/// What the kernel answers, kept.
type Kept<Q, A> = RefCell<HashMap<Q, Result<A, Unanswered>>>;

/// Sets, addresses and routes of the calling thread's network namespace, read when they are asked for.
#[derive(Debug, Default)]
pub struct Live {
    elements: Kept<(Family, String, String), Arc<Elements>>,
    ipsets: Kept<u16, Arc<IpSet>>,
    kinds: Kept<(IpAddr, u32), u8>,
    routes: Kept<RouteQuestion, RouteAnswer>,
    devices: Kept<u32, Device>,
    /// IPv4's routing tables by number, as far as they were needed.
    tables: Kept<u32, Arc<table::RoutingTable>>,
    policies: OnceCell<Result<policy::Policies, RouteError>>,
    /// IPv6 addresses with the devices that they stand on.
    addresses: OnceCell<Result<Vec<(Ipv6Addr, u32)>, RouteError>>,
}

impl Live {
    pub fn new() -> Self {
        Self::default()
    }

    /// One of IPv4's routing tables.
    fn table(&self, number: u32) -> Result<Arc<table::RoutingTable>, Unanswered> {
        keep(&self.tables, number, || {
            table::RoutingTable::read(number)
                .map(Arc::new)
                .map_err(|error| format!("the routing table {number}: {error}"))
        })
    }

    /// IPv4's policy rules.
    fn policies(&self) -> Result<&policy::Policies, Unanswered> {
        let policies = self.policies.get_or_init(policy::Policies::read);
        policies.as_ref().map_err(|error| format!("the routing policy (ip rule): {error}"))
    }
}

/// Gives the answer that is kept, or keeps a new one. Nothing is borrowed while the question is asked.
fn keep<Q: Hash + Eq, A: Clone>(
    kept: &Kept<Q, A>,
    question: Q,
    ask: impl FnOnce() -> Result<A, Unanswered>,
) -> Result<A, Unanswered> {
    if let Some(answer) = kept.borrow().get(&question) {
        return answer.clone();
    }
    let answer = ask();
    kept.borrow_mut().insert(question, answer.clone());
    answer
}

impl World for Live {
    fn elements(&self, table: &Table, set: &str) -> Result<Arc<Elements>, Unanswered> {
        keep(&self.elements, (table.family, table.name.clone(), set.to_owned()), || {
            let elements = nft::elements(table, set);
            elements.map(Arc::new).map_err(|error| format!("the elements of set {set}: {error}"))
        })
    }

    fn ipset(&self, index: u16) -> Result<Arc<IpSet>, Unanswered> {
        keep(&self.ipsets, index, || {
            let name = ipset::by_index(index).map_err(|error| format!("the ipset with index {index}: {error}"))?;
            ipset::read(&name).map(Arc::new).map_err(|error| format!("the members of ipset {name}: {error}"))
        })
    }

    fn address_kind(&self, address: IpAddr, device: u32) -> Result<u8, Unanswered> {
        keep(&self.kinds, (address, device), || match address {
            IpAddr::V4(address) => address::of_ipv4(self, address, device),
            IpAddr::V6(address) => address::of_ipv6(self, address, device),
        })
    }

    fn route(&self, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
        keep(&self.routes, *question, || route::ask(self, question))
    }

    fn device(&self, index: u32) -> Result<Device, Unanswered> {
        keep(&self.devices, index, || {
            device::read(index).map_err(|error| format!("the device with index {index}: {error}"))
        })
    }
}
