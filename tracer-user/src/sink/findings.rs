//! What text output says at its end: each different explanation once, with its evidence and what to try.
//!
//! Rule: one entry an explanation, not a flow; the ones that most packets were dropped for come first.

use std::collections::HashMap;
use std::fmt::Write;

use crate::event::{Counter, Explanation};

use super::style::{Style, printable, thousands};

/// Different explanations remembered; the rest is only counted.
const MOST_KEPT: usize = 256;
/// Different explanations printed.
const MOST_PRINTED: usize = 5;

/// The explanations of the lines so far, with their packets.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// By namespace and summary: commands to try name the namespace.
    by_summary: HashMap<(u32, String), (u64, Explanation)>,
    others: u64,
    counted: u64,
}

impl Findings {
    /// Adds what was said of `count` packets in a namespace.
    pub(super) fn add(&mut self, netns: u32, count: u64, explanation: &Explanation) {
        let key = (netns, explanation.summary.clone());
        if let Some((packets, last)) = self.by_summary.get_mut(&key) {
            *packets += count;
            // The last one knows most: counters have risen since.
            last.clone_from(explanation);
        } else if self.by_summary.len() < MOST_KEPT {
            self.by_summary.insert(key, (count, explanation.clone()));
        } else {
            self.others += count;
        }
    }

    /// Adds what was said of a counter.
    pub(super) fn add_counter(&mut self, counter: &Counter) {
        self.counted = self.counted.saturating_add(counter.delta);
        self.add(counter.netns.inode, counter.delta, &counter.explanation);
    }

    /// Packets that are known by counters only.
    pub(super) fn counted(&self) -> u64 {
        self.counted
    }

    /// The entries, each line ended.
    pub(super) fn print(&self, style: Style) -> String {
        let mut all: Vec<&(u64, Explanation)> = self.by_summary.values().collect();
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.summary.cmp(&b.1.summary)));
        let mut out = String::new();
        for (packets, explanation) in all.iter().take(MOST_PRINTED) {
            out.push('\n');
            out.push_str(&entry(*packets, explanation, style));
        }
        let rest = all.iter().skip(MOST_PRINTED).map(|(packets, _)| packets).sum::<u64>() + self.others;
        if rest > 0 {
            let _ = writeln!(out, "\n{} packets more have other explanations: see their lines above.", thousands(rest));
        }
        out
    }
}

/// One explanation: its sentence, what was seen, what is open, what to try.
pub(crate) fn entry(packets: u64, explanation: &Explanation, style: Style) -> String {
    let title = format!("{} ({}×, {})", printable(&explanation.summary), thousands(packets), explanation.confidence);
    let mut out = format!("{}\n", style.bold(&title));
    for fact in &explanation.evidence {
        let _ = writeln!(out, "  seen:  {}", printable(fact));
    }
    if let Some(unknown) = &explanation.unknown {
        let _ = writeln!(out, "  open:  {}", printable(unknown));
    }
    for step in &explanation.remedy {
        let _ = writeln!(out, "  try:   {}", printable(step));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Cause, Confidence};

    #[test]
    fn an_entry_says_what_was_seen_what_is_open_and_what_to_try() {
        let mut explanation = Explanation::new(Cause::NoSocket, Confidence::Derived, "nobody listens\x1b[2J");
        explanation.evidence.push("fact".into());
        explanation.remedy.push("ss -lnp".into());
        explanation.unknown = Some("who".into());
        let text = entry(1234, &explanation, Style { colour: false });
        assert_eq!(text, "nobody listens\\u{1b}[2J (1,234×, derived)\n  seen:  fact\n  open:  who\n  try:   ss -lnp\n");
    }
}
