//! Follows the selected pods: what the kernel's filter is to let through, and what of that was theirs at which time.
//!
//! Rule: what a pod has passes at once; what it has lost passes for [`GRACE`] more, for its last packets, but not once another pod
//! has it.

use std::collections::HashMap;
use std::net::IpAddr;

use tracer_common::MAX_POD_KEYS;

use super::{Reached, Selection};
use crate::kubernetes::{Holder, Index, Span};

/// How long the packets of a pod that is gone still pass, ns.
const GRACE: u64 = 5_000_000_000;
/// How long it is remembered what a pod had, ns: an attempt may be told half a minute after its last packet.
const REMEMBERED: u64 = 60_000_000_000;

/// What tells a pod's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Inode of its network namespace.
    Netns(u32),
    Address(IpAddr),
}

/// What the filter is to let through from now on, and what no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub add: Vec<Key>,
    pub remove: Vec<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    /// When the pod lost it, `CLOCK_MONOTONIC` ns.
    lost: Option<u64>,
    passes: bool,
}

/// The selected pods and what they have. Times are `CLOCK_MONOTONIC`, ns.
#[derive(Clone, Debug)]
pub struct Following {
    selection: Selection,
    held: HashMap<Key, Held>,
    most: usize,
    left_out: usize,
}

impl Following {
    pub fn new(selection: Selection) -> Self {
        Self { selection, held: HashMap::new(), most: MAX_POD_KEYS as usize, left_out: 0 }
    }

    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Takes what is known of the pods now.
    pub fn renew(&mut self, index: &Index, now: u64) -> Changes {
        let wanted = in_order(&self.selection.reach(index));
        self.left_out = wanted.len().saturating_sub(self.most);
        for held in self.held.values_mut() {
            held.lost = held.lost.or(Some(now));
        }
        let mut changes = Changes::default();
        for (number, key) in wanted.iter().enumerate() {
            let held = self.held.entry(*key).or_insert(Held { lost: None, passes: false });
            held.lost = None;
            let passes = number < self.most;
            if passes != held.passes {
                held.passes = passes;
                if passes { changes.add.push(*key) } else { changes.remove.push(*key) }
            }
        }
        let is_full = self.held.values().filter(|held| held.passes).count() > self.most;
        for (key, held) in &mut self.held {
            let Some(lost) = held.lost.filter(|_| held.passes) else { continue };
            if is_full || now >= lost.saturating_add(GRACE) || self.selection.is_of_another(index, *key, now) {
                held.passes = false;
                changes.remove.push(*key);
            }
        }
        self.held.retain(|_, held| held.lost.is_none_or(|lost| now < lost.saturating_add(REMEMBERED)));
        changes
    }

    /// When something has to go at the latest, if nothing changes until then.
    pub fn next_end(&self) -> Option<u64> {
        let leaving = self.held.values().filter(|held| held.passes);
        leaving.filter_map(|held| held.lost).min().map(|lost| lost.saturating_add(GRACE))
    }

    /// Whether something that began at this time may be of a selected pod, by what it had.
    pub fn had(&self, key: Key, began: u64) -> bool {
        self.held.get(&key).is_some_and(|held| held.lost.is_none_or(|lost| began <= lost))
    }

    /// Whether it is one of a selected pod, or was until a moment ago.
    pub fn has(&self, key: Key, now: u64) -> bool {
        self.had(key, now.saturating_sub(GRACE))
    }

    /// No pod that is selected is there.
    pub fn is_empty(&self) -> bool {
        self.held.values().all(|held| held.lost.is_some())
    }

    /// Namespaces and addresses that found no room.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

impl Selection {
    fn is_of_another(&self, index: &Index, key: Key, now: u64) -> bool {
        let holder = match key {
            Key::Netns(inode) => index.pod_of_netns(inode, Span::at(now)),
            Key::Address(address) => index.pod_at(address, Span::at(now)),
        };
        matches!(holder, Holder::Pod(pod) if !self.matches(&pod))
    }
}

/// What matters most first: all packets of the pods of this node pass here.
fn in_order(reached: &Reached) -> Vec<Key> {
    let mut netns: Vec<Key> = reached.netns.iter().copied().map(Key::Netns).collect();
    let (mut here, mut elsewhere): (Vec<Key>, Vec<Key>) = reached
        .addresses
        .iter()
        .copied()
        .map(Key::Address)
        .partition(|key| matches!(key, Key::Address(address) if reached.local.contains(address)));
    for keys in [&mut netns, &mut here, &mut elsewhere] {
        keys.sort_unstable();
    }
    [netns, here, elsewhere].concat()
}

#[cfg(test)]
mod tests {
    use tracer_policy::model::Pod;

    use super::*;
    use crate::kubernetes::{Change, Origin, PodSeen};

    const S: u64 = 1_000_000_000;

    fn seen(name: &str, app: &str, address: &str, netns: u32) -> Change {
        let pod = Pod {
            labels: [("app", app)].into_iter().collect(),
            addresses: [address.parse().unwrap()].into(),
            ..Pod::new("shop", name, name)
        };
        let netns = (netns != 0).then_some(netns);
        Change::Pod(Box::new(PodSeen { origin: Origin::Runtime, pod, since: 0, netns, containers: Vec::new() }))
    }

    fn gone(name: &str, at: u64) -> Change {
        let id = tracer_policy::model::ObjectName::new("shop", name);
        Change::PodGone { origin: Origin::Runtime, id, uid: name.into(), at }
    }

    fn following(selector: &str) -> Following {
        Following::new(Selection::parse(&[], &[], Some(selector)).unwrap())
    }

    fn address(text: &str) -> Key {
        Key::Address(text.parse().unwrap())
    }

    fn added(keys: &[Key]) -> Changes {
        Changes { add: keys.to_vec(), remove: Vec::new() }
    }

    #[test]
    fn a_pod_that_comes_later_is_in_and_others_are_not() {
        let (mut index, mut following) = (Index::default(), following("app=web"));
        index.apply(seen("db", "db", "10.1.0.9", 9));
        assert_eq!(following.renew(&index, S), Changes::default());
        assert!(following.is_empty());
        index.apply(seen("web", "web", "10.1.0.1", 7));
        assert_eq!(following.renew(&index, 2 * S), added(&[Key::Netns(7), address("10.1.0.1")]));
        assert_eq!(following.renew(&index, 3 * S), Changes::default(), "nothing is told twice");
        index.apply(seen("far", "web", "fd00::1", 0));
        assert_eq!(following.renew(&index, 4 * S), added(&[address("fd00::1")]));
        assert!(!following.is_empty() && !following.has(address("10.1.0.9"), 4 * S));
    }

    #[test]
    fn what_a_pod_has_lost_passes_for_a_while_and_is_remembered_for_longer() {
        let (mut index, mut following) = (Index::default(), following("app=web"));
        index.apply(seen("web", "web", "10.1.0.1", 0));
        following.renew(&index, S);
        index.apply(gone("web", 2 * S));
        assert_eq!(following.renew(&index, 2 * S), Changes::default());
        assert_eq!(following.next_end(), Some(2 * S + GRACE));
        let removed = Changes { add: Vec::new(), remove: vec![address("10.1.0.1")] };
        assert_eq!(following.renew(&index, 2 * S + GRACE), removed);
        assert_eq!(following.next_end(), None);
        assert!(following.had(address("10.1.0.1"), 2 * S) && !following.had(address("10.1.0.1"), 2 * S + 1));
        assert_eq!(following.renew(&index, 2 * S + REMEMBERED), Changes::default());
        assert!(!following.had(address("10.1.0.1"), S) && following.held.is_empty());
    }

    #[test]
    fn what_another_pod_has_by_now_is_out_at_once() {
        let (mut index, mut following) = (Index::default(), following("app=web"));
        index.apply(seen("web", "web", "10.1.0.1", 0));
        following.renew(&index, S);
        index.apply(gone("web", 2 * S));
        following.renew(&index, 2 * S);
        index.apply(seen("db", "db", "10.1.0.1", 0));
        assert_eq!(following.renew(&index, 2 * S + 1).remove, [address("10.1.0.1")]);
        index.apply(gone("db", 3 * S));
        index.apply(seen("web-2", "web", "10.1.0.1", 0));
        assert_eq!(following.renew(&index, 3 * S), added(&[address("10.1.0.1")]));
    }

    #[test]
    fn where_there_is_no_room_for_all_those_of_this_node_are_in() {
        let (mut index, mut following) = (Index::default(), following("app=web"));
        following.most = 3;
        for number in 1..=5 {
            index.apply(seen(&format!("far-{number}"), "web", &format!("10.1.0.{number}"), 0));
        }
        assert_eq!(following.renew(&index, S).add.len(), 3);
        assert_eq!(following.left_out(), 2);
        index.apply(seen("near", "web", "10.9.0.1", 7));
        let changes = following.renew(&index, 2 * S);
        assert_eq!((changes.add.as_slice(), changes.remove.len()), (&[Key::Netns(7), address("10.9.0.1")][..], 2));
        assert_eq!(following.held.values().filter(|held| held.passes).count(), 3);
        assert!(following.has(address("10.1.0.5"), 2 * S), "it is a selected pod's, whether it passes or not");
        index.apply(gone("far-1", 3 * S));
        let changes = following.renew(&index, 3 * S);
        assert_eq!(
            (changes.add.len(), changes.remove.as_slice()),
            (1, &[address("10.1.0.1")][..]),
            "no grace where others wait"
        );
    }

    #[test]
    fn a_pod_on_its_nodes_network_has_nothing_of_its_own() {
        let mut index = Index::default();
        let Change::Pod(mut proxy) = seen("proxy", "web", "192.0.2.1", 0) else { unreachable!() };
        proxy.pod.host_network = true;
        index.apply(Change::Pod(proxy));
        let following = following("app=web");
        let reached = following.selection().reach(&index);
        assert!(reached.addresses.is_empty() && reached.netns.is_empty());
        assert_eq!(reached.on_host_network.len(), 1);
    }
}
