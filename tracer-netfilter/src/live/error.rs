//! Why the kernel gave no usable answer about addresses, routes and devices.

use thiserror::Error;

use crate::netlink::Errno;

#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RouteError {
    #[error("no netlink socket for routes could be used ({0}); check the limit of open files and the seccomp profile")]
    Socket(Errno),
    #[error("the kernel refused the question ({0})")]
    Refused(Errno),
    #[error("the kernel's answer is not well-formed")]
    Malformed,
    #[error("there are more than {0} entries, more than are read")]
    TooMany(usize),
    #[error("the list kept changing while it was read; ask again when it is quiet")]
    Changing,
}
