//! Why a question to the kernel got no usable answer.
//!
//! Rule: these are values that are kept and shown, so they are `Clone` and carry error numbers.

use std::fmt;

use thiserror::Error;

/// An `errno` value, shown as the system's text for it and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub fn of(error: &std::io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = std::io::Error::from_raw_os_error(self.0).to_string();
        let (words, _) = text.split_once(" (os error").unwrap_or((&text, ""));
        write!(f, "{words}, errno {}", self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NetlinkError {
    #[error(
        "no netlink socket for netfilter could be used ({0}); check the limit of open files and the seccomp profile"
    )]
    Socket(Errno),
    /// Every request to a netfilter subsystem asks for it (`net/netfilter/nfnetlink.c`, `nfnetlink_rcv`).
    #[error("the kernel does not show netfilter to this process; run it with CAP_NET_ADMIN (as root, or privileged)")]
    Denied,
    #[error("the kernel refused a question about netfilter ({0})")]
    Refused(Errno),
    #[error("the kernel sent a netlink message that is not well-formed")]
    Malformed,
    #[error("a netlink answer did not fit the receive buffer of {0} bytes")]
    Truncated(usize),
    #[error("the answer never ended: the list kept growing while it was read")]
    Endless,
    #[error("the kernel did not answer a question about netfilter; try again")]
    NoAnswer,
}

impl NetlinkError {
    /// An error of the socket itself.
    pub(super) fn socket(error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::Denied,
            Some(libc::EAGAIN) => Self::NoAnswer,
            _ => Self::Socket(Errno::of(error)),
        }
    }

    /// An error number that the kernel sent as its answer.
    pub(super) const fn refused(number: i32) -> Self {
        match number {
            libc::EPERM => Self::Denied,
            number => Self::Refused(Errno(number)),
        }
    }

    /// What was asked for is not there (any more).
    pub const fn is_absent(&self) -> bool {
        matches!(self, Self::Refused(Errno(libc::ENOENT)))
    }

    /// The kernel has no such subsystem: not built, or its module is not there.
    pub const fn is_unsupported(&self) -> bool {
        matches!(
            self,
            Self::Refused(Errno(libc::EINVAL | libc::EOPNOTSUPP | libc::ENOENT | libc::EPROTONOSUPPORT))
                | Self::Socket(Errno(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT))
        )
    }

    /// Worth asking again at once: a full buffer, a signal, a list that changed.
    pub(crate) const fn is_passing(&self) -> bool {
        const fn passes(number: i32) -> bool {
            matches!(number, libc::ENOBUFS | libc::EINTR | libc::EAGAIN | libc::EBUSY)
        }
        match self {
            Self::Socket(Errno(number)) | Self::Refused(Errno(number)) => passes(*number),
            Self::NoAnswer => true,
            _ => false,
        }
    }
}
