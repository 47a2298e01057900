//! The evaluator against the kernel: rulesets and packets by chance, and the kernel's own counters for the truth.
//!
//! Rule: whatever the kernel accepts as a ruleset may be generated; a wrong rule that is named as certain fails the test,
//! however rare. `WHYDROP_DIFFERENTIAL_SEED` and `WHYDROP_DIFFERENTIAL_CASES` choose other runs; a failure prints both.

mod iptables;
mod judge;
mod lab;
mod nftables;
mod probe;
mod random;
mod run;
mod score;
mod style;
mod truth;
mod universe;
mod watch;
mod watcher;

use anyhow::Result;
use run::{Asked, Maker, run};
use tracer_tests::Family;

#[test]
fn iptables_legacy() -> Result<()> {
    run(Maker::Legacy, Family::V4, Asked::Library)
}

#[test]
fn ip6tables_legacy() -> Result<()> {
    run(Maker::Legacy, Family::V6, Asked::Library)
}

#[test]
fn iptables_nft() -> Result<()> {
    run(Maker::IptablesNft, Family::V4, Asked::Library)
}

#[test]
fn ip6tables_nft() -> Result<()> {
    run(Maker::IptablesNft, Family::V6, Asked::Library)
}

#[test]
fn nft_ip() -> Result<()> {
    run(Maker::Nft, Family::V4, Asked::Library)
}

#[test]
fn nft_ip6() -> Result<()> {
    run(Maker::Nft, Family::V6, Asked::Library)
}

#[test]
fn watch_iptables_legacy() -> Result<()> {
    run(Maker::Legacy, Family::V4, Asked::Binary)
}

#[test]
fn watch_ip6tables_legacy() -> Result<()> {
    run(Maker::Legacy, Family::V6, Asked::Binary)
}

#[test]
fn watch_iptables_nft() -> Result<()> {
    run(Maker::IptablesNft, Family::V4, Asked::Binary)
}

#[test]
fn watch_ip6tables_nft() -> Result<()> {
    run(Maker::IptablesNft, Family::V6, Asked::Binary)
}

#[test]
fn watch_nft_ip() -> Result<()> {
    run(Maker::Nft, Family::V4, Asked::Binary)
}

#[test]
fn watch_nft_ip6() -> Result<()> {
    run(Maker::Nft, Family::V6, Asked::Binary)
}
