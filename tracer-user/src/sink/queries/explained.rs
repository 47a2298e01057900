//! The explanations of all queries, each once: with how many queries it is of, and what to try.

use std::collections::HashMap;
use std::fmt::Write;

use super::super::findings::entry;
use super::super::style::{Style, endpoint, thousands};
use crate::event::{Cause, Dns, Drop, Explanation, QueryOutcome};

const MOST: usize = 256;
const PRINTED: usize = 8;

/// What has the same explanation but for the name: the same of the same resolver, seen in the same namespace.
type Key = (u32, Option<QueryOutcome>, Option<String>, String, Cause);

#[derive(Debug, Default)]
pub(super) struct Explained {
    entries: HashMap<Key, (u64, Explanation)>,
    others: u64,
}

impl Explained {
    pub(super) fn add(&mut self, dns: &Dns) {
        let Some(explanation) = &dns.explanation else { return };
        let netns = dns.client_netns.as_ref().unwrap_or(&dns.netns).inode;
        let key = (netns, Some(dns.outcome), dns.rcode.clone(), endpoint(&dns.server), explanation.cause);
        self.put(key, 1, explanation);
    }

    pub(super) fn add_drop(&mut self, drop: &Drop) {
        let explanation = &drop.explanation;
        self.put(
            (drop.netns.inode, None, None, explanation.summary.clone(), explanation.cause),
            drop.count,
            explanation,
        );
    }

    fn put(&mut self, key: Key, count: u64, explanation: &Explanation) {
        if self.entries.len() >= MOST && !self.entries.contains_key(&key) {
            self.others += count;
            return;
        }
        self.entries.entry(key).or_insert_with(|| (0, explanation.clone())).0 += count;
    }

    /// Each line ended; failures before the rest.
    pub(super) fn print(&self, style: Style) -> String {
        let mut all: Vec<_> = self.entries.iter().collect();
        let is_harmless =
            |key: &Key| matches!(key.1, Some(QueryOutcome::Answered | QueryOutcome::Search | QueryOutcome::NoSuchName));
        all.sort_by(|(a, left), (b, right)| {
            (is_harmless(a), right.0, &left.1.summary).cmp(&(is_harmless(b), left.0, &right.1.summary))
        });
        let mut out = String::new();
        for (_, (count, explanation)) in all.iter().take(PRINTED) {
            out.push('\n');
            out.push_str(&entry(*count, &[], explanation, style));
        }
        let rest = all.iter().skip(PRINTED).map(|(_, (count, _))| count).sum::<u64>() + self.others;
        if rest > 0 {
            let _ = writeln!(out, "\n{} more have other explanations: see their lines above.", thousands(rest));
        }
        out
    }
}
