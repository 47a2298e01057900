//! Whether a part of a policy is about something, where that may be open.
//!
//! Rule: three values, as Kleene's logic joins them: all of several is the least of them, any of several the greatest.

use crate::World;
use crate::model::{Labels, Selector};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    No,
    /// What it hangs on is not known.
    Maybe,
    Yes,
}

impl Fit {
    pub(super) fn all(fits: impl IntoIterator<Item = Self>) -> Self {
        fits.into_iter().min().unwrap_or(Self::Yes)
    }

    pub(super) fn any(fits: impl IntoIterator<Item = Self>) -> Self {
        fits.into_iter().max().unwrap_or(Self::No)
    }
}

impl From<bool> for Fit {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// The label that the API server gives every namespace: its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace's label: `None` if the namespace is not known, `Some(None)` if it has no such label.
#[allow(clippy::option_option, reason = "not known and known to be absent are two things")]
pub(super) fn namespace_label<'a>(world: &'a World, namespace: &'a str, key: &str) -> Option<Option<&'a str>> {
    if key == NAME_LABEL {
        return Some(Some(namespace));
    }
    world.namespace(namespace).map(|known| known.labels.get(key))
}

/// Whether a selector of namespaces means this one.
pub(super) fn namespace(world: &World, selector: &Selector, namespace: &str) -> Fit {
    Fit::all(selector.requirements.iter().map(|requirement| {
        namespace_label(world, namespace, &requirement.key)
            .map_or(Fit::Maybe, |value| requirement.holds_for(value).into())
    }))
}

/// Whether a selector means something that has these labels; `None`: they are not known.
pub(super) fn labels(selector: &Selector, labels: Option<&Labels>) -> Fit {
    match labels {
        Some(labels) => selector.matches(labels).into(),
        None if selector.is_empty() => Fit::Yes,
        None => Fit::Maybe,
    }
}
