//! One allocation for text that many objects share.
//!
//! Rule: it keeps nothing alive: what no object holds any more goes with the next sweep, which comes by itself.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::model::{Labels, ObjectName, Text};

/// Entries before the first sweep.
const FIRST_SWEEP: usize = 4096;

/// Text and labels that were read before; a reader that is called again and again passes the same one.
#[derive(Debug, Default)]
pub struct Interner {
    texts: HashSet<Text>,
    labels: HashSet<Labels>,
    sweep_at: usize,
}

impl Interner {
    /// The known allocation of the same text, or a new one.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        self.make_room();
        let new: Text = text.into();
        self.texts.insert(Arc::clone(&new));
        new
    }

    /// Labels that equal known ones are the known ones: the pods of a workload share theirs.
    pub fn labels(&mut self, pairs: &BTreeMap<&str, &str>) -> Labels {
        let pairs: Vec<(Text, Text)> = pairs.iter().map(|(key, value)| (self.text(key), self.text(value))).collect();
        let labels = Labels::new(pairs);
        if let Some(known) = self.labels.get(&labels) {
            return known.clone();
        }
        self.make_room();
        self.labels.insert(labels.clone());
        labels
    }

    pub(super) fn name(&mut self, namespace: &str, name: &str) -> ObjectName {
        // Names are their object's own; namespaces are not.
        ObjectName { namespace: self.text(namespace), name: name.into() }
    }

    fn make_room(&mut self) {
        if self.texts.len() + self.labels.len() >= self.sweep_at.max(FIRST_SWEEP) {
            self.sweep();
            self.sweep_at = 2 * (self.texts.len() + self.labels.len());
        }
    }

    /// Forgets what nobody else holds.
    pub fn sweep(&mut self) {
        self.labels.retain(Labels::is_shared);
        self.texts.retain(|text| Arc::strong_count(text) > 1);
    }

    /// Texts that are kept now.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_text_and_equal_labels_are_one_allocation() {
        let mut interner = Interner::default();
        assert!(Arc::ptr_eq(&interner.text("app"), &interner.text("app")));
        let pairs: BTreeMap<&str, &str> = [("app", "web"), ("tier", "front")].into();
        let (one, other) = (interner.labels(&pairs), interner.labels(&pairs));
        let start = |labels: &Labels| labels.iter().next().map(|(key, _)| key.as_ptr());
        assert_eq!((start(&one), &one), (start(&other), &other));
    }

    #[test]
    fn what_nobody_holds_is_forgotten() {
        let mut interner = Interner::default();
        let kept = interner.labels(&[("app", "web")].into());
        for number in 0..100_000 {
            interner.labels(&[("version", number.to_string().as_str())].into());
        }
        assert!(interner.len() <= 2 * FIRST_SWEEP, "{} texts are kept", interner.len());
        for number in 0..1_u32 << 16 {
            let keys: Vec<String> =
                (0..16).filter(|bit| number & (1 << bit) != 0).map(|bit| format!("k{bit}")).collect();
            interner.labels(&keys.iter().map(|key| (key.as_str(), "")).collect());
        }
        assert!(interner.labels.len() <= 2 * FIRST_SWEEP, "{} sets of labels are kept", interner.labels.len());
        interner.sweep();
        assert_eq!((interner.len(), kept.to_string().as_str()), (2, "app=web"));
    }
}
