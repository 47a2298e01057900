//! Sets and maps: what they hold for what stands in the registers.
//!
//! Rule: a key that is only partly known can still surely be in no set; what it can be in is given whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::registers::{Bounds, Reason, Registers};
use super::{View, describe};
use crate::model::{Element, ElementData, Elements, Register, Ruleset, Set};

/// More elements than this are not compared one by one with a key that is not fully known.
const COMPARED: usize = 4096;

/// The sets of the tables that were looked at, by name.
pub(super) struct Sets<'r> {
    ruleset: &'r Ruleset,
    tables: HashMap<usize, HashMap<&'r str, &'r Set>>,
}

/// What a set holds for a key.
pub(super) enum Held {
    /// A sentence, for a set that has a name of its own.
    Yes(Option<ElementData>, Option<String>),
    No(Option<String>),
    /// Why it can't be told, and what it may hold.
    Unknown(Reason, Vec<ElementData>),
}

impl<'r> Sets<'r> {
    pub(super) fn new(ruleset: &'r Ruleset) -> Self {
        Self { ruleset, tables: HashMap::new() }
    }

    pub(super) fn find(&mut self, table: usize, name: &str) -> Option<&'r Set> {
        let sets = self.ruleset.tables.get(table).map_or(&[][..], |table| &table.sets);
        let index = self.tables.entry(table).or_insert_with(|| sets.iter().map(|set| (&*set.name, set)).collect());
        index.get(name).copied()
    }
}

/// Looks up the key in a register.
pub(super) fn lookup(view: &mut View<'_>, registers: &mut Registers, set: &Set, register: Register) -> Held {
    let length = set.key_length as usize;
    let elements = match view.world.elements(view.table, &set.name) {
        Ok(elements) => elements,
        Err(reason) => return Held::Unknown(reason.into(), Vec::new()),
    };
    if elements.is_empty() {
        return Held::No(sentence(set, None, None));
    }
    registers.resolve(register, length, view);
    let Some(bounds) = registers.bounds(register, length) else {
        return Held::Unknown("a register that does not exist".into(), Vec::new());
    };
    if bounds.low == bounds.high {
        return known(set, &elements, &bounds.low);
    }
    open(&elements, &bounds, registers.reason(register, length))
}

fn known(set: &Set, elements: &Arc<Elements>, key: &[u8]) -> Held {
    match elements.find(key) {
        None => Held::No(sentence(set, Some(key), None)),
        Some(element) if element.conditional => Held::Unknown(
            format!("the condition of an element of set {}", set.name).into(),
            element.data.iter().cloned().collect(),
        ),
        Some(element) => Held::Yes(element.data.clone(), sentence(set, Some(key), Some(element))),
    }
}

fn open(elements: &Arc<Elements>, bounds: &Bounds, reason: Reason) -> Held {
    if elements.len() > COMPARED {
        return Held::Unknown(reason, Vec::new());
    }
    let mut possible: Vec<ElementData> = Vec::new();
    let mut is_possible = false;
    for element in elements.iter().filter(|element| may_hold(element, bounds)).chain(elements.catch_all()) {
        is_possible = true;
        possible.extend(element.data.iter().filter(|data| !possible.contains(data)).cloned().collect::<Vec<_>>());
    }
    if is_possible { Held::Unknown(reason, possible) } else { Held::No(None) }
}

/// Whether an element can hold for a key within these bounds. Bits that are equal in both are known.
fn may_hold(element: &Element, bounds: &Bounds) -> bool {
    match &element.key_end {
        None => {
            let mut bytes = bounds.low.iter().zip(&bounds.high).zip(&element.key);
            bytes.all(|((low, high), byte)| (byte ^ low) & !(low ^ high) == 0)
        }
        // For the parts of a concatenation this is only a first sieve.
        Some(end) => element.key <= bounds.high && *end >= bounds.low,
    }
}

/// `10.0.0.1 is in set bl (10.0.0.0/24)`. Sets without a name of their own stand in the rule's text anyway.
fn sentence(set: &Set, key: Option<&[u8]>, element: Option<&Element>) -> Option<String> {
    if set.flags.anonymous() {
        return None;
    }
    let what = if set.flags.map() { "map" } else { "set" };
    let name = &set.name;
    Some(match (key, element) {
        (None, _) => format!("{what} {name} is empty"),
        (Some(key), None) => format!("{} is not in {what} {name}", describe::key(set, key)),
        (Some(key), Some(element)) => {
            let (key, text) = (describe::key(set, key), describe::element(set, element));
            let comment = element.comment.as_ref().map(|comment| format!("comment \"{comment}\""));
            let details = Some(text).filter(|text| *text != key).into_iter().chain(comment).collect::<Vec<_>>();
            if details.is_empty() {
                format!("{key} is in {what} {name}")
            } else {
                format!("{key} is in {what} {name} ({})", details.join(", "))
            }
        }
    })
}
