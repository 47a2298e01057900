//! What the place of a drop adds to its reason.
//!
//! Many reasons are shared by different failures or say nothing; the function that freed the packet tells them apart.
//! The rows are what was seen on real kernels (5.10 to 7.2); the first row that fits is taken.

mod background;
mod derive;
mod problems;

pub(super) use derive::{Derived, derive};

use super::observation::Observation;
use crate::event::{Cause, Confidence, Severity};

/// The reason of rows for kernels that give none.
pub(super) const UNKNOWN: &str = "UNKNOWN";
pub(super) const NOT_SPECIFIED: &str = "NOT_SPECIFIED";

/// One row: these reasons at these functions mean this.
#[derive(Debug)]
pub struct Place {
    pub reasons: &'static [&'static str],
    /// Functions without suffixes, between blanks; a name that ends in `*` stands for all that begin so.
    pub locations: &'static str,
    /// Which packets: `when` in words, for the documentation; empty for all.
    pub only: &'static str,
    pub when: fn(&Observation<'_>) -> bool,
    /// One sentence without a full stop, with the placeholders of [`super::fill`].
    pub says: &'static str,
    /// The reason in the catalogue whose cause, class and remedy hold here where the row gives none.
    pub like: Option<&'static str>,
    pub cause: Option<Cause>,
    pub confidence: Confidence,
    pub severity: Option<(Severity, &'static str)>,
    pub remedy: Option<&'static [&'static str]>,
}

/// Holds nothing; rows fill it.
const ROW: Place = Place {
    reasons: &[NOT_SPECIFIED],
    locations: "",
    only: "",
    when: |_| true,
    says: "",
    like: None,
    cause: None,
    confidence: Confidence::Derived,
    severity: None,
    remedy: None,
};

/// All rows in the order in which they are tried.
pub fn places() -> impl Iterator<Item = &'static Place> {
    background::PLACES.iter().chain(problems::PLACES)
}

/// The row of a reason at the place of this drop.
pub(super) fn place(reason: &str, drop: &Observation<'_>) -> Option<&'static Place> {
    let symbol = drop.symbol();
    places().find(|place| place.reasons.contains(&reason) && is_one_of(symbol, place.locations) && (place.when)(drop))
}

fn is_one_of(symbol: &str, locations: &str) -> bool {
    locations.split_ascii_whitespace().any(|location| match location.strip_suffix('*') {
        Some(prefix) => symbol.starts_with(prefix),
        None => symbol == location,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::catalogue::{GROUPS, reason};
    use crate::explain::fill;
    use crate::explain::scenarios::packet;

    #[test]
    fn rows_name_reasons_that_exist_and_say_something() {
        for place in places() {
            for name in place.reasons.iter().chain(&place.like).filter(|name| **name != UNKNOWN) {
                assert!(reason(name).is_some(), "{name}");
            }
            assert!(!place.locations.is_empty() && !place.says.is_empty() && !place.says.ends_with('.'));
            assert!(place.cause.is_some() || place.like.is_some(), "{}", place.says);
            assert!(
                place.severity.is_some() || place.like.is_some() || place.reasons != [NOT_SPECIFIED],
                "{}",
                place.says
            );
        }
    }

    #[test]
    fn every_placeholder_is_known() {
        let drop = packet("tcp6");
        let of_places = places().filter_map(|place| place.remedy);
        let of_reasons = GROUPS.iter().flat_map(|group| group.entries).map(|entry| entry.remedy);
        for template in of_places.chain(of_reasons).flatten() {
            let line = fill::remedy(template, &drop);
            assert!(line.is_some_and(|line| !line.contains('{')), "{template}");
        }
        for place in places() {
            assert!(!fill::sentence(place.says, &drop).contains('{'), "{}", place.says);
        }
    }

    #[test]
    fn a_star_stands_for_any_ending() {
        assert!(is_one_of("br_handle_frame", "ip_rcv br_*") && is_one_of("ip_rcv", "ip_rcv br_*"));
        assert!(!is_one_of("ip_rcv_core", "ip_rcv br_*") && !is_one_of("", "ip_rcv br_*"));
    }
}
