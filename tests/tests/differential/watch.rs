//! What an event would show beside the bytes: the packet's mark, and its connection's state and mark, as they are when it
//! comes to a hook. The lab's own table counts them bit by bit.

use std::fmt::Write as _;

use tracer_netfilter::model::Hook;
use tracer_netfilter::packet::ConnectionState;

use crate::truth::{Counters, Name};

/// The lab's own table. What the rules let pass is dropped there.
pub(crate) const SWALLOW: &str = "swallow";
/// All bits of [`crate::universe::MARKS`].
const BITS: [u32; 4] = [0x1, 0x10, 0x400, 0x10000];
const STATES: [(&str, ConnectionState); 3] =
    [("new", ConnectionState::New), ("invalid", ConnectionState::Invalid), ("untracked", ConnectionState::Untracked)];
const HOOKS: [Hook; 5] = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting];

/// The table as `nft` takes it. Without `is_tracked` nothing in it sets connection tracking to work.
pub(crate) fn table(is_tracked: bool) -> String {
    let mut text = String::new();
    for hook in HOOKS.map(Hook::as_str) {
        let _ = write!(text, "chain watch-{hook} {{ type filter hook {hook} priority -2147483648;");
        for key in if is_tracked { &["meta", "ct"][..] } else { &["meta"] } {
            for bit in BITS {
                let _ = write!(text, " {key} mark and {bit:#x} == {bit:#x} counter;");
            }
        }
        text += " };";
    }
    for hook in ["prerouting", "output"].iter().filter(|_| is_tracked) {
        let _ = write!(text, "chain track-{hook} {{ type filter hook {hook} priority -199;");
        for (state, _) in STATES {
            let _ = write!(text, " ct state {state} counter;");
        }
        text += " };";
    }
    // The stack's own messages would meet the rules as well.
    for hook in ["prerouting", "output"] {
        let _ = write!(
            text,
            "chain quiet-{hook} {{ type filter hook {hook} priority -2147483647; icmpv6 type {{ 130-137, 143 }} drop; }};"
        );
    }
    for hook in ["input", "postrouting"] {
        let _ = write!(text, "chain {hook} {{ type filter hook {hook} priority 2147483646; counter drop; }};");
    }
    format!("table inet {SWALLOW} {{ {text} }}")
}

/// What was seen of one packet.
pub(crate) struct Seen<'a> {
    before: &'a Counters,
    after: &'a Counters,
}

impl<'a> Seen<'a> {
    pub(crate) const fn new(before: &'a Counters, after: &'a Counters) -> Self {
        Self { before, after }
    }

    /// The packet's mark as it came to a hook.
    pub(crate) fn mark(&self, hook: Hook) -> u32 {
        self.bits(hook, 1)
    }

    /// The mark of its connection.
    pub(crate) fn connection_mark(&self, hook: Hook) -> u32 {
        self.bits(hook, 5)
    }

    /// `None` if connection tracking did not come to look at it.
    pub(crate) fn state(&self) -> Option<ConnectionState> {
        let is_counted =
            |number| ["track-prerouting", "track-output"].iter().any(|chain| self.has_counted(chain, number));
        (1..).zip(STATES).find(|(number, _)| is_counted(*number)).map(|(_, (_, state))| state)
    }

    fn bits(&self, hook: Hook, first: u32) -> u32 {
        let chain = format!("watch-{}", hook.as_str());
        (first..).zip(BITS).filter(|(number, _)| self.has_counted(&chain, *number)).map(|(_, bit)| bit).sum()
    }

    fn has_counted(&self, chain: &str, number: u32) -> bool {
        let name =
            Name { is_legacy: false, family: "inet", table: SWALLOW.to_owned(), chain: chain.to_owned(), number };
        let packets = |counters: &Counters| counters.get(&name).map_or(0, |(packets, _)| *packets);
        packets(self.after) > packets(self.before)
    }
}
