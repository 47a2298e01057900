//! The running kernel's own description of its types (BTF): where struct members are, which arguments a tracepoint has,
//! what its drop reasons are called. Rule: no offset, position or number of a kernel is compiled in; it is looked up
//! here, and what is not there is reported by name. The blob is hostile until parsed: every length and number is
//! checked, and no lookup can loop.

mod blob;
mod enumeration;
mod error;
mod header;
mod member;
mod name;
mod prototype;
mod reader;
mod reasons;
mod record;
mod resolve;
mod stand_in;

pub use error::BtfError;
pub use member::Member;
pub use prototype::DropArguments;
pub use reader::Btf;
pub use reasons::ReasonNames;
pub use resolve::{Missing, ResolveError, Resolved, resolve};
pub use stand_in::bare_loader;
