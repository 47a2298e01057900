//! Memory of a process, and of the kernel maps that it holds.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;
use tracer_tests::bpf::{self, Kind};

/// All in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) resident: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
    /// What the kernel says its maps take (`memlock`).
    pub(crate) maps: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the tool is gone")?;
        let line = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kilobytes =
                line.and_then(|line| line.trim().strip_suffix(" kB")).with_context(|| format!("no {name}"))?;
            Ok(kilobytes.trim().parse::<u64>()? << 10)
        };
        let maps = bpf::held_by(pid).into_iter().filter(|object| object.kind == Kind::Map);
        Ok(Self {
            resident: line("VmRSS:")?,
            peak: line("VmHWM:")?,
            maps: maps.map(bpf::Object::memory).sum::<Result<u64>>()?,
        })
    }
}

impl Memory {
    /// The larger of each.
    pub(crate) fn larger(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
        Some(Self { resident: a.resident.max(b.resident), peak: a.peak.max(b.peak), maps: a.maps.max(b.maps) })
    }
}
