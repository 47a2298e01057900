//! What a rule sees when a packet comes to it.

use super::MarkState;
use crate::model::{Family, Hook, Table};
use crate::packet::Packet;
use crate::world::World;

/// A packet in front of a rule.
pub struct View<'a> {
    pub packet: &'a Packet,
    pub world: &'a dyn World,
    pub hook: Hook,
    /// The table that the rule stands in.
    pub table: &'a Table,
    /// The packet's mark as the rules so far have left it.
    pub mark: MarkState,
    /// The mark of its connection.
    pub connection_mark: MarkState,
    /// A rule on the way told connection tracking to leave it alone.
    pub no_track: bool,
}

impl View<'_> {
    /// The family whose headers the rule looks at: that of its table.
    pub const fn family(&self) -> Family {
        self.table.family
    }
}
