//! `whydrop dns`: queries that fail are told with where and why, and those that go well are not.

mod client;
mod failures;
mod healthy;
mod server;

use std::net::SocketAddr;

use anyhow::Result;
use tracer_tests::event::key;
use tracer_tests::{Expect, Family, NetNs, Tracer, tracer};

/// `whydrop dns -o json` on one namespace, ready.
pub(crate) fn watch(namespace: &NetNs, more: &[&str]) -> Result<Tracer> {
    let mut command = tracer::command(["dns", "-o", "json", "--netns", &namespace.inode()?.to_string()])?;
    Tracer::spawn(command.args(more))
}

/// The line of a query.
pub(crate) fn line(name: &str, outcome: &str) -> Expect {
    Expect::any().with(key::KIND, "dns").with(key::QUERY, name).with(key::OUTCOME, outcome)
}

/// A name of its own for each family, and the resolver's address.
pub(crate) fn asked(family: Family, server: tracer_tests::Dual, name: &str) -> (String, SocketAddr) {
    (format!("{name}-{}.lab.example", family.name()), SocketAddr::new(server.ip(family), 53))
}
