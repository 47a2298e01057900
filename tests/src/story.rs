//! How a scenario is told: watch one namespace, cause a drop, see it named, send a control that gets through, and at
//! the end settle the account: each drop counted exactly, no control reported, nothing lost.

use anyhow::{Result, ensure};

use crate::event::{Event, Report, key};
use crate::expect::Expect;
use crate::netns::NetNs;
use crate::tracer::Tracer;
use crate::traffic::Flow;

/// The port that controls go to: no scenario has anything against it.
pub const CONTROL_PORT: u16 = 7777;

#[derive(Debug)]
pub struct Story {
    tracer: Tracer,
    named: Vec<(Expect, u64)>,
    delivered: Vec<Flow>,
}

impl Story {
    /// Begins with a tracer on one namespace. It shows the expected and the noise as well.
    pub fn of(namespace: &NetNs) -> Result<Self> {
        Ok(Self { tracer: Tracer::watch(namespace)?, named: Vec::new(), delivered: Vec::new() })
    }

    /// Waits until lines that name the drop stand for `packets` packets, and gives the first of them. At the end they
    /// must stand for exactly as many.
    pub fn names(&mut self, wanted: Expect, packets: u64) -> Result<Event> {
        let event = self.tracer.wait_for(&wanted)?;
        self.tracer.wait_for_count(&wanted, packets)?;
        self.named.push((wanted, packets));
        Ok(event)
    }

    /// The tracer, for what is not to be counted.
    pub fn tracer(&mut self) -> &mut Tracer {
        &mut self.tracer
    }

    /// This flow got through, so it must not be reported.
    pub fn control(&mut self, delivered: Flow) {
        self.delivered.push(delivered);
    }

    /// Ends the tracer and settles the account.
    pub fn end(self) -> Result<Report> {
        let report = self.tracer.stop()?;
        report.ensure_clean()?;
        report.ensure_lossless()?;
        for (wanted, packets) in &self.named {
            let counted = report.count(wanted)?;
            let lines = || wanted.miss_report(&report.events);
            ensure!(counted == *packets, "{counted} packets are reported, {packets} were dropped: {}", lines());
        }
        for flow in &self.delivered {
            report.ensure_silent(&Expect::any().with(key::KIND, "drop").flow(flow))?;
        }
        Ok(report)
    }
}
