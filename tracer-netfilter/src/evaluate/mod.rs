//! Runs a packet through a ruleset as the kernel would, with what is not known kept apart.

mod mark;
mod view;

pub use mark::MarkState;
pub use view::View;
