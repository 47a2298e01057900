//! Who had something in a time, and the sentences for when that is not one pod.

use std::sync::Arc;

use tracer_policy::model::Pod;

use crate::host::Clock;

use super::history::Tenancy;

/// The time that a line stands for: its packets were seen in it, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub from: u64,
    pub to: u64,
}

impl Span {
    pub const fn at(time: u64) -> Self {
        Self { from: time, to: time }
    }
}

/// Who had something in a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    Pod(Arc<Pod>),
    Nobody,
    /// It changed hands, or two claim it: why no name is given.
    Contested(String),
}

impl Holder {
    pub fn pod(&self) -> Option<&Arc<Pod>> {
        match self {
            Self::Pod(pod) => Some(pod),
            Self::Nobody | Self::Contested(_) => None,
        }
    }
}

/// `10.244.1.7 is shop/b's since 22:14:03 only`.
pub(super) fn part(what: &str, name: &str, tenancy: &Tenancy, span: Span) -> String {
    if span.from < tenancy.since.from {
        format!("{what} is {name}'s since {} only, and the packets are not all of that time", clock(tenancy.since.from))
    } else {
        format!("{what} was {name}'s until {} only, and the packets are not all of that time", clock(tenancy.until))
    }
}

/// `10.244.1.7 went from shop/a to shop/b at 22:14:03`.
pub(super) fn several(what: &str, [one, two]: &[String; 2], first: &Tenancy, second: &Tenancy) -> String {
    if first.is_open() {
        return format!("{what} is claimed by {one} and by {two}");
    }
    format!("{what} went from {one} to {two} at {}", clock(first.until.min(second.since.from)))
}

/// The time of day in UTC.
pub(crate) fn clock(monotonic: u64) -> String {
    let time = humantime::format_rfc3339_seconds(Clock::measure().wall(monotonic)).to_string();
    time.get(11..19).unwrap_or(&time).to_owned()
}
