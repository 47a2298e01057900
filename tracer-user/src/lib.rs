//! whydrop

pub mod doctor;
pub mod host;
