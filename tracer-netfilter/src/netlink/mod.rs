//! Questions to the kernel's netfilter subsystems (`NETLINK_NETFILTER`), in the calling thread's network namespace.
//!
//! Rule: nothing waits and nothing is endless: the kernel answers while it is asked, every loop is bounded, and what
//! comes back is checked (sequence number, lengths) before it is believed. Messages are looked at where they lie in the
//! receive buffer, because a ruleset may have 100,000 of them. Only [`transaction`] changes anything.

mod attributes;
mod error;
mod request;
mod socket;
pub mod transaction;

pub use attributes::{Attribute, Attributes};
pub(crate) use attributes::{text, until_nul};
pub use error::{Errno, NetlinkError};
pub use request::{Message, Request};
pub use socket::{Dump, Socket};

/// `NFNL_SUBSYS_` numbers (`include/uapi/linux/netfilter/nfnetlink.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    Conntrack,
    IpSet,
    NfTables,
}

impl Subsystem {
    pub const fn number(self) -> u8 {
        match self {
            Self::Conntrack => 1,
            Self::IpSet => 6,
            Self::NfTables => 10,
        }
    }
}
