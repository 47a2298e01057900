//! One chain on the stack of jumps.

use std::collections::VecDeque;
use std::rc::Rc;

use super::action::Action;
use super::doubts::Doubts;
use super::marks::Marks;
use super::registers::Reason;
use super::trail::Trail;

/// How a chain was come to; with what rules had done to the packet then, if it perhaps did not come.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// The base chain, or by a jump that was surely made.
    Sure,
    /// By a jump that was perhaps not made.
    Perhaps(Marks),
    /// By a goto that was perhaps not made: if it was, the packet does not come back to this chain.
    PerhapsGoto(Marks, Reason),
}

/// What a rule does, to be done before the next rule.
pub(super) struct Pending {
    pub action: Action,
    pub doubt: Option<Reason>,
    pub trail: Rc<Trail>,
}

pub(super) struct Frame {
    /// Index of the chain in its table.
    pub chain: usize,
    /// Number of the next rule.
    pub next: u32,
    pub entry: Entry,
    /// What it hangs on that the packet is still in this chain.
    pub doubts: Doubts,
    /// What rules had done to packets that were perhaps sent back already.
    pub returns: Option<Marks>,
    /// Length of the trail when it came here.
    pub trail: usize,
    pub pending: VecDeque<Pending>,
}

impl Frame {
    pub(super) fn new(chain: usize, entry: Entry, doubt: Option<Reason>, trail: usize) -> Self {
        Self { chain, next: 1, entry, doubts: doubt.into(), returns: None, trail, pending: VecDeque::new() }
    }
}
