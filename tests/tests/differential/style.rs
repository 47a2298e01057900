//! How a ruleset is made.

use tracer_tests::Family;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) family: Family,
    /// Rules may ask for a connection's state, which sets connection tracking to work.
    pub(crate) is_tracked: bool,
    /// Rules may hang on what nobody can know: chance, rates, the time of day.
    pub(crate) is_unsure: bool,
}
