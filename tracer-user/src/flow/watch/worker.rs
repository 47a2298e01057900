//! The thread itself.
//!
//! Rule: a fault costs what was attached, which is attached anew and said; after [`MOST_FAULTS`] of them the watching ends, and
//! that is said too.

use std::io::{self, Read as _};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aya::Ebpf;
use tokio::sync::{mpsc, watch};

use super::attach::{self, Mode, Programs};
use super::follow::{Watched, With};
use super::handle::{Batch, Plan};
use super::notes::{Map, Notes};
use super::read::Reader;
use crate::host::clock::monotonic;
use crate::host::{self, Netns};
use crate::load::{FlowMaps, LoadError};

/// Between two readings of the maps.
const READ_EVERY: Duration = Duration::from_millis(500);
/// How often namespaces are looked after, and how many times of these whether all is still attached.
const TICK: Duration = Duration::from_secs(1);
const VERIFY_EVERY: u32 = 5;
/// How long the start waits to learn which namespace is the host's.
const HOST: Duration = Duration::from_secs(3);
/// How long the start waits until many devices are attached to; the rest follows.
const START: Duration = Duration::from_millis(2500);
const POLL: Duration = Duration::from_millis(5);
/// Readings that nobody takes, of up to 8 MiB each: those of four seconds, which is longer than entries are kept.
const MOST_WAITING: usize = 8;
const MOST_FAULTS: u32 = 3;

const FAULT: &str =
    "attempts of a moment are missing: the thread that follows devices failed; please report this as a bug";
const END: &str =
    "attempts are not seen any more: the thread that follows devices failed too often; please report this as a bug";

/// The thread's end of the way to it.
pub(super) struct Line {
    pub(super) publish: mpsc::UnboundedSender<Batch>,
    pub(super) waiting: Arc<AtomicUsize>,
    pub(super) asked: UnixStream,
}

impl Line {
    fn send(&self, batch: Batch) -> Result<(), Ended> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.publish.send(batch).map_err(|_| Ended)
    }

    /// Nothing can be watched, and why.
    fn refuse(&self, why: String) {
        // Nobody may listen any more.
        let _said = self.send(Batch { refused: Some(why), ..Batch::default() });
    }

    fn say(&self, sentence: String) {
        // Nobody may listen any more.
        let _said = self.send(Batch { coverage: vec![sentence], ..Batch::default() });
    }
}

/// Nobody wants readings any more, or the last one was given.
struct Ended;

/// Runs until it is asked to end.
pub(super) fn run(
    line: Line,
    facts: watch::Receiver<Arc<host::Facts>>,
    mut object: Ebpf,
    maps: FlowMaps,
    plan: &Plan,
    mode: Mode,
) {
    let mut notes = Notes::default();
    let (programs, reader) = match prepare(&mut object, maps, plan, mode, &mut notes) {
        Ok(prepared) => prepared,
        Err(why) => return line.refuse(why),
    };
    let now = Instant::now();
    let mut worker = Worker {
        line,
        facts,
        programs,
        reader,
        notes,
        map: Map::default(),
        watched: Vec::new(),
        next_reading: now,
        next_tick: now + TICK,
        ticks: 0,
    };
    let mut faults = 0;
    let work = |worker: &mut Worker| {
        worker.start(plan);
        match worker.refused() {
            Some(why) => worker.line.refuse(why),
            None => while worker.turn().is_ok() {},
        }
    };
    while catch_unwind(AssertUnwindSafe(|| work(&mut worker))).is_err() {
        worker.leave();
        faults += 1;
        if faults == MOST_FAULTS {
            return worker.line.say(END.to_owned());
        }
        worker.notes.add(FAULT.to_owned());
    }
    // Here, so that all is detached before the line is closed.
    worker.leave();
    drop(object);
}

fn prepare(
    object: &mut Ebpf,
    maps: FlowMaps,
    plan: &Plan,
    mode: Mode,
    notes: &mut Notes,
) -> Result<(Programs, Reader), String> {
    let reader = Reader::new(maps, &plan.udp_ports).map_err(|error| error.to_string())?;
    if let Err(error) = attach::attach_retransmit(object) {
        let why = LoadError::of_program(error);
        notes.add(format!("segments that are sent again are not seen: {why}"));
    }
    let programs = Programs::load(object, mode).map_err(attach::not_loaded)?;
    Ok((programs, reader))
}

struct Worker {
    line: Line,
    facts: watch::Receiver<Arc<host::Facts>>,
    programs: Programs,
    reader: Reader,
    notes: Notes,
    map: Map,
    watched: Vec<Watched>,
    next_reading: Instant,
    next_tick: Instant,
    ticks: u32,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Worker {
    fn start(&mut self, plan: &Plan) {
        let host = self.wait_for_host();
        let namespaces = if plan.namespaces.is_empty() { host.into_iter().collect() } else { plan.namespaces.clone() };
        if namespaces.is_empty() {
            self.notes.add("attempts are not seen: the host's network namespace is not found".to_owned());
        }
        for netns in namespaces {
            let name = netns.name.to_string();
            match Watched::new(netns, Instant::now()) {
                Ok(watched) => self.watched.push(watched),
                Err(error) => self.notes.add(format!("{name}: attempts are not seen there: {error}")),
            }
        }
        let deadline = Instant::now() + START;
        self.look(Instant::now());
        while self.watched.iter().any(Watched::is_behind) && Instant::now() < deadline {
            thread::sleep(POLL);
            self.look(Instant::now());
        }
        if self.watched.iter().any(Watched::is_behind) {
            self.notes.add(
                "attempts are not seen from the start on all devices: there are many, and it takes long".to_owned(),
            );
        }
        for blind in self.watched.iter().filter(|watched| watched.is_blind() && watched.refused().is_none()) {
            blind.note_blind(&mut self.notes);
        }
        self.map.started(monotonic());
        self.next_reading = Instant::now();
    }

    /// Why not a single device could be attached to, if there are any.
    fn refused(&self) -> Option<String> {
        if !self.watched.iter().all(Watched::is_blind) {
            return None;
        }
        let (device, refused) = self.watched.iter().find_map(Watched::refused)?;
        Some(refused.of_all(device))
    }

    /// Also where namespaces are given: the other ends of their devices are named by what is known of all.
    fn wait_for_host(&self) -> Option<Netns> {
        let deadline = Instant::now() + HOST;
        loop {
            let facts = Arc::clone(&self.facts.borrow());
            let host = facts.host().and_then(|host| facts.netns(host.inode));
            if host.is_some() || Instant::now() >= deadline {
                return host.cloned();
            }
            thread::sleep(POLL);
        }
    }

    fn turn(&mut self) -> Result<(), Ended> {
        let due = self.watched.iter().filter_map(Watched::due).min();
        let next = due.into_iter().chain([self.next_reading, self.next_tick]).min().unwrap_or(self.next_tick);
        let fds: Vec<RawFd> =
            [self.line.asked.as_raw_fd()].into_iter().chain(self.watched.iter().map(Watched::fd)).collect();
        let ready = wait(&fds, next.saturating_duration_since(Instant::now()));
        let is_ready = |at: usize| ready.get(at).copied().unwrap_or_default();
        for (at, watched) in self.watched.iter_mut().enumerate() {
            if is_ready(at + 1) {
                watched.hear(&mut self.map);
            }
        }
        if is_ready(0) {
            return self.asked();
        }
        let now = Instant::now();
        if self.next_tick <= now {
            self.tick(now);
        }
        self.look(now);
        if self.next_reading <= now {
            self.next_reading = now + READ_EVERY;
            if self.line.waiting.load(Ordering::Relaxed) < MOST_WAITING {
                self.read(false)?;
            }
        }
        Ok(())
    }

    /// The last reading, or the end.
    fn asked(&mut self) -> Result<(), Ended> {
        let mut byte = [0];
        match self.line.asked.read(&mut byte) {
            Ok(0) => Err(Ended),
            Ok(_) => {
                self.read(true)?;
                Err(Ended)
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
            Err(_) => Err(Ended),
        }
    }

    fn read(&mut self, is_last: bool) -> Result<(), Ended> {
        let mut batch = Batch { is_last, ..Batch::default() };
        if let Err(error) = self.reader.read(&mut batch) {
            self.notes.add(format!("attempts are missing: the kernel does not give them ({error})"));
        }
        let map = &self.map;
        batch.sightings.retain(|seen| map.is_whole(seen.netns, seen.ifindex, seen.id.first));
        batch.queries.retain(|seen| map.is_whole(seen.netns, seen.ifindex, seen.first));
        batch.points = self.map.points();
        for watched in &self.watched {
            watched.count(&mut batch.hooks);
        }
        batch.coverage = self.notes.take();
        self.line.send(batch)
    }

    /// Looks at the namespaces where it is time to.
    fn look(&mut self, now: Instant) {
        let facts = Arc::clone(&self.facts.borrow());
        for watched in self.watched.iter_mut().filter(|watched| watched.due().is_some_and(|due| due <= now)) {
            let (programs, notes, map) = (&self.programs, &mut self.notes, &mut self.map);
            watched.look(&mut With { programs, facts: &facts, notes, map });
        }
    }

    fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        self.ticks = self.ticks.wrapping_add(1);
        let verify = self.ticks.is_multiple_of(VERIFY_EVERY);
        let facts = Arc::clone(&self.facts.borrow());
        let map = &mut self.map;
        self.watched.retain_mut(|watched| {
            let stays = watched.check(&facts, verify, now);
            if !stays {
                watched.leave(map);
            }
            stays
        });
        self.map.clean(now);
    }

    fn leave(&mut self) {
        for mut watched in self.watched.drain(..) {
            watched.leave(&mut self.map);
        }
    }
}

/// Waits until one of the descriptors can be read, or the time is over; which of them can.
fn wait(fds: &[RawFd], within: Duration) -> Vec<bool> {
    let asked = |fd: &RawFd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 };
    let mut asked: Vec<libc::pollfd> = fds.iter().map(asked).collect();
    // Rounded up: 0 would not wait at all.
    let milliseconds = i32::try_from(within.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: as many valid `pollfd`s as is said, which outlive the call.
    let ready = unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, milliseconds) };
    if ready < 0 && io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
        // Not to turn in circles.
        thread::sleep(POLL);
    }
    asked.iter().map(|asked| ready > 0 && asked.revents != 0).collect()
}
