//! Joins what several devices saw of a DNS transaction.

use std::sync::Arc;

use super::Question;
use crate::flow::{Batch, DropSeen, Lost, Point, Tuple};

/// A transaction that is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Before any translation: as the client sees it.
    pub tuple: Tuple,
    pub question: Question,
    /// Where it was seen first.
    pub at: Arc<Point>,
    /// Response code of the answer (RFC 6895); `None` without one.
    pub rcode: Option<u16>,
    pub answer_count: u16,
    /// ns.
    pub latency: Option<u64>,
    pub attempts: u32,
    /// `CLOCK_MONOTONIC` ns.
    pub first: u64,
    /// For a query without an answer.
    pub lost: Option<Lost>,
    pub drops: Vec<DropSeen>,
}

/// Queries that are not decided yet.
#[derive(Debug, Default)]
pub struct Book {
    queries: u64,
    failed: u64,
}

impl Book {
    pub fn add(&mut self, _batch: &Batch) {}

    /// As [`crate::flow::Book::dropped`].
    pub fn dropped(&mut self, _tuple: &Tuple, _drop: DropSeen) {}

    /// Takes out all queries that are decided, also those that went well.
    pub fn take(&mut self, _now: u64, _is_end: bool) -> Vec<Query> {
        Vec::new()
    }

    /// Decided queries, and of these: failed.
    pub fn totals(&self) -> (u64, u64) {
        (self.queries, self.failed)
    }
}
