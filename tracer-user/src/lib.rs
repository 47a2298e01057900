//! whydrop

pub mod event;
