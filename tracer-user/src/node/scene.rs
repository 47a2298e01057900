//! Where a reader stands: the question, what is known of the host, and the way into the packet's namespace.

use std::hash::Hash;

use super::Question;
use super::recent::{self, Recent};
use crate::host::clock::monotonic;
use crate::host::{self, HostError, Netns, enter};

/// One question being answered.
#[derive(Debug)]
pub struct Scene<'a> {
    pub question: &'a Question,
    pub host: &'a host::Facts,
    /// What could not be read so far, and why: readers add to it.
    pub unknown: Vec<String>,
    /// When it was dropped, or where that is not known, when answering began: `CLOCK_MONOTONIC`, ns.
    pub(super) time: u64,
}

impl<'a> Scene<'a> {
    pub fn new(question: &'a Question, host: &'a host::Facts) -> Self {
        let time = if question.time == 0 { monotonic() } else { question.time };
        Self { question, host, unknown: Vec::new(), time }
    }

    /// What was read after the drop; without time for that, what was read before it, which is noted.
    pub(super) fn recent<K: Hash + Eq, V: Clone>(
        &mut self,
        recent: &mut Recent<K, V>,
        what: &str,
        key: K,
        read: impl FnOnce(&mut Self) -> V,
    ) -> Option<V> {
        let read = recent.get(key, self.time, || read(self));
        recent::note(what, read, &mut self.unknown)
    }

    /// Does something inside the packet's namespace.
    ///
    /// # Errors
    /// Why it can't be entered, or that it is gone and another one has its number.
    pub fn inside<T: Send>(&self, work: impl Fn() -> T + Sync) -> Result<T, HostError> {
        let Question { netns, netns_cookie, .. } = self.question;
        enter::visit(netns, || {
            enter::check(netns.inode, *netns_cookie)?;
            Ok(work())
        })
    }

    /// Does something inside another namespace.
    ///
    /// # Errors
    /// Why it can't be entered.
    pub fn inside_of<T: Send>(&self, netns: &Netns, work: impl Fn() -> T + Sync) -> Result<T, HostError> {
        enter::visit(netns, || Ok(work()))
    }

    /// Takes a value, or notes why there is none.
    pub fn note<T, E: std::fmt::Display>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.unknown.push(format!("{what}: {error}"))).ok()
    }

    /// The name of an interface in the packet's namespace.
    pub fn interface_name(&self, index: u32) -> Option<&str> {
        self.host.interface(self.question.netns.inode, index).map(|interface| interface.name.as_str())
    }
}
