//! whydrop
pub mod btf;
