//! Whether a ruleset that was read is still the one, and what its counters say by now.

use crate::model::{Backend, Counter, Place, RawRule, Ruleset, Table};
use crate::{legacy, nft};

/// Whether nf_tables has the same rules as when the ruleset was read.
pub fn is_nft_unchanged(ruleset: &Ruleset) -> bool {
    nft::generation().is_ok_and(|generation| generation == ruleset.generation)
}

/// Whether x_tables has the same rules as when the ruleset was read. All of them are read again for that.
pub fn is_legacy_unchanged(ruleset: &Ruleset) -> bool {
    let before = ruleset.tables.iter().filter(|table| table.backend == Backend::Legacy);
    let before: Vec<&Table> = before.collect();
    let (now, _gaps) = legacy::read();
    before.len() == now.len() && before.iter().zip(&now).all(|(before, now)| legacy::is_same(before, now))
}

/// The counter of a rule, or of a chain's policy, as it stands now; `None` if it has none, is gone or can't be read.
pub fn counter(ruleset: &Ruleset, place: Place) -> Option<Counter> {
    let (table, chain) = (ruleset.table(place)?, ruleset.chain(place)?);
    let counter = match (table.backend, place.number.checked_sub(1)) {
        (Backend::Legacy, _) => return legacy::reread(table, &chain.name, place.number).ok()?,
        (Backend::Nft, None) => nft::reread_policy(table, &chain.name),
        (Backend::Nft, Some(index)) => match chain.rules.get(index as usize)? {
            RawRule::Nft { handle, .. } => nft::reread(table, &chain.name, *handle),
            RawRule::Legacy { .. } => return None,
        },
    };
    counter.ok()?
}
