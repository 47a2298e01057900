//! `whydrop diagnose` on a node in a cloud: what is broken is found and named, what is not is left alone.

mod bystanders;
mod cloud;
