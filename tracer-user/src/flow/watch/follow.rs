//! One namespace: its devices that are attached to, and how they come and go.
//!
//! Rules: a namespace is looked at soon after the kernel tells of a change, but never for more than a tenth of the time; and not
//! kept alive: when nothing else leads to it any more, it is left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::{Attached, Programs, Refused};
use super::events::Events;
use super::handle::Hooks;
use super::notes::{Map, Notes};
use super::select::{Selection, Wanted, select};
use super::{hidden, look};
use crate::flow::Point;
use crate::host::clock::monotonic;
use crate::host::{Facts, HostError, Netns, NetnsName, enter, interface};

/// Events come in groups: a pair, its addresses, its state.
const GATHER: Duration = Duration::from_millis(10);
/// Between two looks at least this, and so many times what the last one took.
const PAUSE: Duration = Duration::from_millis(20);
const SHARE: u32 = 10;
/// The same for what may be long: routes, and who is behind which id.
const LONG_PAUSE: Duration = Duration::from_millis(250);
const LONG_SHARE: u32 = 50;
/// Devices attached to in a namespace.
const MOST_DEVICES: usize = 4096;
/// Devices attached to at once, uplinks first: for each link the kernel waits until no processor uses the old list of programs
/// (`tcx_entry_sync`, include/net/tcx.h), some 10 ms.
const MOST_AT_ONCE: usize = 16;

/// A device that is attached to.
#[derive(Debug)]
struct Device {
    wanted: Wanted,
    attached: Attached,
    leads_to: Option<Arc<Netns>>,
}

/// Something that takes long to read.
#[derive(Debug)]
struct Slow<T> {
    value: T,
    is_stale: bool,
    /// Not read again before.
    next: Instant,
}

impl<T> Slow<T> {
    fn new(value: T, now: Instant) -> Self {
        Self { value, is_stale: true, next: now }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.is_stale && self.next <= now
    }

    fn set(&mut self, value: T, took: Duration) {
        self.value = value;
        self.is_stale = false;
        self.next = Instant::now() + LONG_PAUSE.max(took.saturating_mul(LONG_SHARE));
    }
}

/// What a look needs.
pub(super) struct With<'a> {
    pub(super) programs: &'a Programs,
    pub(super) facts: &'a Facts,
    pub(super) notes: &'a mut Notes,
    pub(super) map: &'a mut Map,
}

#[derive(Debug)]
pub(super) struct Watched {
    netns: Arc<Netns>,
    events: Events,
    devices: BTreeMap<u32, Device>,
    gateways: Slow<HashSet<u32>>,
    /// Inodes of other namespaces by the id that this one gives them.
    ids: Slow<HashMap<i32, u32>>,
    /// When it is to be looked at.
    due: Option<Instant>,
    not_before: Instant,
    /// Whether all is still attached is to be looked at too.
    verify: bool,
    /// There is more to attach to than was done at once.
    is_behind: bool,
    /// It was not looked at yet.
    is_new: bool,
    /// The last device that could not be attached to, and why.
    refused: Option<(String, Refused)>,
}

impl Watched {
    /// Listens first, so that nothing is missed between that and the first look.
    pub(super) fn new(netns: Netns, now: Instant) -> Result<Self, HostError> {
        Ok(Self {
            events: Events::open(&netns)?,
            netns: Arc::new(netns),
            devices: BTreeMap::new(),
            gateways: Slow::new(HashSet::new(), now),
            ids: Slow::new(HashMap::new(), now),
            due: Some(now),
            not_before: now,
            verify: false,
            is_behind: false,
            is_new: true,
            refused: None,
        })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.events.fd()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due.map(|due| due.max(self.not_before))
    }

    /// Takes the kernel's events.
    pub(super) fn hear(&mut self, map: &mut Map) {
        let changes = self.events.take();
        let now = Instant::now();
        for index in changes.removed {
            self.lose(index, map, now);
        }
        self.verify |= changes.lost;
        self.gateways.is_stale |= changes.routes || changes.lost;
        if changes.links || changes.lost {
            self.look_at(now + GATHER);
        } else if changes.routes {
            self.look_at((now + GATHER).max(self.gateways.next));
        }
    }

    fn look_at(&mut self, time: Instant) {
        self.due = Some(self.due.map_or(time, |due| due.min(time)));
    }

    /// Every second or so: whether it is still somebody's, and, if `verify`, whether all is still attached. False if it is to be
    /// left.
    pub(super) fn check(&mut self, facts: &Facts, verify: bool, now: Instant) -> bool {
        if self.netns.name != NetnsName::Host && enter::open(&self.netns).is_err() {
            // Another process may be in it still.
            match facts.netns(self.netns.inode).filter(|known| enter::open(known).is_ok()) {
                Some(known) => self.netns = Arc::new(known.clone()),
                None => return false,
            }
        }
        let is_open = |device: &Device| device.wanted.peer.is_some() && device.leads_to.is_none();
        if self.devices.values().any(is_open) {
            self.ids.is_stale = true;
            self.look_at(now.max(self.ids.next));
        }
        if verify {
            self.verify = true;
            self.look_at(now);
        }
        true
    }

    /// Attaches to what is new, and detaches from what is not wanted any more.
    pub(super) fn look(&mut self, with: &mut With<'_>) {
        self.due = None;
        self.is_behind = false;
        let (selection, took) = timed(|| self.read(with.facts, Instant::now()));
        self.not_before = Instant::now() + PAUSE.max(took.saturating_mul(SHARE));
        match selection {
            Ok(selection) => self.take(selection, with),
            Err(HostError::Gone { .. }) => {}
            Err(error) => with.notes.add(self.named(format!("attempts are not seen there: {error}"))),
        }
        if self.gateways.is_stale {
            self.look_at(self.gateways.next);
        }
    }

    /// Whether nothing is attached to.
    pub(super) fn is_blind(&self) -> bool {
        self.devices.is_empty()
    }

    /// The last device that could not be attached to, and why.
    pub(super) fn refused(&self) -> Option<(&str, Refused)> {
        self.refused.as_ref().map(|(name, refused)| (name.as_str(), *refused))
    }

    /// Says that there is nothing to attach to.
    pub(super) fn note_blind(&self, notes: &mut Notes) {
        notes.add(self.named("no attempts are seen there so far: no interface leads out of it".to_owned()));
    }

    /// Counts the devices that are attached to.
    pub(super) fn count(&self, hooks: &mut Hooks) {
        self.devices.values().for_each(|device| device.attached.count(hooks));
    }

    /// Whether there are devices that were left for the next look.
    pub(super) fn is_behind(&self) -> bool {
        self.is_behind
    }

    fn read(&mut self, facts: &Facts, now: Instant) -> Result<Selection, HostError> {
        let inode = self.netns.inode;
        let failed = |error| HostError::Interfaces { netns: inode, error };
        let (read_gateways, read_ids) = (self.gateways.is_due(now), self.ids.is_due(now));
        let (table, gateways, ids) = enter::visit(&self.netns, || {
            let gateways = read_gateways.then(|| timed(look::gateways));
            let table = interface::read().map_err(failed)?;
            let has_pairs = table.iter().any(|interface| interface.link.is_some_and(|link| link.nsid.is_some()));
            let ids = (read_ids && has_pairs).then(|| timed(|| look::ids(facts)));
            Ok((table, gateways, ids))
        })?;
        match gateways {
            Some((Ok(gateways), took)) => self.gateways.set(gateways, took),
            // More routes than are read: what was known stays.
            Some((Err(error), took)) => {
                tracing::debug!("routes of network namespace {inode}: {error}");
                let known = std::mem::take(&mut self.gateways.value);
                self.gateways.set(known, took);
            }
            None => {}
        }
        if let Some((ids, took)) = ids {
            self.ids.set(ids, took);
        }
        Ok(select(&table, &self.gateways.value))
    }

    fn take(&mut self, selection: Selection, with: &mut With<'_>) {
        let now = Instant::now();
        for sentence in selection.unreadable {
            with.notes.add(self.named(sentence));
        }
        let mut wanted: BTreeMap<u32, Wanted> =
            selection.devices.into_iter().map(|wanted| (wanted.index, wanted)).collect();
        let is_other = |index: &u32, device: &mut Device| {
            wanted
                .get(index)
                .is_none_or(|wanted| (wanted.layer, &wanted.kind) != (device.wanted.layer, &device.wanted.kind))
        };
        for (index, device) in self.devices.extract_if(.., is_other).collect::<Vec<_>>() {
            device.attached.detach(&self.netns);
            with.map.leaves(self.netns.inode, index, now);
        }
        let verify = std::mem::take(&mut self.verify);
        if verify {
            self.drop_detached(with.map, now);
        }
        for (index, device) in &mut self.devices {
            if let Some(wanted) = wanted.remove(index) {
                device.wanted = wanted;
            }
        }
        self.attach(wanted.into_values().collect(), with);
        if verify || std::mem::take(&mut self.is_new) {
            self.note_hidden(with.notes);
        }
        self.tell(with);
    }

    fn note_hidden(&self, notes: &mut Notes) {
        let (devices, is_host) = (&self.devices, self.netns.name == NetnsName::Host);
        let look = || Ok(hidden::of(devices.values().map(|device| &device.wanted), is_host));
        for sentence in enter::visit(&self.netns, look).unwrap_or_default() {
            notes.add(self.named(sentence));
        }
    }

    /// Forgets devices where our programs are not attached any more: somebody detached them, or the device is another one.
    fn drop_detached(&mut self, map: &mut Map, now: Instant) {
        let devices = &self.devices;
        let gone = enter::visit(&self.netns, || {
            let gone = devices.iter().filter(|(_, device)| !device.attached.is_there());
            Ok(gone.map(|(index, _)| *index).collect::<Vec<_>>())
        });
        for index in gone.unwrap_or_default() {
            if let Some(device) = self.devices.remove(&index) {
                device.attached.detach(&self.netns);
                // Attached to again, it is back at once.
                map.leaves(self.netns.inode, index, now);
            }
        }
    }

    fn attach(&mut self, mut new: Vec<Wanted>, with: &mut With<'_>) {
        let room = MOST_DEVICES.saturating_sub(self.devices.len());
        if new.len() > room {
            let sentence = format!("{} devices are not attached to: more than {MOST_DEVICES}", new.len() - room);
            with.notes.add(self.named(sentence));
            new.truncate(room);
        }
        new.sort_by_key(|wanted| (wanted.role, wanted.index));
        if new.len() > MOST_AT_ONCE {
            new.truncate(MOST_AT_ONCE);
            self.is_behind = true;
            self.look_at(Instant::now());
        }
        if new.is_empty() {
            return;
        }
        let programs = with.programs;
        let attach = |wanted: &Wanted| programs.attach(wanted.index, wanted.layer).map(|done| (done, monotonic()));
        let done = enter::visit(&self.netns, || Ok(new.iter().map(attach).collect::<Vec<_>>()));
        let done: Vec<Result<(Attached, u64), Refused>> = match done {
            Ok(done) => done,
            Err(HostError::Gone { .. }) => return,
            Err(error) => {
                with.notes.add(self.named(format!("attempts are not seen there: {error}")));
                return;
            }
        };
        for (wanted, result) in new.into_iter().zip(done) {
            match result {
                Ok((attached, at)) => {
                    self.note(&wanted, &attached, with.notes);
                    with.map.attached(self.netns.inode, wanted.index, at);
                    self.devices.insert(wanted.index, Device { wanted, attached, leads_to: None });
                }
                Err(refused) if refused.is_gone() => {}
                Err(refused) => {
                    let sentence =
                        format!("attempts on {} are not seen: it can't be attached to ({refused})", wanted.name);
                    with.notes.add(self.named(sentence));
                    self.refused = Some((wanted.name, refused));
                }
            }
        }
    }

    fn note(&self, wanted: &Wanted, attached: &Attached, notes: &mut Notes) {
        if attached.is_behind_others() {
            let sentence = format!(
                "on {} other filters run before whydrop's: attempts that they decide are not seen there",
                wanted.name
            );
            notes.add(self.named(sentence));
        }
    }

    /// Puts all devices on the map, as they are now.
    fn tell(&mut self, with: &mut With<'_>) {
        let unknown = |device: &Device, ids: &HashMap<i32, u32>| {
            device.wanted.peer.is_some_and(|id| device.leads_to.is_none() && !ids.contains_key(&id))
        };
        if !self.ids.is_stale && self.devices.values().any(|device| unknown(device, &self.ids.value)) {
            self.ids.is_stale = true;
            self.look_at(self.ids.next);
        }
        for (index, device) in &mut self.devices {
            let inode = device.wanted.peer.and_then(|id| self.ids.value.get(&id));
            if device.leads_to.as_ref().map(|known| known.inode) != inode.copied() {
                device.leads_to = inode.and_then(|inode| with.facts.netns(*inode)).cloned().map(Arc::new);
            }
            with.map.set(Point {
                netns: Arc::clone(&self.netns),
                index: *index,
                name: device.wanted.name.clone(),
                role: device.wanted.role,
                leads_to: device.leads_to.clone(),
                kind: device.wanted.kind.clone(),
            });
        }
    }

    /// The device is gone, and what was attached with it.
    fn lose(&mut self, index: u32, map: &mut Map, now: Instant) {
        if let Some(device) = self.devices.remove(&index) {
            drop(device);
            map.leaves(self.netns.inode, index, now);
        }
    }

    /// Detaches from all devices.
    pub(super) fn leave(&mut self, map: &mut Map) {
        let now = Instant::now();
        while let Some((index, device)) = self.devices.pop_first() {
            device.attached.detach(&self.netns);
            map.leaves(self.netns.inode, index, now);
        }
    }

    fn named(&self, sentence: String) -> String {
        match self.netns.name {
            NetnsName::Host => sentence,
            _ => format!("{}: {sentence}", self.netns.name),
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (work(), began.elapsed())
}
