//! The sink of `diagnose`: gathers what is told, and says the findings at the end.

use std::io;
use std::sync::{Arc, Mutex};

use crate::event::{Counter, Header, Stats};
use crate::sink::{Line, Sink};

use super::Expectation;

/// What the exit status says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Healthy,
    /// There is a finding of severity `problem`.
    Unhealthy,
}

/// Gathers.
pub struct Diagnosis {
    inner: Box<dyn Sink>,
    _expectations: Vec<Expectation>,
    health: Arc<Mutex<Health>>,
}

impl Diagnosis {
    /// `inner` gets all lines and the findings.
    pub fn new(inner: Box<dyn Sink>, expectations: Vec<Expectation>) -> Self {
        Self { inner, _expectations: expectations, health: Arc::default() }
    }

    /// What will be known when the run has ended.
    pub fn health(&self) -> Arc<Mutex<Health>> {
        Arc::clone(&self.health)
    }
}

impl Sink for Diagnosis {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.inner.header(header)
    }

    fn line(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.inner.line(line)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.inner.counter(counter)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.inner.stats(stats)
    }
}
