//! The immutable snapshot of the host that enrichers read.
//!
//! Rule: looking something up is a hash and a binary search, never a system call; what is missing says why.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::HostError;
use super::interface::{Interface, InterfaceTable};
use super::netns::{HostNetns, Netns};

/// Something an event mentions that the facts do not hold: a question to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unknown {
    /// Inode; 0 is never asked for.
    pub netns: u32,
    /// 0 when only the namespace is unknown.
    pub ifindex: u32,
    /// Tells the namespace from another one with the same number; 0 if the event does not say.
    pub cookie: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    netns: Arc<Netns>,
    /// As it was when its interfaces were read; `None` before, and on kernels that do not tell.
    cookie: Option<u64>,
    interfaces: Arc<Result<InterfaceTable, HostError>>,
}

/// Namespaces and their interfaces. Cloning copies a table of pointers.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    namespaces: HashMap<u32, Entry>,
    host: Option<HostNetns>,
}

impl Facts {
    pub fn netns(&self, inode: u32) -> Option<&Netns> {
        self.namespaces.get(&inode).map(|entry| &*entry.netns)
    }

    pub fn interface(&self, netns: u32, index: u32) -> Option<&Interface> {
        self.interfaces(netns).ok()?.get(index)
    }

    /// All interfaces of a namespace, or why they are not known.
    pub fn interfaces(&self, netns: u32) -> Result<&InterfaceTable, HostError> {
        let entry = self.namespaces.get(&netns).ok_or(HostError::NoWayIn { netns })?;
        entry.interfaces.as_ref().as_ref().map_err(Clone::clone)
    }

    /// Whether what is known under this number is of another namespace than the one with this cookie.
    pub fn is_another(&self, netns: u32, cookie: u64) -> bool {
        let known = self.namespaces.get(&netns).and_then(|entry| entry.cookie);
        cookie != 0 && known.is_some_and(|known| known != cookie)
    }

    /// The same without what is known of one namespace.
    #[must_use]
    pub fn without(&self, netns: u32) -> Self {
        let mut facts = self.clone();
        facts.remove(netns);
        facts
    }

    pub fn knows(&self, unknown: Unknown) -> bool {
        if self.is_another(unknown.netns, unknown.cookie) {
            return false;
        }
        match unknown.ifindex {
            0 => self.namespaces.contains_key(&unknown.netns),
            index => self.interface(unknown.netns, index).is_some(),
        }
    }

    /// Why something is not known; none when it is.
    pub fn why_unknown(&self, unknown: Unknown) -> Option<HostError> {
        let Unknown { netns, ifindex: index, .. } = unknown;
        if self.knows(unknown) {
            return None;
        }
        Some(self.interfaces(netns).err().unwrap_or(HostError::NoInterface { netns, index }))
    }

    /// The namespace that is called `host`; none before the first reading.
    pub fn host(&self) -> Option<HostNetns> {
        self.host
    }

    pub fn namespaces(&self) -> impl Iterator<Item = &Netns> {
        self.namespaces.values().map(|entry| &*entry.netns)
    }

    /// Sets a namespace and forgets its interfaces.
    pub fn set_netns(&mut self, netns: Netns) {
        let inode = netns.inode;
        let interfaces = Arc::new(Err(HostError::NotReadYet { netns: inode }));
        self.namespaces.insert(inode, Entry { netns: Arc::new(netns), cookie: None, interfaces });
    }

    /// Sets new ways into a namespace that is the same as before.
    pub(super) fn set_doors(&mut self, netns: Netns) {
        if let Some(entry) = self.namespaces.get_mut(&netns.inode) {
            entry.netns = Arc::new(netns);
        }
    }

    /// Sets the interfaces of a namespace; nothing when the namespace is not there.
    pub fn set_interfaces(&mut self, netns: u32, interfaces: Result<InterfaceTable, HostError>) {
        if let Some(entry) = self.namespaces.get_mut(&netns) {
            entry.interfaces = Arc::new(interfaces);
        }
    }

    /// Sets what tells a namespace from another one with its number.
    pub(super) fn set_cookie(&mut self, netns: u32, cookie: Option<u64>) {
        if let Some(entry) = self.namespaces.get_mut(&netns) {
            entry.cookie = cookie;
        }
    }

    pub fn set_host(&mut self, host: HostNetns) {
        self.host = Some(host);
    }

    pub(super) fn remove(&mut self, netns: u32) {
        self.namespaces.remove(&netns);
    }
}

#[cfg(test)]
mod tests {
    use super::super::netns::NetnsName;
    use super::*;

    #[test]
    fn every_unknown_has_its_own_reason() {
        let mut facts = Facts::default();
        let ask = |netns, ifindex| Unknown { netns, ifindex, cookie: 0 };
        assert_eq!(facts.why_unknown(ask(5, 0)), Some(HostError::NoWayIn { netns: 5 }));

        facts.set_netns(Netns { inode: 5, name: NetnsName::Host, doors: Vec::new() });
        assert_eq!(facts.why_unknown(ask(5, 0)), None);
        assert_eq!(facts.why_unknown(ask(5, 2)), Some(HostError::NotReadYet { netns: 5 }));

        let lo = Interface { index: 1, name: "lo".into(), ..Interface::default() };
        facts.set_interfaces(5, Ok(InterfaceTable::new(vec![lo], false)));
        assert_eq!(facts.interface(5, 1).unwrap().name, "lo");
        assert_eq!(facts.why_unknown(ask(5, 2)), Some(HostError::NoInterface { netns: 5, index: 2 }));

        facts.set_cookie(5, Some(77));
        for (cookie, is_another) in [(0, false), (77, false), (78, true)] {
            assert_eq!(facts.is_another(5, cookie), is_another);
            assert_eq!(facts.knows(Unknown { netns: 5, ifindex: 0, cookie }), !is_another);
        }
        assert!(!facts.is_another(6, 78) && facts.without(5).netns(5).is_none());

        facts.set_interfaces(5, Err(HostError::Gone { netns: 5 }));
        assert_eq!(facts.why_unknown(ask(5, 1)), Some(HostError::Gone { netns: 5 }));
    }
}
