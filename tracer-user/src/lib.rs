//! whydrop
pub mod btf;
pub mod host;
