//! Drops that are the same, though they were told with different explanations: before the node's state was read, and after.
//!
//! Rule: what the kernel says is the same (namespace, reason, place, ends) is one drop, unless two explanations each name
//! something else: two rules are two reasons.

use std::collections::HashMap;

use crate::event::Drop;

use super::talk::Talk;

/// Different drops that are told apart, some 200 bytes each.
const MOST: usize = 16_384;

/// What the kernel says of a drop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    netns: u32,
    reason: String,
    symbol: String,
    offset: u64,
    talk: Talk,
}

/// The first groups with a drop of one kind: one whose explanation names what decided, and one without.
#[derive(Clone, Copy, Debug, Default)]
struct Groups {
    named: Option<usize>,
    unnamed: Option<usize>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct SameDrops(HashMap<Key, Groups>);

impl SameDrops {
    /// Notes that a drop is in a group; `is_named` if its explanation names the object that decided.
    pub(super) fn add(&mut self, drop: &Drop, talk: Option<Talk>, is_named: bool, group: usize) {
        let Some(talk) = talk else { return };
        let key = Key {
            netns: drop.netns.inode,
            reason: drop.reason.name.clone(),
            symbol: drop.location.symbol.clone(),
            offset: drop.location.offset,
            talk,
        };
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            return;
        }
        let groups = self.0.entry(key).or_default();
        let place = if is_named { &mut groups.named } else { &mut groups.unnamed };
        place.get_or_insert(group);
    }

    /// Groups without a name, each with the group that it is the same as. If one is like several, the first.
    pub(super) fn joined(self) -> HashMap<usize, usize> {
        let mut joined: HashMap<usize, usize> = HashMap::new();
        for groups in self.0.into_values() {
            if let (Some(named), Some(unnamed)) = (groups.named, groups.unnamed) {
                let to = joined.entry(unnamed).or_insert(named);
                *to = named.min(*to);
            }
        }
        joined
    }
}
