//! Where a reader stands: the question, what is known of the host, and the way into the packet's namespace.

use super::Question;
use crate::host::{self, HostError, Netns, enter};

/// One question being answered.
#[derive(Debug)]
pub struct Scene<'a> {
    pub question: &'a Question,
    pub host: &'a host::Facts,
    /// What could not be read so far, and why: readers add to it.
    pub unknown: Vec<String>,
}

impl Scene<'_> {
    /// Does something inside the packet's namespace, on a thread of its own.
    ///
    /// # Errors
    /// Why it can't be entered, or that it is gone and another one has its number.
    pub fn inside<T: Send>(&self, work: impl Fn() -> T + Sync) -> Result<T, HostError> {
        let Question { netns, netns_cookie, .. } = self.question;
        enter::one(netns, || {
            enter::check(netns.inode, *netns_cookie)?;
            Ok(work())
        })
    }

    /// Does something inside another namespace, on a thread of its own.
    ///
    /// # Errors
    /// Why it can't be entered.
    pub fn inside_of<T: Send>(&self, netns: &Netns, work: impl Fn() -> T + Sync) -> Result<T, HostError> {
        enter::one(netns, || Ok(work()))
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
