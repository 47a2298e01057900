//! Who held an address or a namespace number, and when.
//!
//! Rule: a tenancy is at least as long as it was in truth: from the earliest time that its pod may have had it, until somebody
//! said that it was over. So whoever is alone in a span was alone.

use tracer_policy::model::Text;

use super::Span;

/// Tenancies kept of one address beside the last; more change hands in minutes only where somebody lies.
const MOST_BEFORE: usize = 7;

/// No end so far.
const OPEN: u64 = u64::MAX;

/// Since when a pod has something, `CLOCK_MONOTONIC` nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// It may have had it by then already: nobody else is named from then on.
    pub(super) earliest: u64,
    /// It is named from then on; 0 if that is not known.
    pub(super) from: u64,
}

impl Since {
    /// From the time before which it can't have had it.
    pub(super) const fn exactly(time: u64) -> Self {
        Self { earliest: time, from: time }
    }

    /// From when it was heard of, `late` nanoseconds later at most.
    pub(super) const fn heard(time: u64, late: u64) -> Self {
        Self { earliest: time.saturating_sub(late), from: time }
    }
}

/// One pod's time with it; `until`, `CLOCK_MONOTONIC` nanoseconds, is not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tenancy {
    pub(super) holder: Text,
    pub(super) since: Since,
    pub(super) until: u64,
}

impl Tenancy {
    pub(super) fn is_open(&self) -> bool {
        self.until == OPEN
    }

    fn touches(&self, span: Span) -> bool {
        self.since.earliest <= span.to && span.from < self.until
    }

    fn covers(&self, span: Span) -> bool {
        self.since.from <= span.from && span.to < self.until
    }
}

/// All tenancies of one address or number that are remembered.
#[derive(Clone, Debug)]
pub(super) struct History {
    last: Tenancy,
    /// Most have had one holder only.
    before: Option<Box<Before>>,
}

#[derive(Clone, Debug, Default)]
struct Before {
    tenancies: Vec<Tenancy>,
    /// Who had it up to this time is not remembered any more.
    forgotten: u64,
}

/// Who was there in a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// It alone, all the time.
    One(&'a Tenancy),
    /// It alone, but not all the time.
    Part(&'a Tenancy),
    /// The first two, by the time from which they had it.
    Several(&'a Tenancy, &'a Tenancy),
    Nobody,
}

impl History {
    pub(super) fn new(holder: Text, since: Since) -> Self {
        Self { last: Tenancy { holder, since, until: OPEN }, before: None }
    }

    fn all(&self) -> impl Iterator<Item = &Tenancy> {
        self.before.iter().flat_map(|before| &before.tenancies).chain([&self.last])
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Tenancy> {
        self.before.iter_mut().flat_map(|before| &mut before.tenancies).chain([&mut self.last])
    }

    fn forgotten(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.forgotten)
    }

    /// A pod has it now. Where it is not known since when, since the one before was gone.
    pub(super) fn open(&mut self, holder: &Text, since: Since) {
        if self.all().any(|tenancy| tenancy.is_open() && tenancy.holder == *holder) {
            return;
        }
        let ended = self.all().filter(|tenancy| !tenancy.is_open()).map(|tenancy| tenancy.until).max();
        let ended = ended.unwrap_or(0).max(self.forgotten());
        let since = if since.from == 0 { Since::exactly(ended) } else { since };
        let last = Tenancy { holder: holder.clone(), since, until: OPEN };
        let before = self.before.get_or_insert_default();
        before.tenancies.push(std::mem::replace(&mut self.last, last));
        if before.tenancies.len() > MOST_BEFORE {
            self.forget_one();
        }
    }

    /// It is known better since when a pod that has it has it.
    pub(super) fn correct(&mut self, holder: &Text, since: Since) {
        let open = self.all_mut().find(|tenancy| tenancy.is_open() && tenancy.holder == *holder);
        if let Some(tenancy) = open {
            tenancy.since = since;
        }
    }

    /// A pod has it no more; true if it had.
    pub(super) fn close(&mut self, holder: &Text, at: u64) -> bool {
        let open = self.all_mut().find(|tenancy| tenancy.is_open() && tenancy.holder == *holder);
        let Some(tenancy) = open else { return false };
        tenancy.until = at.max(tenancy.since.from);
        true
    }

    /// A pod is known by another key.
    pub(super) fn rename(&mut self, old: &Text, new: &Text) {
        for tenancy in self.all_mut().filter(|tenancy| tenancy.holder == *old) {
            tenancy.holder = new.clone();
        }
    }

    /// Forgets the tenancy that ended first. False if it was the only one: then all of it can go.
    pub(super) fn forget_one(&mut self) -> bool {
        let Some(before) = &mut self.before else { return self.last.is_open() };
        let first = before.tenancies.iter().enumerate().min_by_key(|(_, tenancy)| tenancy.until).map(|(at, _)| at);
        let Some(first) = first else { return self.last.is_open() };
        // Where it is one that has not ended, nobody knows any more whose it is.
        let forgotten = before.tenancies.swap_remove(first);
        before.forgotten = before.forgotten.max(forgotten.until);
        true
    }

    pub(super) fn find(&self, span: Span) -> Found<'_> {
        if span.from < self.forgotten() {
            return Found::Nobody;
        }
        let mut found: Option<&Tenancy> = None;
        let mut is_whole = false;
        for tenancy in self.all().filter(|tenancy| tenancy.touches(span)) {
            match found {
                Some(other) if other.holder != tenancy.holder => {
                    let (one, two) =
                        if other.since.from <= tenancy.since.from { (other, tenancy) } else { (tenancy, other) };
                    return Found::Several(one, two);
                }
                _ => {
                    is_whole |= tenancy.covers(span);
                    found = Some(tenancy);
                }
            }
        }
        match found {
            Some(tenancy) if is_whole => Found::One(tenancy),
            Some(tenancy) => Found::Part(tenancy),
            None => Found::Nobody,
        }
    }

    /// Who had it last before this time, if nobody is known to have it then.
    pub(super) fn last_before(&self, time: u64) -> Option<&Tenancy> {
        if self.find(Span::at(time)) != Found::Nobody || time < self.forgotten() {
            return None;
        }
        self.all().filter(|tenancy| tenancy.until <= time).max_by_key(|tenancy| tenancy.until)
    }

    /// Whether the answer for a span is also that for all later ones, so long as no source says more.
    pub(super) fn is_steady(&self, span: Span) -> bool {
        matches!(self.find(span), Found::One(tenancy) if tenancy.is_open())
            && self.all().all(|tenancy| tenancy.is_open() || tenancy.until <= span.from)
            && self.all().filter(|tenancy| tenancy.is_open()).count() == 1
    }
}
