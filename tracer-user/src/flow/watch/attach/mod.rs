//! The tc programs at one device: by tcx links where the kernel has them, by filters of clsact otherwise, decided by trying.
//!
//! Rule: before all other programs of the device, since one of those may end the chain; both directions, or none.

mod clsact;
mod filter;
mod tcx;

pub(crate) use clsact::attempt as try_clsact;

use aya::Ebpf;
use aya::programs::{ProgramError, ProgramFd, RawTracePoint, SchedClassifier};

use super::handle::Hooks;
use super::select::Layer;
use crate::host::error::Errno;
use crate::host::{Netns, enter};
use crate::load::LoadError;

/// Seen from the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

impl Direction {
    const BOTH: [Self; 2] = [Self::Ingress, Self::Egress];
}

/// How programs may be attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// tcx, and clsact where it is refused.
    #[default]
    Best,
    Clsact,
}

/// The loaded programs.
#[derive(Debug)]
pub(super) struct Programs {
    ethernet: [ProgramFd; 2],
    ip: [ProgramFd; 2],
    mode: Mode,
}

impl Programs {
    /// Loads them.
    pub(super) fn load(object: &mut Ebpf, mode: Mode) -> Result<Self, ProgramError> {
        let mut load = |name: &str| -> Result<ProgramFd, ProgramError> {
            let program = object.program_mut(name).ok_or(ProgramError::NotLoaded)?;
            let program: &mut SchedClassifier = program.try_into()?;
            program.load()?;
            program.fd()?.try_clone().map_err(Into::into)
        };
        Ok(Self {
            ethernet: [load("flow_ingress")?, load("flow_egress")?],
            ip: [load("flow_ingress_ip")?, load("flow_egress_ip")?],
            mode,
        })
    }

    /// Attaches to a device of the calling thread's namespace.
    pub(super) fn attach(&self, device: u32, layer: Layer) -> Result<Attached, Refused> {
        let [ingress, egress] = match layer {
            Layer::Ethernet => &self.ethernet,
            Layer::Ip => &self.ip,
        };
        let tcx = match self.mode {
            Mode::Clsact => Err(None),
            Mode::Best => tcx::Link::new(ingress, device, Direction::Ingress)
                .and_then(|link| Ok([link, tcx::Link::new(egress, device, Direction::Egress)?]))
                .map_err(Some),
        };
        let refused = match tcx {
            Ok(links) => return Ok(Attached { hold: Hold::Tcx(links), without_tcx: None }),
            Err(Some(errno @ Errno(libc::ENODEV))) => return Err(Refused { tcx: Some(errno), clsact: errno }),
            Err(refused) => refused,
        };
        let place = |program, direction| clsact::Place::take(program, device, direction);
        let failed = |clsact| Refused { tcx: refused, clsact };
        let ingress = place(ingress, Direction::Ingress).map_err(failed)?;
        match place(egress, Direction::Egress) {
            Ok(egress) => Ok(Attached { hold: Hold::Clsact([ingress, egress]), without_tcx: refused }),
            Err(errno) => {
                ingress.leave();
                Err(failed(errno))
            }
        }
    }
}

/// Why a device could not be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    tcx: Option<Errno>,
    clsact: Errno,
}

impl Refused {
    /// The device went away.
    pub(super) fn is_gone(self) -> bool {
        self.clsact.0 == libc::ENODEV
    }

    /// The kernel wants a capability for it.
    fn is_for_privileged(self) -> bool {
        matches!(self.clsact.0, libc::EPERM | libc::EACCES)
    }

    /// For the end of a run in which no device could be attached to; `device` is one of them.
    pub(super) fn of_all(self, device: &str) -> String {
        let first = format!("no interface can be attached to ({device}: {self})");
        if self.is_for_privileged() { format!("{first}; {PRIVILEGE}") } else { first }
    }
}

/// What to do where interfaces are refused. tcx links are given to whoever has the programs, which are loaded with
/// `CAP_NET_ADMIN` or `CAP_SYS_ADMIN` (`bpf_prog_load`, kernel/bpf/syscall.c, 6.18); filters need `CAP_NET_ADMIN`.
const PRIVILEGE: &str = "whydrop needs CAP_NET_ADMIN for that: run it as root, in a container with --privileged, on a node \
                         by `kubectl debug node/NAME --profile=sysadmin`";

/// Why the programs for interfaces are not loaded.
pub(super) fn not_loaded(error: ProgramError) -> String {
    match LoadError::of_program(error) {
        LoadError::NotPermitted { call, error } => {
            format!("the kernel refused the programs for interfaces ({call}: {error}); {PRIVILEGE}")
        }
        other => other.to_string(),
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(errno) = self.tcx {
            write!(f, "tcx: {errno}; ")?;
        }
        write!(f, "clsact: {}", self.clsact)
    }
}

#[derive(Debug)]
enum Hold {
    Tcx([tcx::Link; 2]),
    Clsact([clsact::Place; 2]),
}

/// Our programs at a device. Filters are not removed by dropping it, as that has to be done in their namespace:
/// [`Self::detach`] does it.
#[derive(Debug)]
pub(super) struct Attached {
    hold: Hold,
    /// Why tcx was refused, where it was tried.
    without_tcx: Option<Errno>,
}

impl Attached {
    /// Counts it.
    pub(super) fn count(&self, hooks: &mut Hooks) {
        match self.hold {
            Hold::Tcx(_) => hooks.tcx += 1,
            Hold::Clsact(_) => hooks.clsact += 1,
        }
        if let Some(errno) = self.without_tcx {
            hooks.without_tcx = Some(errno.to_string());
        }
    }

    /// Whether it is filters of clsact, and others of the device come before them.
    pub(super) fn is_behind_others(&self) -> bool {
        match &self.hold {
            Hold::Tcx(_) => false,
            Hold::Clsact(places) => places.iter().any(|place| !place.is_first),
        }
    }

    /// Whether it is still attached; asked in the device's namespace.
    pub(super) fn is_there(&self) -> bool {
        match &self.hold {
            Hold::Tcx(links) => links.iter().all(tcx::Link::is_there),
            Hold::Clsact(places) => places.iter().all(clsact::Place::is_there),
        }
    }

    /// Detaches, in the namespace of the device, if there still is one.
    pub(super) fn detach(self, netns: &Netns) {
        if let Hold::Clsact(places) = self.hold {
            let left = enter::visit(netns, || {
                places.iter().for_each(clsact::Place::leave);
                Ok(())
            });
            if let Err(error) = left {
                tracing::debug!("filters go with their namespace: {error}");
            }
        }
    }
}

/// Attaches the `retransmit` program, which goes with the object.
pub(super) fn attach_retransmit(object: &mut Ebpf) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint = object.program_mut("retransmit").ok_or(ProgramError::NotLoaded)?.try_into()?;
    program.load()?;
    program.attach("tcp_retransmit_skb")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_a_capability_is_told_which_and_how_to_get_it() {
        let refused = Refused { tcx: None, clsact: Errno(libc::EPERM) }.of_all("eth0");
        assert!(refused.starts_with("no interface can be attached to (eth0: clsact: "), "{refused}");
        assert!(refused.contains("CAP_NET_ADMIN") && refused.contains("--privileged"), "{refused}");
        let other = Refused { tcx: Some(Errno(libc::EINVAL)), clsact: Errno(libc::EOPNOTSUPP) }.of_all("eth0");
        assert!(!other.contains("CAP_"), "{other}");
        let io_error = std::io::Error::from_raw_os_error(libc::EPERM);
        let call = aya::sys::SyscallError { call: "bpf_prog_load", io_error };
        let loading = not_loaded(ProgramError::SyscallError(call));
        assert!(loading.contains("bpf_prog_load") && loading.contains("CAP_NET_ADMIN"), "{loading}");
        assert!(!not_loaded(ProgramError::NotLoaded).contains("CAP_"));
    }
}
