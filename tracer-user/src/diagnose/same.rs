//! Drops that are the same, though they were told with different explanations: before the node's state was read, and after.
//!
//! Rule: what the kernel says is the same (namespace, reason, place, ends) is one drop, unless two explanations each name
//! something else: two rules are two reasons.

use std::collections::HashMap;

use crate::event::Drop;

use super::talk::Talk;

/// Drops of different ends that are told apart, some 100 bytes each.
const MOST: usize = 16_384;
/// Places with their reasons.
const MOST_PLACES: usize = 1024;

/// Some groups, in little room: there may be very many of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Few([u16; 4]);

impl Default for Few {
    fn default() -> Self {
        Self([Self::NONE; 4])
    }
}

impl Few {
    const NONE: u16 = u16::MAX;

    /// A group that has no room, or is there already, is left out.
    pub(super) fn add(&mut self, group: usize) {
        let Ok(group) = u16::try_from(group) else { return };
        if !self.0.contains(&group)
            && let Some(free) = self.0.iter_mut().find(|other| **other == Self::NONE)
        {
            *free = group;
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().filter(|group| *group != Self::NONE).map(usize::from)
    }

    /// Puts others in the place of some.
    pub(super) fn change(&mut self, to: impl Fn(usize) -> Option<usize>) {
        let mut changed = Self::default();
        self.iter().for_each(|group| changed.add(to(group).unwrap_or(group)));
        *self = changed;
    }
}

/// What the kernel says of a drop, but for the ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    netns: u32,
    reason: String,
    symbol: String,
    offset: u64,
}

/// The first groups with a drop of one kind: one whose explanation names what decided, and one without.
#[derive(Clone, Copy, Debug, Default)]
struct Groups {
    named: Option<usize>,
    unnamed: Option<usize>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct SameDrops {
    places: HashMap<Place, usize>,
    groups: HashMap<(usize, Talk), Groups>,
}

impl SameDrops {
    /// Notes that a drop is in a group; `is_named` if its explanation names the object that decided.
    pub(super) fn add(&mut self, drop: &Drop, talk: Option<Talk>, is_named: bool, group: usize) {
        let Some(talk) = talk else { return };
        let place = Place {
            netns: drop.netns.inode,
            reason: drop.reason.name.clone(),
            symbol: drop.location.symbol.clone(),
            offset: drop.location.offset,
        };
        let next = self.places.len();
        if next >= MOST_PLACES && !self.places.contains_key(&place) {
            return;
        }
        let key = (*self.places.entry(place).or_insert(next), talk);
        if self.groups.len() >= MOST && !self.groups.contains_key(&key) {
            return;
        }
        let groups = self.groups.entry(key).or_default();
        let place = if is_named { &mut groups.named } else { &mut groups.unnamed };
        place.get_or_insert(group);
    }

    /// Groups without a name, each with the group that it is the same as. If one is like several, the first.
    pub(super) fn joined(self) -> HashMap<usize, usize> {
        let mut joined: HashMap<usize, usize> = HashMap::new();
        for groups in self.groups.into_values() {
            if let (Some(named), Some(unnamed)) = (groups.named, groups.unnamed) {
                let to = joined.entry(unnamed).or_insert(named);
                *to = named.min(*to);
            }
        }
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_few_and_each_is_there_once() {
        let mut few = Few::default();
        for group in [7, 7, 3, 9, 1, 5, 100_000] {
            few.add(group);
        }
        assert_eq!(few.iter().collect::<Vec<_>>(), [7, 3, 9, 1]);
        few.change(|group| (group == 3).then_some(7));
        assert_eq!(few.iter().collect::<Vec<_>>(), [7, 9, 1]);
    }
}
