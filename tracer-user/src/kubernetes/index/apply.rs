//! What a source tells, applied.
//!
//! Rule: one change costs microseconds, however many pods there are; only a new listing walks them.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use tracer_policy::model::{ObjectName, Pod, Text};
use tracer_policy::read::Object;

use crate::host::clock::monotonic;

use super::history::{History, Since};
use super::known::{Known, Said};
use super::{Change, Held, Index, Origin, PodSeen};

/// Pods that are gone and remembered, about 1 KiB each.
const MOST_DEAD: usize = 4096;
/// How late the API may tell of a pod that has an address by then, nanoseconds: its watch is some ms behind, and kubelet writes
/// a pod's status within seconds.
const API_LATE: u64 = 10 * 1_000_000_000;
/// Addresses, namespaces, containers and cgroups that pods had.
const MOST_GIVEN_UP: usize = 16_384;

/// What an origin said before, as far as it bounds since when an address is a pod's.
struct Former {
    told: u64,
    addresses: Box<[IpAddr]>,
}

impl Index {
    pub fn apply(&mut self, change: Change) {
        self.apply_at(change, monotonic());
    }

    /// The same, told at this time (`CLOCK_MONOTONIC`, nanoseconds).
    pub fn apply_at(&mut self, change: Change, now: u64) {
        match change {
            Change::Pod(seen) => self.seen(*seen, now),
            Change::PodGone { origin, id, uid, at } => self.gone(origin, &id, &uid, at, now),
            Change::PodsAre { origin, uids, at } => self.are(origin, &uids, at, now),
            Change::Object(Object::Pod(pod)) => {
                self.seen(PodSeen { origin: Origin::Api, pod, since: 0, netns: None, containers: Vec::new() }, now);
            }
            Change::Object(object) => self.cluster.add(&mut self.world, object),
            Change::Gone(gone) => self.cluster.remove(&mut self.world, &gone),
            Change::KindIs { kind, names } => self.cluster.keep_only(&mut self.world, kind, &names),
            Change::PodsKnown(known) => self.cluster.set_listed(known),
            Change::PoliciesKnown(known) => self.world.set_knows_policies(known),
        }
    }

    fn seen(&mut self, mut seen: PodSeen, now: u64) {
        self.shared.share(&mut seen.pod);
        let (origin, since) = (seen.origin, seen.since);
        let key = self.key(origin, &seen.pod.id, &seen.pod.uid);
        let said = Said::new(seen, now);
        let serial = self.serial;
        let known = self.pods.entry(key.clone()).or_insert_with(|| Known::new(Arc::clone(&said.pod), serial));
        self.serial += 1;
        let place = known.said_mut(origin);
        // Told late: what is gone stays gone, unless it began anew after that.
        let late = place.as_deref().and_then(|before| Some((before.gone?, before.told)));
        let late = late.filter(|(gone, told)| since <= *gone && (since != 0 || *told == 0));
        if late.is_some_and(|(_, told)| told != 0) {
            return;
        }
        let before = place.replace(Box::new(said)).filter(|before| before.gone.is_none());
        let former =
            before.as_deref().map(|before| Former { told: before.told, addresses: before.pod.addresses.clone() });
        self.hold(&key, before.as_deref());
        self.renew(&key, Some(&(origin, former)), now);
        if let Some((gone, _)) = late {
            self.end(&key, origin, gone);
        }
        self.had(&key, origin);
        self.forget();
    }

    /// The API tells of a pod that the runtime has only said to be gone: its addresses were its own before, nobody knows since when.
    fn had(&mut self, key: &Text, origin: Origin) {
        let Some(known) = self.pods.get(key).filter(|_| origin == Origin::Api) else { return };
        let ended = known.said(Origin::Runtime).filter(|said| said.told == 0).and_then(|said| said.gone);
        let (Some(gone), Some(said)) = (ended, known.said(Origin::Api)) else { return };
        for address in held(&said.pod).iter().map(IpAddr::to_canonical) {
            let since = Since { earliest: gone.saturating_sub(API_LATE), from: gone };
            give(self.addresses.entry(address), key, since).close(key, gone);
            self.given_up.push_back(Held::Address(address));
        }
    }

    /// The key of a pod. The runtime's uid of a static pod is the hash of its manifest, 32 hexadecimal digits (kubelet,
    /// pkg/kubelet/config/common.go); the API's is that of the mirror pod, with the same name.
    fn key(&mut self, origin: Origin, id: &ObjectName, uid: &Text) -> Text {
        let is_static = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
        if origin == Origin::Api {
            return self.statics.get(id).unwrap_or(uid).clone();
        }
        if is_static && !id.name.is_empty() && self.statics.get(id) != Some(uid) {
            let mirror = self.statics.insert(id.clone(), uid.clone());
            let mirror = mirror.or_else(|| self.world.pod(id).map(|pod| pod.uid.clone()));
            if let Some(mirror) = mirror.filter(|mirror| mirror != uid) {
                self.move_mirror(&mirror, uid);
            }
        }
        uid.clone()
    }

    /// What the API said of a static pod belongs to its present key.
    fn move_mirror(&mut self, from: &Text, to: &Text) {
        let Some(said) = self.pods.get_mut(from).and_then(|known| known.said_mut(Origin::Api).take()) else { return };
        for address in &said.pod.addresses {
            if let Some(history) = self.addresses.get_mut(&address.to_canonical()) {
                history.rename(from, to);
            }
        }
        if self.pods.get(from).is_some_and(|known| !known.is_here()) {
            self.pods.remove(from);
        }
        let serial = self.serial;
        let known = self.pods.entry(to.clone()).or_insert_with(|| Known::new(Arc::clone(&said.pod), serial));
        *known.said_mut(Origin::Api) = Some(said);
    }

    /// Containers and cgroups of what was just said, and those that are no more.
    fn hold(&mut self, key: &Text, before: Option<&Said>) {
        let Some(known) = self.pods.get(key) else { return };
        for container in known.containers() {
            if self.containers.get(&container.id) != Some(key) {
                self.containers.insert(container.id.clone(), key.clone());
            }
            self.cgroups.extend(container.cgroup.map(|cgroup| (cgroup, key.clone())));
        }
        let is_old = |id: &str| known.containers().all(|container| container.id != id);
        let old = before.into_iter().flat_map(|before| &before.containers).filter(|container| is_old(&container.id));
        for container in old {
            self.given_up.push_back(Held::Container(container.id.clone()));
            self.given_up.extend(container.cgroup.map(Held::Cgroup));
        }
    }

    fn gone(&mut self, origin: Origin, id: &ObjectName, uid: &Text, at: u64, now: u64) {
        let key = self.key(origin, id, uid);
        let at = if at == 0 { now } else { at };
        if !self.pods.contains_key(&key) {
            // It may be told late that it was there.
            let pod = Arc::new(Pod { id: id.clone(), ..Pod::new("", "", uid.clone()) });
            let said =
                Said { pod: Arc::clone(&pod), since: 0, told: 0, netns: None, containers: Box::default(), gone: None };
            let mut known = Known::new(pod, self.serial);
            *known.said_mut(origin) = Some(Box::new(said));
            self.pods.insert(key.clone(), known);
        }
        let is_same = self.pods.get(&key).and_then(|known| known.said(origin)).is_none_or(|said| said.pod.uid == *uid);
        if is_same {
            self.end(&key, origin, at);
        }
    }

    fn are(&mut self, origin: Origin, uids: &HashSet<Text>, at: u64, now: u64) {
        if origin == Origin::Api {
            self.cluster.set_listed(true);
        }
        let is_gone =
            |known: &Known| known.said(origin).is_some_and(|said| said.gone.is_none() && !uids.contains(&said.pod.uid));
        let gone: Vec<Text> =
            self.pods.iter().filter(|(_, known)| is_gone(known)).map(|(key, _)| key.clone()).collect();
        let at = if at == 0 { now } else { at };
        for key in &gone {
            self.end(key, origin, at);
        }
    }

    /// An origin has it no more.
    fn end(&mut self, key: &Text, origin: Origin, at: u64) {
        let Some(known) = self.pods.get_mut(key) else { return };
        let id = known.pod.id.clone();
        let place = known.said_mut(origin);
        match place {
            Some(said) if said.gone.is_none() => said.gone = Some(at),
            Some(_) => return,
            None => {
                let pod = Arc::new(Pod { id, ..Pod::new("", "", key.clone()) });
                let (netns, containers) = (None, Box::default());
                *place = Some(Box::new(Said { pod, since: 0, told: 0, netns, containers, gone: Some(at) }));
            }
        }
        self.renew(key, None, at);
        let Some(known) = self.pods.get(key).filter(|known| !known.is_here()) else { return };
        for container in known.containers() {
            self.given_up.push_back(Held::Container(container.id.clone()));
            self.given_up.extend(container.cgroup.map(Held::Cgroup));
        }
        self.dead.push_back(key.clone());
        self.forget();
    }

    /// Puts a pod together anew, and gives and takes what it has; `at` is when it lost what it has no more.
    fn renew(&mut self, key: &Text, told: Option<&(Origin, Option<Former>)>, at: u64) {
        let Some(known) = self.pods.get(key) else { return };
        let (before, had_netns) = (Arc::clone(&known.pod), known.netns);
        let merged = known.merged();
        let (pod, netns) = merged.clone().unwrap_or_else(|| (Arc::clone(&before), None));
        let now_has: &[IpAddr] = if merged.is_some() { held(&pod) } else { &[] };
        for address in held(&before).iter().filter(|address| !now_has.contains(address)) {
            self.give_up_address(address.to_canonical(), key, at);
        }
        for address in now_has {
            self.give_address(address.to_canonical(), key, told);
        }
        if let Some(had) = had_netns.filter(|had| netns != Some(*had))
            && self.netns.get_mut(&had).is_some_and(|history| history.close(key, at))
        {
            self.given_up.push_back(Held::Netns(had));
        }
        if let Some(netns) = netns {
            let since = self.pods.get(key).and_then(|known| Some(known.teller_of_netns()?.1.since)).unwrap_or(0);
            give(self.netns.entry(netns), key, Since::exactly(since));
        }
        self.show(key, &pod, merged.is_some());
        if let Some(known) = self.pods.get_mut(key) {
            (known.pod, known.netns) = (pod, netns);
        }
    }

    fn give_address(&mut self, address: IpAddr, key: &Text, told: Option<&(Origin, Option<Former>)>) {
        let Some((teller, said)) = self.pods.get(key).and_then(|known| known.teller_of_address(address)) else {
            return;
        };
        let mut since = said.since;
        let is_told_now = told.is_some_and(|(origin, _)| *origin == teller);
        let former = told.filter(|_| is_told_now).and_then(|(_, former)| former.as_ref());
        if let Some(former) = former.filter(|former| !former.addresses.contains(&address)) {
            // It had not got it when this origin spoke of it before.
            since = since.max(former.told);
        }
        // The runtime knows since when; the API only when it heard of it.
        let since = match teller {
            Origin::Api => Since::heard(since, API_LATE),
            Origin::Runtime | Origin::Process => Since::exactly(since),
        };
        let is_better = teller == Origin::Runtime && is_told_now && former.is_none() && since.from != 0;
        let history = give(self.addresses.entry(address), key, since);
        if is_better {
            history.correct(key, since);
        }
    }

    fn give_up_address(&mut self, address: IpAddr, key: &Text, at: u64) {
        if self.addresses.get_mut(&address).is_some_and(|history| history.close(key, at)) {
            self.given_up.push_back(Held::Address(address));
        }
    }

    /// Keeps the world in step: of two pods with one name, as a StatefulSet makes them one after the other, it has the newer.
    fn show(&mut self, key: &Text, pod: &Arc<Pod>, is_here: bool) {
        let shown = self.world.pod(&pod.id);
        let is_own = shown.is_some_and(|shown| shown.uid == pod.uid);
        if !is_here {
            if is_own {
                self.world.remove_pod(&pod.id);
            }
            return;
        }
        let is_same = shown.is_some_and(|shown| Arc::ptr_eq(shown, pod) || **shown == **pod);
        if is_same || pod.id.name.is_empty() {
            return;
        }
        let other = shown.filter(|_| !is_own).and_then(|shown| {
            let other_key = self.statics.get(&pod.id).filter(|_| shown.uid.len() == 32).unwrap_or(&shown.uid);
            self.pods.get(other_key).filter(|_| other_key != key)
        });
        let is_older = |known: &Known| {
            self.pods.get(key).is_some_and(|own| (own.since(), own.serial) < (known.since(), known.serial))
        };
        if !other.filter(|known| known.is_here()).is_some_and(is_older) {
            self.world.set_pod(Arc::clone(pod));
        }
    }

    /// Forgets what went longest ago, where it is too much.
    fn forget(&mut self) {
        while self.dead.len() > MOST_DEAD {
            let Some(key) = self.dead.pop_front() else { break };
            if self.pods.get(&key).is_some_and(|known| !known.is_here())
                && let Some(known) = self.pods.remove(&key)
                && self.statics.get(&known.pod.id) == Some(&key)
            {
                self.statics.remove(&known.pod.id);
            }
        }
        while self.given_up.len() > MOST_GIVEN_UP {
            match self.given_up.pop_front() {
                Some(Held::Address(address)) => forget_in(&mut self.addresses, &address),
                Some(Held::Netns(netns)) => forget_in(&mut self.netns, &netns),
                Some(Held::Container(id)) => {
                    let known = self.containers.get(&id).and_then(|key| self.pods.get(key));
                    let is_used = |known: &Known| known.is_here() && known.containers().any(|other| other.id == id);
                    if !known.is_some_and(is_used) {
                        self.containers.remove(&id);
                    }
                }
                Some(Held::Cgroup(id)) => {
                    let known = self.cgroups.get(&id).and_then(|key| self.pods.get(key));
                    let is_used =
                        |known: &Known| known.is_here() && known.containers().any(|other| other.cgroup == Some(id));
                    if !known.is_some_and(is_used) {
                        self.cgroups.remove(&id);
                    }
                }
                None => break,
            }
        }
    }
}

/// The addresses that are a pod's own.
fn held(pod: &Pod) -> &[IpAddr] {
    if pod.host_network || pod.is_finished { &[] } else { &pod.addresses }
}

fn give<'a, K>(entry: std::collections::hash_map::Entry<'a, K, History>, key: &Text, since: Since) -> &'a mut History {
    use std::collections::hash_map::Entry;
    match entry {
        Entry::Occupied(entry) => {
            let history = entry.into_mut();
            history.open(key, since);
            history
        }
        Entry::Vacant(entry) => entry.insert(History::new(key.clone(), since)),
    }
}

fn forget_in<K: std::hash::Hash + Eq>(histories: &mut std::collections::HashMap<K, History>, key: &K) {
    if histories.get_mut(key).is_some_and(|history| !history.forget_one()) {
        histories.remove(key);
    }
}
