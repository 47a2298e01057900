//! The signals that end a run cleanly.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// Handlers for SIGINT, SIGTERM and SIGHUP; a signal that comes before anybody waits is remembered.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    end: Arc<Notify>,
}

impl Signals {
    /// # Errors
    /// If the handlers can't be installed.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            end: Arc::default(),
        })
    }

    /// Notified, it ends the run as a signal does.
    pub fn end(&self) -> Arc<Notify> {
        self.end.clone()
    }

    /// Ends when one of them comes.
    pub async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
            () = self.end.notified() => {}
        }
    }
}
