//! Whether the other end of a veth can answer for an address.
//!
//! Rule: only what was read is said. Where the other end is a port of a bridge, others behind it may answer.

use std::net::IpAddr;

use super::link::Peer;
use crate::host::HostError;
use crate::host::error::NetlinkError;
use crate::node::recent::Recent;
use crate::node::route::{self, Address};
use crate::node::{Scene, sysctl};

/// Addresses of the other end that are kept.
const MOST_ADDRESSES: usize = 4;

/// The addresses of a namespace in a family, and its `arp_ignore` settings.
type Reading = (Result<Vec<Address>, NetlinkError>, Vec<(String, u32)>);

/// What was read a moment ago, by namespace, interface and whether it is IPv6.
#[derive(Debug, Default)]
pub(super) struct Memory(Recent<(u32, u32, bool), Result<Reading, HostError>>);

/// What the other end has to do with the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answerer {
    pub peer: Peer,
    /// The device there that has the address.
    pub holder: Option<Holder>,
    /// Addresses of the family that the other end has instead.
    pub addresses: Vec<IpAddr>,
    /// The `arp_ignore` settings there, as `(name, value)`; empty for IPv6.
    pub arp_ignore: Vec<(String, u32)>,
}

/// Who has the address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub device: u32,
    /// IPv6 found the address in use elsewhere, or is not yet done asking: it is not answered for.
    pub is_usable: bool,
    pub is_host_scope: bool,
}

impl Answerer {
    /// The `arp_ignore` that counts: the kernel takes the larger of `all` and the interface (`IN_DEV_MAXCONF`).
    pub fn arp_ignored(&self) -> Option<&(String, u32)> {
        let setting = self.arp_ignore.iter().max_by_key(|(_, value)| *value)?;
        let holder = self.holder.as_ref()?;
        let refuses = match setting.1 {
            1 | 2 => holder.device != self.peer.interface.index,
            3 => holder.is_host_scope,
            8.. => true,
            _ => false,
        };
        refuses.then_some(setting)
    }
}

/// Looks at the other end.
///
/// # Errors
/// Why its namespace cannot be entered.
pub(super) fn read(
    scene: &mut Scene<'_>,
    memory: &mut Memory,
    peer: Peer,
    asked: IpAddr,
) -> Result<Option<Answerer>, HostError> {
    let (netns, index) = (peer.netns.inode, peer.interface.index);
    let read = |scene: &mut Scene<'_>| {
        scene.inside_of(&peer.netns, || (route::addresses(asked.is_ipv6()), arp_ignore(asked, &peer.interface.name)))
    };
    let key = (netns, index, asked.is_ipv6());
    let Some(read) = scene.recent(&mut memory.0, "the addresses of the other end", key, read) else { return Ok(None) };
    let (addresses, arp_ignore) = read?;
    let addresses = addresses.map_err(|error| HostError::Interfaces { netns, error })?;
    let holder = addresses.iter().find(|found| found.prefix.address == asked).map(|found| Holder {
        device: found.device,
        is_usable: found.is_usable,
        is_host_scope: found.is_host_scope,
    });
    let own = addresses.iter().filter(|found| found.device == index).map(|found| found.prefix.address);
    Ok(Some(Answerer { addresses: own.take(MOST_ADDRESSES).collect(), peer, holder, arp_ignore }))
}

fn arp_ignore(asked: IpAddr, interface: &str) -> Vec<(String, u32)> {
    if asked.is_ipv6() || interface.contains('/') {
        return Vec::new();
    }
    let names = ["all", interface].map(|conf| format!("net/ipv4/conf/{conf}/arp_ignore"));
    let values = names.into_iter().filter_map(|name| {
        let value = sysctl::read(&name).ok()?.parse().ok()?;
        Some((sysctl::dotted(&name), value))
    });
    values.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::{Interface, Netns, NetnsName};

    fn answerer(value: u32, holder: u32) -> Answerer {
        let interface = Interface { index: 12, name: "s0".into(), ..Interface::default() };
        let netns = Netns { inode: 5, name: NetnsName::Named("pod".into()), doors: Vec::new() };
        Answerer {
            peer: Peer { netns, interface, is_here: false },
            holder: Some(Holder { device: holder, is_usable: true, is_host_scope: false }),
            addresses: Vec::new(),
            arp_ignore: vec![("net.ipv4.conf.all.arp_ignore".into(), value), ("net.ipv4.conf.s0.arp_ignore".into(), 0)],
        }
    }

    #[test]
    fn arp_ignore_refuses_by_its_value() {
        assert!(answerer(8, 12).arp_ignored().is_some());
        assert!(answerer(0, 12).arp_ignored().is_none());
        assert!(answerer(1, 12).arp_ignored().is_none(), "the address is on the asked interface");
        assert!(answerer(1, 1).arp_ignored().is_some(), "the address is on another interface");
        let nobody = Answerer { holder: None, ..answerer(8, 12) };
        assert!(nobody.arp_ignored().is_none());
    }
}
