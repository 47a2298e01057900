//! What the host looks like: facts that stand beside the event line.
//!
//! Rules: reading is apart from parsing, so that parsing is tested on recorded text; a thing that vanishes while it is
//! read is normal; what is not known is an error value with its reason. Enrichers only see [`Facts`], an immutable
//! snapshot, and do no input or output; everything slow happens in the reader's own thread (see [`spawn`]).

pub mod backoff;
pub mod capability;
pub mod clock;
pub mod enter;
pub mod error;
pub mod facts;
mod folders;
pub mod handle;
pub mod interface;
pub mod kernel;
pub mod mountinfo;
pub mod netlink;
pub mod netns;
pub mod nsid;
pub mod platform;
pub mod reader;
pub mod root;
pub mod rtnetlink;
pub mod symbol;

pub use clock::Clock;
pub use error::HostError;
pub use facts::{Facts, Unknown};
pub use handle::{HostHandle, spawn};
pub use interface::{Interface, InterfaceTable};
pub use kernel::Kernel;
pub use netns::{Netns, NetnsName, entry_by_inode};
pub use reader::Reader;
pub use symbol::Symbols;
