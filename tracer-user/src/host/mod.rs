//! What the host looks like: facts that stand beside the event line.

pub mod symbol;
