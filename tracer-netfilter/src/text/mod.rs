//! Rules as their users find them: in `iptables -S` and in `nft list ruleset`.

pub mod iptables;
pub mod nft;
