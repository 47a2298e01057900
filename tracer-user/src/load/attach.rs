//! Attaching: the typed tracepoint where the kernel accepts it, the raw one otherwise.

use aya::Ebpf;
use aya::programs::raw_trace_point::RawTracePointLink;
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::{BtfTracePoint, ProgramError, ProgramFd, RawTracePoint};

use super::{Kernel, LoadError};

/// The kernel's tracepoint for dropped packets (include/trace/events/skb.h).
pub(super) const TRACEPOINT: &str = "kfree_skb";

/// Which hook is in use, and why not a better one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// As in the header line: `tp_btf/kfree_skb`.
    pub name: &'static str,
    /// `preferred`, or what was wrong with the preferred one.
    pub reason: String,
}

/// A running program; dropping it detaches.
pub struct Attached {
    pub hook: Hook,
    pub program: ProgramFd,
    _link: Link,
}

/// Held for its `Drop`.
enum Link {
    Typed { _link: BtfTracePointLink },
    Raw { _link: RawTracePointLink },
}

pub(super) fn attach(object: &mut Ebpf, kernel: &Kernel) -> Result<Attached, LoadError> {
    match typed(object, kernel) {
        Ok((program, link)) => {
            let hook = Hook { name: "tp_btf/kfree_skb", reason: "preferred".into() };
            Ok(Attached { hook, program, _link: Link::Typed { _link: link } })
        }
        Err(refused) => {
            let (program, link) = raw(object).map_err(LoadError::of_program)?;
            let reason = format!("tp_btf refused: {}", LoadError::of_program(refused));
            Ok(Attached { hook: Hook { name: "raw_tp/kfree_skb", reason }, program, _link: Link::Raw { _link: link } })
        }
    }
}

fn typed(object: &mut Ebpf, kernel: &Kernel) -> Result<(ProgramFd, BtfTracePointLink), ProgramError> {
    let program: &mut BtfTracePoint = object.program_mut("drop").ok_or(ProgramError::NotLoaded)?.try_into()?;
    let Some(btf) = &kernel.tracepoint else {
        return Err(std::io::Error::other("the kernel itself has no BTF").into());
    };
    program.load(TRACEPOINT, btf)?;
    let id = program.attach()?;
    Ok((program.fd()?.try_clone()?, program.take_link(id)?))
}

fn raw(object: &mut Ebpf) -> Result<(ProgramFd, RawTracePointLink), ProgramError> {
    let program: &mut RawTracePoint = object.program_mut("drop_raw").ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    let id = program.attach(TRACEPOINT)?;
    Ok((program.fd()?.try_clone()?, program.take_link(id)?))
}
