//! What was said of the failures of a group. Sentences that differ only in their numbers and ends are one: what decided is the
//! same, and it is told with the numbers of all.

use crate::event::{Explanation, Flow};
use crate::explain::flow::{counted, goal};

/// Different sentences kept of a group.
const MOST: usize = 8;

/// One sentence.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Failures that it was said of.
    pub(super) count: u64,
    /// As it was said last: that one knows most, as counters have risen since.
    pub(super) explanation: Explanation,
    /// What is the same for all.
    shape: String,
    /// Packets that it begins with, of all together.
    packets: u64,
    goal: Part,
    client: Part,
}

/// Words of the last sentence that may be others in the sentences before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    words: Option<String>,
    is_several: bool,
}

impl Part {
    fn take(&mut self, later: Self) {
        self.is_several |= later.is_several || self.words != later.words;
        self.words = later.words;
    }

    fn replace(&self, text: String, by: &str) -> String {
        match &self.words {
            Some(words) if self.is_several => replaced(&text, words, by),
            _ => text,
        }
    }
}

impl Said {
    /// Of a drop, counter or query.
    fn of(count: u64, explanation: &Explanation) -> Self {
        Self {
            count,
            shape: explanation.summary.clone(),
            explanation: explanation.clone(),
            packets: 0,
            goal: Part::default(),
            client: Part::default(),
        }
    }

    /// Of an attempt.
    fn of_flow(flow: &Flow, explanation: &Explanation) -> Self {
        let words = |words| Part { words, is_several: false };
        let goal = words(goal(flow));
        let client = words(flow.source.address.map(|address| address.to_string()));
        let (packets, text) = match leading(&explanation.summary) {
            Some((packets, noun, rest)) => (packets, format!("{noun}{rest}")),
            None => (0, explanation.summary.clone()),
        };
        let mut shape = text;
        for part in [&goal, &client] {
            shape = part.words.as_ref().map_or_else(|| shape.clone(), |words| replaced(&shape, words, "*"));
        }
        let shape = without_numbers(&shape.replace("* was ", "* were "));
        Self { count: 1, explanation: explanation.clone(), shape, packets, goal, client }
    }

    fn take(&mut self, later: Self) {
        self.count += later.count;
        self.packets += later.packets;
        self.goal.take(later.goal);
        self.client.take(later.client);
        self.explanation = later.explanation;
    }

    /// The sentence with the numbers of all; `to` says whom they were for, `from` who they were.
    pub(super) fn summary(&self, to: &str, from: &str) -> String {
        let summary = &self.explanation.summary;
        let Some((packets, noun, rest)) = leading(summary).filter(|_| self.count > 1) else {
            return self.client.replace(self.goal.replace(summary.clone(), to), from);
        };
        let goal = if self.goal.is_several { Some(to) } else { self.goal.words.as_deref() };
        let total = counted(u32::try_from(self.packets).unwrap_or(u32::MAX), noun);
        let rest = self.client.replace(self.goal.replace(rest.to_owned(), to), from);
        let rest = match goal.filter(|_| packets == 1) {
            Some(goal) => rest.replacen(&format!("{goal} was "), &format!("{goal} were "), 1),
            None => rest,
        };
        format!("{total}{rest}")
    }

    /// Whether what was seen of the last one was not seen so of all.
    pub(super) fn is_example(&self) -> bool {
        self.count > 1 && self.goal.words.is_some()
    }
}

/// The sentences of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct AllSaid(Vec<Said>);

impl AllSaid {
    pub(super) fn add(&mut self, count: u64, explanation: &Explanation) {
        self.take(Said::of(count, explanation));
    }

    pub(super) fn add_flow(&mut self, flow: &Flow, explanation: &Explanation) {
        self.take(Said::of_flow(flow, explanation));
    }

    pub(super) fn absorb(&mut self, other: Self) {
        other.0.into_iter().for_each(|said| self.take(said));
    }

    fn take(&mut self, said: Said) {
        if let Some(known) = self.0.iter_mut().find(|known| known.shape == said.shape) {
            known.take(said);
        } else if self.0.len() < MOST {
            self.0.push(said);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Said> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// `6 SYNs to …` is 6, `SYN` and ` to …`.
fn leading(summary: &str) -> Option<(u64, &'static str, &str)> {
    let (number, rest) = summary.split_once(' ')?;
    let nouns =
        [("SYN-ACKs", "SYN-ACK"), ("SYN-ACK", "SYN-ACK"), ("SYNs", "SYN"), ("SYN", "SYN"), ("requests", "request")];
    let nouns = nouns.into_iter().chain([("request", "request"), ("replies", "reply"), ("reply", "reply")]);
    let (noun, rest) = nouns
        .into_iter()
        .find_map(|(said, noun)| Some((noun, rest.strip_prefix(said).filter(|rest| rest.starts_with(' '))?)))?;
    Some((number.parse().ok()?, noun, rest))
}

/// Replaces words, not parts of longer addresses or numbers.
fn replaced(text: &str, words: &str, by: &str) -> String {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(words).filter(|_| !words.is_empty()) {
        let (before, after) = (&rest[..at], &rest[at + words.len()..]);
        out.push_str(before);
        let is_whole = !is_part(before.as_bytes().last()) && !is_part(after.as_bytes().first());
        out.push_str(if is_whole { by } else { words });
        rest = after;
    }
    out + rest
}

/// Each number as `#`.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::tests::silent;
    use crate::event::{Cause, Confidence};

    fn said(summaries: &[(&str, &str, &str)]) -> AllSaid {
        let mut all = AllSaid::default();
        for (source, destination, summary) in summaries {
            let explanation = Explanation::new(Cause::Upstream, Confidence::Inferred, *summary);
            all.add_flow(&silent(source, destination, 1), &explanation);
        }
        all
    }

    fn told(all: &AllSaid) -> Vec<String> {
        all.iter().map(|said| said.summary("port 443 of 2 addresses", "2 clients")).collect()
    }

    #[test]
    fn sentences_that_differ_in_numbers_are_one_with_the_total() {
        let all = said(&[
            ("10.0.0.9:1", "52.0.0.1:443", "1 SYN to tcp 52.0.0.1:443 left eth0 of the host and nothing came back"),
            ("10.0.0.9:2", "52.0.0.1:443", "6 SYNs to tcp 52.0.0.1:443 left eth0 of the host and nothing came back"),
        ]);
        assert_eq!(told(&all), ["7 SYNs to tcp 52.0.0.1:443 left eth0 of the host and nothing came back"]);
        assert!(all.iter().all(Said::is_example));
    }

    #[test]
    fn several_ends_are_counted() {
        let all = said(&[
            ("10.0.0.9:1", "52.0.0.1:443", "2 SYN-ACKs of tcp 52.0.0.1:443 left by eth0 for 10.0.0.9, again and again"),
            ("10.0.0.8:1", "52.0.0.2:443", "3 SYN-ACKs of tcp 52.0.0.2:443 left by eth0 for 10.0.0.8, again and again"),
        ]);
        assert_eq!(told(&all), ["5 SYN-ACKs of port 443 of 2 addresses left by eth0 for 2 clients, again and again"]);
    }

    #[test]
    fn the_verb_follows_the_number() {
        let one = "1 SYN to tcp 52.0.0.1:443 was refused with RST, which came in by eth0";
        assert_eq!(told(&said(&[("10.0.0.9:1", "52.0.0.1:443", one)])), [one]);
        let all = said(&[("10.0.0.9:1", "52.0.0.1:443", one), ("10.0.0.9:2", "52.0.0.1:443", one)]);
        assert_eq!(told(&all), ["2 SYNs to tcp 52.0.0.1:443 were refused with RST, which came in by eth0"]);
    }

    #[test]
    fn other_sentences_stay_apart_and_are_bounded() {
        let what: Vec<String> = (0..20).map(|at| format!("it is {}", "x".repeat(at))).collect();
        let all: Vec<_> = what.iter().map(|what| ("10.0.0.9:1", "52.0.0.1:443", what.as_str())).collect();
        assert_eq!(said(&all).len(), MOST);
    }

    #[test]
    fn longer_addresses_are_not_cut() {
        assert_eq!(replaced("10.0.0.1 and 10.0.0.12:80, 10.0.0.1", "10.0.0.1", "*"), "* and 10.0.0.12:80, *");
        assert_eq!(replaced("a", "", "*"), "a");
    }
}
