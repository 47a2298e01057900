//! The yardstick's programs, attached in this process: they need nobody who reads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use aya::programs::BtfTracePoint;
use aya::{Ebpf, EbpfLoader};
use whydrop::btf::{self, Btf};

const TRACEPOINT: &str = "kfree_skb";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measured {
    Empty,
    Flows,
}

/// An attached program; dropping it detaches.
pub(crate) struct Yardstick {
    _object: Ebpf,
}

impl Yardstick {
    pub(crate) fn attach(object: &Path, measured: Measured) -> Result<Self> {
        let bytes = fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
        let kernel = Btf::from_kernel(Path::new(Btf::KERNEL))?;
        let offsets: BTreeMap<_, _> =
            btf::resolve(&kernel, Path::new("/sys/kernel/btf"))?.offsets.into_iter().collect();
        let mut loader = EbpfLoader::new();
        for (name, offset) in &offsets {
            loader.override_global(name, offset, false);
        }
        let mut object = loader.load(&bytes)?;
        let name = match measured {
            Measured::Empty => "empty",
            Measured::Flows => "flows",
        };
        let program: &mut BtfTracePoint = object.program_mut(name).context("not in the yardstick")?.try_into()?;
        program.load(TRACEPOINT, &kernel.stand_in(TRACEPOINT)?)?;
        program.attach()?;
        Ok(Self { _object: object })
    }
}
