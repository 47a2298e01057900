//! Routes and rules of the routing policy, as `ip` shows them.

mod route;
mod rule;

pub(super) use route::{route, table_of};
pub(super) use rule::rule;

/// A table's name, or its number (`/etc/iproute2/rt_tables` has these everywhere).
pub(super) fn table(number: u32) -> String {
    match number {
        253 => "default".to_owned(),
        254 => "main".to_owned(),
        255 => "local".to_owned(),
        number => number.to_string(),
    }
}
