//! The kernel's symbols, read beside the start: they take longer than loading the programs, and nobody needs them before
//! the first drop.

use std::thread::{self, JoinHandle};
use std::time::Instant;

use crate::host::Symbols;

/// The table, being read or there; empty where the kernel hides it.
pub(super) enum SymbolTable {
    Reading(JoinHandle<Option<Symbols>>),
    Read(Option<Symbols>),
}

impl SymbolTable {
    /// Starts reading; says at once if the kernel hides its symbols.
    pub(super) fn start() -> (Self, Option<String>) {
        if let Err(hidden) = Symbols::probe() {
            return (Self::Read(None), Some(hidden.to_string()));
        }
        let read = || Symbols::load().map_err(|error| tracing::warn!("{error}")).ok();
        match thread::Builder::new().name("symbols".into()).spawn(read) {
            Ok(reader) => (Self::Reading(reader), None),
            Err(_) => (Self::Read(read()), None),
        }
    }

    /// Makes sure that the table is there, and reads it again (seldom) if it lacks `address`, as after a module was
    /// loaded.
    pub(super) fn learn(&mut self, address: u64) {
        if let Self::Reading(_) = self {
            let Self::Reading(reader) = std::mem::replace(self, Self::Read(None)) else { return };
            *self = Self::Read(reader.join().ok().flatten());
        }
        if let Self::Read(Some(symbols)) = self
            && let Err(error) = symbols.refresh_for(&[address], Instant::now())
        {
            tracing::debug!("{error}");
        }
    }

    pub(super) fn get(&self) -> Option<&Symbols> {
        match self {
            Self::Read(symbols) => symbols.as_ref(),
            Self::Reading(_) => None,
        }
    }
}
