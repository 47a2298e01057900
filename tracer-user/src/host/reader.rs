//! Keeps [`Facts`] true: reads everything once, then what is asked for, then again from time to time.
//!
//! Rules: no reading takes more than about one hundredth of one CPU over time (a pass that took 20 ms is not repeated
//! within 2 s), and a namespace's inode number may be given to another one after it is gone, so what is known is
//! checked again every few seconds. No notification socket is kept inside a namespace: it would keep it alive.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::backoff::Backoff;
use super::enter;
use super::error::HostError;
use super::facts::{Facts, Unknown};
use super::folders;
use super::interface;
use super::netns::{self, Netns, Scan};

/// Passes over `/proc` are at least so far apart, and at least [`COST`] times their own length.
const SCAN_EVERY: Duration = Duration::from_secs(1);
const COST: u32 = 100;
/// Without any question or new name, the namespaces are looked at again after this time.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// An interface table this old is read again: interfaces are renamed and replaced.
const TABLE_AGE: Duration = Duration::from_mins(1);
/// A namespace that is gone keeps its name for this long: counts of its drops are still to be shown.
const KEEP_GONE: Duration = Duration::from_mins(1);
/// The first snapshot reads the interfaces of at most so many namespaces, in at most this time.
const EAGER_NAMESPACES: usize = 2000;
const EAGER_TIME: Duration = Duration::from_secs(1);
/// Later readings are smaller, so that a question does not wait long for its answer.
const BATCH_NAMESPACES: usize = 256;
const BATCH_TIME: Duration = Duration::from_millis(250);

/// When something was last seen or read.
#[derive(Clone, Copy, Debug)]
struct Age {
    seen: Instant,
    /// None: its interfaces have not been read.
    read: Option<Instant>,
}

#[derive(Debug)]
pub struct Reader {
    proc: PathBuf,
    facts: Facts,
    ages: HashMap<u32, Age>,
    scan_from: Option<Instant>,
    refresh_from: Option<Instant>,
    /// When the last pass began.
    scanned: SystemTime,
    /// Namespaces that a scan did not find, by inode.
    lost: Backoff,
    /// Namespaces whose tables were read again for an index they did not have.
    stale: Backoff,
    /// Namespaces that a scan cannot find.
    own: Vec<Netns>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new("/proc")
    }
}

impl Reader {
    /// `proc` is where procfs is mounted.
    pub fn new(proc: impl Into<PathBuf>) -> Self {
        Self {
            proc: proc.into(),
            facts: Facts::default(),
            ages: HashMap::new(),
            scan_from: None,
            refresh_from: None,
            scanned: SystemTime::UNIX_EPOCH,
            lost: Backoff::default(),
            stale: Backoff::default(),
            own: Vec::new(),
        }
    }

    /// Knows these too, which no process and no mount leads to, from the first snapshot on.
    #[must_use]
    pub fn knowing(mut self, namespaces: Vec<Netns>) -> Self {
        self.own = namespaces;
        if !self.own.is_empty() {
            let now = Instant::now();
            self.discover(now);
            let own: Vec<u32> = self.own.iter().map(|netns| netns.inode).collect();
            self.read(&own, now, EAGER_TIME);
        }
        self
    }

    /// What is known now.
    pub fn facts(&self) -> Arc<Facts> {
        Arc::new(self.facts.clone())
    }

    /// Reads everything: names, and the interfaces of up to [`EAGER_NAMESPACES`] namespaces, the host's first.
    pub fn snapshot(&mut self, now: Instant) -> Arc<Facts> {
        self.discover(now);
        self.read_new(now, EAGER_NAMESPACES, EAGER_TIME);
        self.facts()
    }

    /// Names all namespaces, without entering any; true when something changed. Fails to nothing but unchanged facts.
    pub fn discover(&mut self, now: Instant) -> bool {
        let began = Instant::now();
        self.scanned = SystemTime::now();
        let scan = netns::scan(&self.proc);
        let cost = began.elapsed().saturating_mul(COST);
        self.scan_from = Some(now + SCAN_EVERY.max(cost));
        self.refresh_from = Some(now + REFRESH_EVERY.max(cost));
        scan.is_ok_and(|mut scan| {
            scan.namespaces.extend(self.own.iter().map(|netns| (netns.inode, netns.clone())));
            self.merge(scan, now)
        })
    }

    /// Looks for what events asked for; true when something was learned.
    pub fn learn(&mut self, unknown: &[Unknown], now: Instant) -> bool {
        let may_scan = self.scan_from.is_none_or(|from| from <= now);
        let mut changed = false;
        // The number is another one's by now: what is known of the old one is of no use.
        for asked in unknown {
            if self.facts.is_another(asked.netns, asked.cookie) {
                self.facts.remove(asked.netns);
                self.ages.remove(&asked.netns);
                changed = true;
            }
        }
        let lost = unknown.iter().filter(|asked| asked.netns != 0 && self.facts.netns(asked.netns).is_none());
        // Each is marked as asked for, also when the first of them is reason enough to look.
        let lost = lost.filter(|asked| may_scan && self.lost.ready(asked.netns, now)).count();
        if lost > 0 {
            changed |= self.discover(now);
        }
        let mut stale = BTreeSet::new();
        for asked in unknown.iter().filter(|asked| !self.facts.knows(**asked)) {
            let Some(age) = self.ages.get(&asked.netns) else { continue };
            // The first reading does not count as a repeated question.
            if age.read.is_none() || self.stale.ready(asked.netns, now) {
                stale.insert(asked.netns);
            }
        }
        let stale: Vec<u32> = stale.into_iter().take(BATCH_NAMESPACES).collect();
        changed | self.read(&stale, now, BATCH_TIME)
    }

    /// Looks again at what may have changed; true when something did. To be called every second or so.
    pub fn refresh(&mut self, now: Instant) -> bool {
        let mut changed = false;
        let may_scan = self.scan_from.is_none_or(|from| from <= now);
        let is_due = self.refresh_from.is_none_or(|from| from <= now);
        if is_due || may_scan && folders::changed(&self.proc, self.scanned) {
            changed |= self.discover(now);
        }
        changed |= self.read_new(now, BATCH_NAMESPACES, BATCH_TIME);
        let mut old: Vec<(Instant, u32)> =
            self.ages.iter().filter_map(|(&inode, age)| Some((age.read?, inode))).collect();
        old.retain(|(read, _)| now.saturating_duration_since(*read) >= TABLE_AGE);
        old.sort_unstable();
        let old: Vec<u32> = old.into_iter().take(BATCH_NAMESPACES).map(|(_, inode)| inode).collect();
        changed | self.read(&old, now, BATCH_TIME)
    }

    /// Reads interfaces that have not been read, the host's first; true when there were any.
    pub fn read_new(&mut self, now: Instant, most: usize, time: Duration) -> bool {
        let host = self.facts.host().map(|host| host.inode);
        let mut new: Vec<u32> =
            self.ages.iter().filter(|(_, age)| age.read.is_none()).map(|(&inode, _)| inode).collect();
        new.sort_unstable_by_key(|&inode| (Some(inode) != host, inode));
        new.truncate(most);
        self.read(&new, now, time)
    }

    fn merge(&mut self, scan: Scan, now: Instant) -> bool {
        let mut changed = self.facts.host() != Some(scan.host);
        self.facts.set_host(scan.host);
        for (inode, netns) in scan.namespaces {
            let known = self.facts.netns(inode);
            let same = known.is_some_and(|known| known.name == netns.name);
            changed |= known != Some(&netns);
            if same {
                self.facts.set_doors(netns);
            } else {
                self.facts.set_netns(netns);
                self.ages.remove(&inode);
                self.lost.clear(inode);
                self.stale.clear(inode);
            }
            self.ages.entry(inode).or_insert(Age { seen: now, read: None }).seen = now;
        }
        let gone = self.ages.extract_if(|_, age| now.saturating_duration_since(age.seen) >= KEEP_GONE);
        for (inode, _) in gone {
            self.facts.remove(inode);
            changed = true;
        }
        changed
    }

    fn read(&mut self, inodes: &[u32], now: Instant, time: Duration) -> bool {
        let targets: Vec<&Netns> = inodes.iter().filter_map(|&inode| self.facts.netns(inode)).collect();
        if targets.is_empty() {
            return false;
        }
        let results = enter::each(&targets, Instant::now() + time, |netns| {
            let table = interface::read().map_err(|error| HostError::Interfaces { netns: netns.inode, error });
            Ok((enter::cookie(), table))
        });
        let mut changed = false;
        for (inode, result) in results {
            if let Some(age) = self.ages.get_mut(&inode) {
                age.read = Some(now);
            }
            let result = result.and_then(|(cookie, table)| {
                self.facts.set_cookie(inode, cookie);
                table
            });
            // Its drops are still to be shown: the last known interfaces serve better than none.
            if matches!(result, Err(HostError::Gone { .. })) && self.facts.interfaces(inode).is_ok() {
                continue;
            }
            changed |= self.facts.interfaces(inode) != result.as_ref().map_err(Clone::clone);
            self.facts.set_interfaces(inode, result);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Child, Command, Stdio};

    use super::super::netns::NetnsName;
    use super::*;

    /// A process in a network namespace of its own that holds a veth pair; ended when dropped.
    struct Held(Child);

    impl Held {
        /// None, with the reason printed, without root.
        fn new() -> Option<Self> {
            // SAFETY: `geteuid` takes nothing and cannot fail.
            if unsafe { libc::geteuid() } != 0 {
                eprintln!("skipped: network namespaces need root");
                return None;
            }
            let script = "ip link add wd0 type veth peer name wd1 && echo ready && exec sleep 60";
            let mut unshare = Command::new("unshare");
            unshare.args(["--net", "sh", "-c", script]).stdout(Stdio::piped());
            let mut held = Self(unshare.spawn().expect("util-linux and iproute2 are installed"));
            let mut ready = [0; 5];
            held.0.stdout.as_mut().unwrap().read_exact(&mut ready).expect("the namespace is set up");
            Some(held)
        }

        fn inode(&self) -> u32 {
            let path = PathBuf::from(format!("/proc/{}/ns/net", self.0.id()));
            netns::link(&path).unwrap().unwrap()
        }

        fn ip(&self, arguments: &str) {
            let enter = format!("--net=/proc/{}/ns/net", self.0.id());
            let status = Command::new("nsenter").arg(enter).arg("ip").args(arguments.split(' ')).status();
            assert!(status.unwrap().success(), "{arguments}");
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    fn at(netns: u32, ifindex: u32) -> Unknown {
        Unknown { netns, ifindex, cookie: 0 }
    }

    #[test]
    fn the_snapshot_names_the_host_and_its_interfaces_without_moving_this_thread() {
        let own = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let facts = Reader::default().snapshot(Instant::now());
        let host = facts.host().unwrap();
        assert_eq!(facts.netns(host.inode).unwrap().name, NetnsName::Host);
        if let Ok(table) = facts.interfaces(host.inode) {
            assert_eq!(table.get(1).unwrap().name, "lo");
        }
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), own);
    }

    #[test]
    fn another_namespace_is_found_and_its_interfaces_are_read() {
        let Some(held) = Held::new() else { return };
        let facts = Reader::default().snapshot(Instant::now());
        let NetnsName::Process { pid, .. } = facts.netns(held.inode()).unwrap().name else { panic!("not a process") };
        assert_eq!(pid, held.0.id());
        let table = facts.interfaces(held.inode()).unwrap();
        let (wd0, wd1) = (table.by_name("wd0").unwrap(), table.by_name("wd1").unwrap());
        assert_eq!(wd0.kind.as_deref(), Some("veth"));
        assert_eq!(wd0.link.unwrap().index, wd1.index);
        assert_eq!((wd0.mtu, wd0.address.len(), wd0.is_up()), (1500, 6, false));
        assert!(!table.partial);
    }

    #[test]
    fn what_it_is_told_to_know_is_there_from_the_first_snapshot_and_stays() {
        let Some(held) = Held::new() else { return };
        let door = PathBuf::from(format!("/proc/{}/ns/net", held.0.id()));
        let told = Netns { inode: held.inode(), name: NetnsName::Named("pod".to_owned()), doors: vec![door] };
        let mut reader = Reader::default().knowing(vec![told.clone()]);
        assert!(reader.facts().interfaces(told.inode).unwrap().by_name("wd0").is_some());
        reader.discover(Instant::now());
        assert_eq!(reader.facts().netns(told.inode), Some(&told), "a scan finds the process, and does not rename it");
    }

    #[test]
    fn what_appears_later_is_learned_once_and_then_limited() {
        let start = Instant::now();
        let mut reader = Reader::default();
        reader.snapshot(start);
        let Some(held) = Held::new() else { return };
        let unknown = [at(held.inode(), 0), at(held.inode(), 2)];
        assert!(!reader.learn(&unknown, start), "a scan has just been made");
        let later = start + Duration::from_secs(30);
        assert!(reader.learn(&unknown, later));
        assert!(reader.facts().knows(unknown[0]) && reader.facts().knows(unknown[1]));

        held.ip("link add wd8 index 88 type bridge");
        let new = [at(held.inode(), 88)];
        let soon = later + Duration::from_millis(500);
        assert!(reader.learn(&new, soon));
        assert_eq!(reader.facts().interface(held.inode(), 88).unwrap().kind.as_deref(), Some("bridge"));
        let read_at = |reader: &Reader| reader.ages[&held.inode()].read;
        reader.learn(&[at(held.inode(), 99)], soon + Duration::from_millis(100));
        assert_eq!(read_at(&reader), Some(soon), "an index that does not exist is not looked for at once");
        reader.learn(&[at(held.inode(), 99)], soon + Duration::from_secs(2));
        assert_eq!(read_at(&reader), Some(soon + Duration::from_secs(2)));
    }

    #[test]
    fn a_renamed_interface_is_seen_at_the_next_refresh_of_its_table() {
        let Some(held) = Held::new() else { return };
        let start = Instant::now();
        let mut reader = Reader::default();
        let index = reader.snapshot(start).interfaces(held.inode()).unwrap().by_name("wd0").unwrap().index;
        held.ip("link set wd0 name eth0");
        assert!(reader.refresh(start + TABLE_AGE));
        assert_eq!(reader.facts().interface(held.inode(), index).unwrap().name, "eth0");
    }

    #[test]
    fn a_namespace_that_is_gone_keeps_its_names_for_a_while() {
        let Some(held) = Held::new() else { return };
        let start = Instant::now();
        let mut reader = Reader::default();
        reader.snapshot(start);
        let inode = held.inode();
        drop(held);
        let table = reader.ages.get_mut(&inode).unwrap();
        table.read = None; // as if its table was to be read when it went away
        reader.refresh(start + REFRESH_EVERY * 2);
        assert!(reader.facts().interfaces(inode).is_ok_and(|table| table.by_name("wd0").is_some()));
        reader.refresh(start + KEEP_GONE * 2);
        // Another test's namespace may have been given the number since.
        let left = reader.facts().interfaces(inode).map(|table| table.by_name("wd8").is_some());
        assert!(!matches!(left, Ok(false)) || reader.ages[&inode].seen > start + KEEP_GONE, "{left:?}");
    }

    #[test]
    fn questions_about_nothing_are_harmless() {
        let mut reader = Reader::new("/nonexistent");
        let now = Instant::now();
        assert!(!reader.learn(&[at(0, 0), at(u32::MAX, u32::MAX)], now));
        assert!(!reader.refresh(now + REFRESH_EVERY));
        let why = reader.facts().why_unknown(at(7, 3));
        assert_eq!(why, Some(HostError::NoWayIn { netns: 7 }));
    }
}
