//! whydrop

pub mod event;
pub mod explain;
