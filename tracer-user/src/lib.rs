//! whydrop

pub mod host;
