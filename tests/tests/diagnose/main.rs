//! `whydrop diagnose` on a node in a cloud: what is broken is found and named, what is not is left alone.

mod after_node;
mod bad_input;
mod before_node;
mod cloud;
mod dns;
mod ends;
mod flood;
mod healthy;
mod interfaces;
mod mtu;
mod on_node;
mod pod;
mod scene;
mod snat;
