//! nf_tables over netlink: whole rulesets, the elements of a set, one rule's counter.
//!
//! Rules: nothing is changed (but by who sends what [`compose`] makes) and no kernel module is loaded for a question; a ruleset that changed while it was read is
//! read again; what one rule or element holds that can't be understood makes that rule or element unknown, never the
//! whole ruleset unreadable. Numbers are big-endian in netlink, and values of registers as the kernel keeps them.

mod chain;
mod collection;
pub mod compose;
mod data;
mod elements;
mod error;
mod expression;
mod interval;
mod read;
mod rule;
mod set;
mod table;
mod userdata;

pub use chain::reread_policy;
pub use elements::elements;
pub use error::NftError;
pub use read::{Reading, generation, read};
pub use rule::reread;
pub(crate) use rule::{expressions, rule};

use crate::model::Family;
use crate::netlink::{Request, Subsystem};

/// `NFT_MSG_` numbers (`include/uapi/linux/netfilter/nf_tables.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    Tables = 1,
    Chains = 4,
    Rules = 7,
    Sets = 10,
    Elements = 13,
    Generation = 16,
    Flowtables = 23,
}

/// A question about one family's tables, or all of them.
const fn request(ask: Ask, family: Option<Family>) -> Request {
    let family = match family {
        Some(family) => family.number(),
        None => 0,
    };
    Request::new(Subsystem::NfTables, ask as u8, family)
}

#[cfg(test)]
mod tests;
