//! Why something about the host is not known; each message says what to do about it.
//!
//! Rule: these are values that are kept beside the facts and shown to the user, so they are `Clone` and carry error
//! numbers instead of `std::io::Error`.

pub use tracer_netfilter::netlink::Errno;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing that we can see leads to this network namespace.
    #[error(
        "no process and no mount that whydrop can see holds network namespace {netns}; it may be gone, or whydrop does \
         not share the host's PID namespace (--pid=host, hostPID: true)"
    )]
    NoWayIn { netns: u32 },
    /// It was known, but what led to it is gone.
    #[error("network namespace {netns} went away while it was read")]
    Gone { netns: u32 },
    /// The number was given to another one.
    #[error("network namespace {netns} is gone, and its number is another one's by now: it is not asked")]
    Reused { netns: u32 },
    #[error("network namespace {netns} cannot be entered ({errno}); run with CAP_SYS_ADMIN and CAP_SYS_PTRACE")]
    Refused { netns: u32, errno: Errno },
    #[error("the interfaces of network namespace {netns} cannot be listed: {error}")]
    Interfaces { netns: u32, error: NetlinkError },
    #[error("the interfaces of network namespace {netns} have not been read yet; they are listed in the background")]
    NotReadYet { netns: u32 },
    #[error("network namespace {netns} has no interface {index} any more; it was removed before it could be named")]
    NoInterface { netns: u32, index: u32 },
    #[error("no thread could be started to enter network namespaces ({errno}); raise the process limit (ulimit -u)")]
    Thread { errno: Errno },
    #[error("the thread that entered network namespaces failed; please report this as a bug")]
    ThreadFailed,
    #[error("{path} cannot be read ({errno}); mount the host's /proc, or run with --pid=host")]
    Procfs { path: String, errno: Errno },
}

/// Why a netlink question got no usable answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetlinkError {
    #[error("the netlink socket failed: {0}")]
    Socket(Errno),
    #[error("the kernel refused the request: {0}")]
    Refused(Errno),
    /// The question would have the kernel load it.
    #[error("the kernel's part that tells it is not loaded; `modprobe {0}` loads it")]
    NotLoaded(&'static str),
    #[error("the kernel sent a netlink message that is not well-formed")]
    Malformed,
    #[error("a netlink answer did not fit the receive buffer")]
    Truncated,
    #[error("the answer has more than {0} entries")]
    TooMany(usize),
}
