//! From what was typed to what can be used.
//!
//! Rule: the command line is only recorded by [`crate::cli`]; here it is validated once, against the running kernel's
//! names and namespaces, and nothing later looks at raw arguments. Each refusal is one sentence with the fix.

mod error;
mod filter;
mod netns;
mod subnet;

pub use error::SettingsError;
pub(crate) use error::shortened;
pub use filter::{FilterArgs, KernelFilter};
pub use netns::netns;
pub use subnet::Subnet;
