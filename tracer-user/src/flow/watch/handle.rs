//! The way to the thread.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use aya::Ebpf;
use tokio::sync::{mpsc, watch};

use super::attach::Mode;
use super::worker::{self, Line};
use crate::flow::dns::{Choice, QuerySighting};
use crate::flow::{Points, Resent, Sighting, SightingId};
use crate::host::error::Errno;
use crate::host::{self, HostError, Netns};
use crate::load::FlowMaps;

/// How long the end waits for the thread to detach everything.
const LEAVE: Duration = Duration::from_secs(3);
/// How often it is looked whether something has happened that there is no event for.
const POLL: Duration = Duration::from_millis(2);

/// What is to be watched.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// These namespaces; the host's if empty.
    pub namespaces: Vec<Netns>,
    /// UDP ports to look at beside the well-known ones.
    pub udp_ports: Vec<u16>,
    /// Which DNS queries are told.
    pub queries: Choice,
    /// Attempts are watched beside drops that have a filter of their own: it stays as it is.
    pub is_beside: bool,
}

/// Attempts that the kernel's programs made entries for, and what became of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Since the start.
    pub attempts: u64,
    pub queries: u64,
    /// Refused by the kernel, or gone before they were read.
    pub not_followed: u64,
    pub unreadable: u64,
}

/// How devices are attached to, now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Devices with tcx links.
    pub tcx: u64,
    /// Devices with filters of clsact.
    pub clsact: u64,
    /// Why a device of these has no tcx links, where they were tried.
    pub without_tcx: Option<String>,
}

impl Hooks {
    pub const fn devices(&self) -> u64 {
        self.tcx + self.clsact
    }
}

/// What one reading of the maps gave: entries that have changed since the last one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// `CLOCK_MONOTONIC` ns when the reading began: all that happened before is in it.
    pub read: u64,
    pub points: Arc<Points>,
    pub sightings: Vec<Sighting>,
    pub queries: Vec<QuerySighting>,
    pub resent: Vec<Resent>,
    /// Pushed out by newer ones before there was an answer: whether one came is not known. Queries with their DNS id.
    pub gone: Vec<SightingId>,
    pub gone_queries: Vec<(SightingId, u16)>,
    pub kept: Kept,
    pub hooks: Hooks,
    /// Devices that could not be attached to and what is hidden otherwise, a sentence each; told once.
    pub coverage: Vec<String>,
    /// Nothing more is read; what was attached is detached meanwhile.
    pub is_last: bool,
    /// Why nothing can be watched at all; then there is nothing else here.
    pub refused: Option<String>,
}

/// The way to the thread, which ends and detaches everything when this is dropped.
#[derive(Debug)]
pub struct FlowHandle {
    batches: mpsc::UnboundedReceiver<Batch>,
    /// Batches that nobody has taken yet.
    waiting: Arc<AtomicUsize>,
    /// A byte asks for the last reading; closed, the thread ends.
    wake: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl FlowHandle {
    /// The first reading, when everything is attached.
    pub fn wait_for_start(&mut self, patience: Duration) -> Batch {
        let deadline = Instant::now() + patience;
        loop {
            match self.batches.try_recv() {
                Ok(batch) => return self.taken(batch),
                Err(mpsc::error::TryRecvError::Empty) if Instant::now() < deadline => thread::sleep(POLL),
                Err(_) => {
                    let late = "attempts are not seen from the start: not everything is attached yet".to_owned();
                    return Batch { coverage: vec![late], ..Batch::default() };
                }
            }
        }
    }

    /// The next reading; pending for ever once there is none any more.
    pub async fn next(&mut self) -> Batch {
        match self.batches.recv().await {
            Some(batch) => self.taken(batch),
            None => std::future::pending().await,
        }
    }

    /// What is left until the last reading ([`Batch::is_last`]); `None` where there is none to come.
    pub async fn rest(&mut self) -> Option<Batch> {
        let batch = self.batches.recv().await?;
        Some(self.taken(batch))
    }

    fn taken(&self, batch: Batch) -> Batch {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        batch
    }

    /// Asks for the last reading, now.
    pub fn look_last(&self) {
        if let Some(mut wake) = self.wake.as_ref() {
            // Refused if it was asked for often, or nobody looks any more.
            let _asked = wake.write(&[1]);
        }
    }
}

impl Drop for FlowHandle {
    fn drop(&mut self) {
        self.wake = None;
        let Some(thread) = self.thread.take() else { return };
        let deadline = Instant::now() + LEAVE;
        while !thread.is_finished() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }
}

/// Attaches, and starts the thread.
///
/// # Errors
/// [`HostError::Thread`] if the process limit is reached.
pub fn spawn(
    facts: watch::Receiver<Arc<host::Facts>>,
    object: Ebpf,
    maps: FlowMaps,
    plan: Plan,
) -> Result<FlowHandle, HostError> {
    start(facts, object, maps, plan, Mode::Best)
}

/// The same with filters of clsact only, as on kernels before 6.6: so that these are tested on newer ones too.
///
/// # Errors
/// As [`spawn`].
pub fn spawn_with_filters(
    facts: watch::Receiver<Arc<host::Facts>>,
    object: Ebpf,
    maps: FlowMaps,
    plan: Plan,
) -> Result<FlowHandle, HostError> {
    start(facts, object, maps, plan, Mode::Clsact)
}

fn start(
    facts: watch::Receiver<Arc<host::Facts>>,
    object: Ebpf,
    maps: FlowMaps,
    plan: Plan,
    mode: Mode,
) -> Result<FlowHandle, HostError> {
    let failed = |error: std::io::Error| HostError::Thread { errno: Errno::of(&error) };
    let (publish, batches) = mpsc::unbounded_channel();
    let (wake, asked) = UnixStream::pair().map_err(failed)?;
    wake.set_nonblocking(true).and_then(|()| asked.set_nonblocking(true)).map_err(failed)?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let line = Line { publish, waiting: Arc::clone(&waiting), asked };
    let thread = thread::Builder::new()
        .name("flow".to_owned())
        .spawn(move || worker::run(line, facts, object, maps, &plan, mode))
        .map_err(failed)?;
    Ok(FlowHandle { batches, waiting, wake: Some(wake), thread: Some(thread) })
}
