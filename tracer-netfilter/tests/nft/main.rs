//! Rulesets of real nf_tables, made with nft(8) and iptables-nft(8) in namespaces of their own, read by ourselves.
//!
//! Needs root. The oracle is nft's own reading of the same rules.

#![expect(clippy::expect_used, reason = "a test that can't be set up fails")]

mod elements;
mod names;
#[path = "../namespace/mod.rs"]
mod namespace;
mod oracle;
mod ruleset;

use namespace::Namespace;
use tracer_netfilter::model::{Ruleset, Table};
use tracer_netfilter::nft;

/// What stands in a namespace.
fn read(namespace: &Namespace) -> Ruleset {
    let nft::Reading { generation, tables, gaps } = namespace.inside(nft::read).expect("it can be read");
    Ruleset { generation, tables, gaps }
}

fn table<'a>(ruleset: &'a Ruleset, name: &str) -> &'a Table {
    ruleset.tables.iter().find(|table| table.name == name).expect("it was made")
}
