//! How long from starting whydrop to its header and to the first drop, while drops flow.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::Bench;
use crate::load::Load;
use crate::spread::Spread;
use crate::tool::{Mark, Whydrop};

/// Drops a second that are there to be seen.
const RATE: u64 = 1000;
/// How long they flow: far longer than a start takes.
const TIME: Duration = Duration::from_secs(2);
/// From the first drop on, until the tool is started.
const BEFORE: Duration = Duration::from_millis(50);

/// Milliseconds after the start of the process.
#[derive(Debug, Serialize)]
pub(crate) struct Start {
    pub(crate) header: Spread,
    pub(crate) first_drop: Spread,
}

pub(crate) fn measure(bench: &Bench<'_>) -> Result<Option<Start>> {
    if !bench.wants("start") {
        return Ok(None);
    }
    eprintln!("start");
    let times = (0..bench.rounds.max(3)).map(|_| once(bench)).collect::<Result<Vec<_>>>()?;
    let header = Spread::of(times.iter().map(|(header, _)| header.as_secs_f64() * 1e3));
    let first_drop = Spread::of(times.iter().map(|(_, first)| first.as_secs_f64() * 1e3));
    Ok(header.zip(first_drop).map(|(header, first_drop)| Start { header, first_drop }))
}

fn once(bench: &Bench<'_>) -> Result<(Duration, Duration)> {
    let load = Load::paced(RATE, bench.cpus[0], TIME);
    thread::scope(|scope| {
        let sender = scope.spawn(|| bench.lab.flood(&load));
        thread::sleep(BEFORE);
        let mut whydrop = Whydrop::start(&bench.tools.whydrop, &["-o", "json"])?;
        let times = (whydrop.wait_for(Mark::Ready)?, whydrop.wait_for(Mark::FirstDrop)?);
        whydrop.stop()?;
        sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(times)
    })
}
