//! Why a DNS query failed or was slow.

use crate::event::Explanation;
use crate::flow::dns::Query;

/// `None` for one that went well.
pub fn explain(_query: &Query) -> Option<Explanation> {
    None
}
