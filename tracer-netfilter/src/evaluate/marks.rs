//! What rules have done to a packet on one way.

use super::{MarkState, View};

/// What a [`View`] takes from rule to rule.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub packet: MarkState,
    pub connection: MarkState,
    pub no_track: bool,
}

impl Marks {
    pub(super) const fn of(view: &View<'_>) -> Self {
        Self { packet: view.mark, connection: view.connection_mark, no_track: view.no_track }
    }

    pub(super) const fn put(self, view: &mut View<'_>) {
        view.mark = self.packet;
        view.connection_mark = self.connection;
        view.no_track = self.no_track;
    }

    /// What is known where two ways come together.
    const fn join(self, other: &Self) -> Self {
        Self {
            packet: self.packet.join(&other.packet),
            connection: self.connection.join(&other.connection),
            no_track: self.no_track && other.no_track,
        }
    }
}

/// A place where ways come together; `None` until one does.
pub(super) const fn meet(place: Option<Marks>, way: Option<Marks>) -> Option<Marks> {
    match (place, way) {
        (Some(place), Some(way)) => Some(place.join(&way)),
        (Some(one), None) | (None, Some(one)) => Some(one),
        (None, None) => None,
    }
}
