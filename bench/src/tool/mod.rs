//! What is measured: whydrop and what it is compared with.

mod bpftrace;
mod memory;
mod output;
mod whydrop;
mod yardstick;

use std::fmt;
use std::path::PathBuf;

use anyhow::Result;

pub(crate) use bpftrace::Bpftrace;
pub(crate) use memory::Memory;
pub(crate) use output::{Mark, Report};
pub(crate) use whydrop::Whydrop;
pub(crate) use yardstick::{Measured, Yardstick};

/// A tool, as it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    /// A program that does nothing: the price of being attached.
    Empty,
    /// A program that counts by flow, and nothing else.
    C2,
    /// Counts by reason and location.
    Bpftrace,
    /// `whydrop watch` as it comes.
    Text,
    /// `whydrop watch -o json`.
    Json,
    /// `whydrop watch -o json --every`.
    Every,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::C2 => "c2",
            Self::Bpftrace => "bpftrace",
            Self::Text => "whydrop-text",
            Self::Json => "whydrop-json",
            Self::Every => "whydrop-every",
        })
    }
}

/// Where the tools are.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    pub(crate) whydrop: PathBuf,
    pub(crate) yardstick: PathBuf,
}

/// A tool at work; dropping it ends it.
pub(crate) enum Running {
    Yardstick { _attached: Yardstick },
    Bpftrace { _process: Bpftrace },
    Whydrop(Whydrop),
}

impl Tools {
    /// Starts a tool and waits until it sees drops.
    pub(crate) fn start(&self, tool: Tool) -> Result<Running> {
        let whydrop = |arguments: &[&str]| -> Result<Running> {
            let mut whydrop = Whydrop::start(&self.whydrop, arguments)?;
            whydrop.wait_for(Mark::Ready)?;
            Ok(Running::Whydrop(whydrop))
        };
        Ok(match tool {
            Tool::Empty => Running::Yardstick { _attached: Yardstick::attach(&self.yardstick, Measured::Empty)? },
            Tool::C2 => Running::Yardstick { _attached: Yardstick::attach(&self.yardstick, Measured::Flows)? },
            Tool::Bpftrace => Running::Bpftrace { _process: Bpftrace::start()? },
            Tool::Text => whydrop(&["-o", "text"])?,
            Tool::Json => whydrop(&["-o", "json"])?,
            Tool::Every => whydrop(&["-o", "json", "--every"])?,
        })
    }
}

impl Running {
    /// Where the tool is a process whose memory is ours to answer for.
    pub(crate) fn memory(&self) -> Result<Option<Memory>> {
        match self {
            Self::Whydrop(whydrop) => Memory::of(whydrop.pid()).map(Some),
            _ => Ok(None),
        }
    }

    /// Ends the tool; what it said, if it is one that says how much it counted.
    pub(crate) fn stop(self) -> Result<Option<Report>> {
        match self {
            Self::Whydrop(whydrop) => whydrop.stop(),
            _ => Ok(None),
        }
    }
}
