//! What it hangs on that the packet is where it is.

use super::registers::Reason;

/// So many phrases tell enough.
const MOST: usize = 8;

/// Phrases, each once.
#[derive(Clone, Debug, Default)]
pub(super) struct Doubts(Vec<Reason>);

impl Doubts {
    pub(super) fn add(&mut self, reason: Reason) {
        if self.0.len() < MOST && !self.0.contains(&reason) {
            self.0.push(reason);
        }
    }

    pub(super) fn extend(&mut self, other: &Self) {
        other.0.iter().for_each(|reason| self.add(reason.clone()));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_strings(self) -> Vec<String> {
        self.0.into_iter().map(Reason::into_owned).collect()
    }
}

impl From<Option<Reason>> for Doubts {
    fn from(reason: Option<Reason>) -> Self {
        Self(reason.into_iter().collect())
    }
}
