//! By which rules the walk came to where it is, and which rules wrote the marks that they asked for.

use super::MarkState;
use crate::model::Place;

/// A rule by which the walk left a chain, or the one that ends it.
#[derive(Clone, Debug)]
pub(super) struct Trail {
    pub place: Place,
    /// Sentences about sets that decided.
    pub sets: Vec<String>,
    /// Rules that wrote the bits of marks which decided.
    pub marks: Vec<Place>,
}

/// Which rule wrote each bit of a mark last.
#[derive(Clone, Debug)]
pub(super) struct Writers([Option<Place>; 32]);

impl Writers {
    pub(super) const fn new() -> Self {
        Self([None; 32])
    }

    pub(super) fn wrote(&mut self, bits: u32, place: Place) {
        if bits == 0 {
            return;
        }
        for (bit, writer) in self.0.iter_mut().enumerate() {
            if bits >> bit & 1 != 0 {
                *writer = Some(place);
            }
        }
    }

    /// The last writers of these bits, each once.
    fn of(&self, bits: u32, into: &mut Vec<Place>) {
        if bits == 0 {
            return;
        }
        for (bit, writer) in self.0.iter().enumerate() {
            if let Some(place) = writer
                && bits >> bit & 1 != 0
                && !into.contains(place)
            {
                into.push(*place);
            }
        }
    }
}

/// The writers of both marks.
#[derive(Clone, Debug)]
pub(super) struct History {
    packet: Writers,
    connection: Writers,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { packet: Writers::new(), connection: Writers::new() }
    }

    /// Takes down what a rule asked of the marks and wrote to them.
    pub(super) fn rule(&mut self, place: Place, mark: &mut MarkState, connection: &mut MarkState) -> Trail {
        let (asked, written) = mark.take_trace();
        let (asked_connection, written_connection) = connection.take_trace();
        let mut marks = Vec::new();
        self.packet.of(asked, &mut marks);
        self.connection.of(asked_connection, &mut marks);
        self.packet.wrote(written, place);
        self.connection.wrote(written_connection, place);
        Trail { place, sets: Vec::new(), marks }
    }
}
