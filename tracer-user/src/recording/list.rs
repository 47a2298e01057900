//! What was explained, by cause.
//!
//! Rule: the causes that most packets were dropped for come first, and in each the explanations that most were; nothing
//! is left out without being counted.

use std::collections::HashMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use super::line::{self, Line, Read1};
use super::{Found, RecordingError};
use crate::event::{Cause, Explanation, Netns};
use crate::host::error::Errno;
use crate::kubernetes::Selection;
use crate::sink::{Style, entry, place_of, printable, thousands};

/// Different explanations kept; the rest is counted.
const MOST_KEPT: usize = 4096;
/// Explanations of a cause that text shows.
const MOST_SHOWN: usize = 5;

/// Which lines count: all, unless something is given.
#[derive(Clone, Debug, Default)]
pub struct Only {
    pub since: Option<SystemTime>,
    /// Inode.
    pub netns: Option<u32>,
    /// Packets from or to these pods, or that were dropped in their namespaces; by name, as labels are not recorded.
    pub pods: Selection,
}

impl Only {
    fn takes(&self, line: &Line<'_>) -> bool {
        let mut pods = line.packet.pods().chain(&line.netns.pod);
        self.netns.is_none_or(|netns| netns == line.netns.inode)
            && is_since(&line.time, self.since)
            && (self.pods.is_empty() || pods.any(|pod| self.pods.has_name(&pod.namespace, &pod.name)))
    }
}

/// What was explained, by cause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct List {
    /// Where it was read: `whydrop watch, pid 12`, or the file.
    pub sources: Vec<String>,
    pub causes: Vec<ByCause>,
    /// Packets with explanations beyond those that are kept.
    #[serde(skip_serializing_if = "is_zero")]
    pub others: u64,
    /// Lines that could not be read: cut short or damaged.
    #[serde(skip_serializing_if = "is_zero")]
    pub damaged: u64,
    #[serde(skip)]
    by_summary: HashMap<(u32, String), Explained>,
    #[serde(skip)]
    lines: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ByCause {
    pub cause: Cause,
    pub packets: u64,
    pub explanations: Vec<Explained>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    pub packets: u64,
    /// RFC 3339.
    pub first: String,
    pub last: String,
    pub netns: Netns,
    pub explanation: Explanation,
}

impl List {
    /// What running processes recorded.
    ///
    /// # Errors
    /// [`RecordingError::Unreadable`] if one can't be read.
    pub fn of_running(all: &[Found], only: &Only) -> Result<Self, RecordingError> {
        let mut list = Self::default();
        for found in all {
            list.sources.push(format!("whydrop watch, pid {}", found.pid));
            for path in &found.files {
                match File::open(path).and_then(|file| list.add(BufReader::new(file), only)) {
                    // Ended meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    done => done.map_err(|error| unreadable(path, &error))?,
                }
            }
        }
        Ok(list.sorted())
    }

    /// What `watch -o json` was saved to; `-` is standard input.
    ///
    /// # Errors
    /// [`RecordingError`] if it can't be read or is something else.
    pub fn of_file(path: &Path, only: &Only) -> Result<Self, RecordingError> {
        let mut list = Self { sources: vec![path.display().to_string()], ..Self::default() };
        let read = if path.as_os_str() == "-" {
            list.add(io::stdin().lock(), only)
        } else {
            File::open(path).and_then(|file| list.add(BufReader::new(file), only))
        };
        read.map_err(|error| unreadable(path, &error))?;
        if list.lines == 0 {
            return Err(RecordingError::Foreign { path: path.display().to_string() });
        }
        Ok(list.sorted())
    }

    fn add(&mut self, mut reader: impl BufRead, only: &Only) -> io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            match line::next(&mut reader, &mut buffer)? {
                Read1::End => return Ok(()),
                Read1::Damaged => self.damaged += 1,
                Read1::Other => self.lines += 1,
                Read1::Explained(line) => {
                    self.lines += 1;
                    if only.takes(&line) {
                        self.explained(*line);
                    }
                }
            }
        }
    }

    fn explained(&mut self, line: Line<'static>) {
        let key = (line.netns.inode, line.explanation.summary.clone());
        let is_full = self.by_summary.len() >= MOST_KEPT;
        let time = line.time.into_owned();
        match self.by_summary.get_mut(&key) {
            Some(old) => {
                old.packets = old.packets.saturating_add(line.count);
                // RFC 3339 in UTC with nanoseconds: the order of the texts is that of the times.
                if time >= old.last {
                    (old.last, old.explanation) = (time, line.explanation);
                } else if time < old.first {
                    old.first = time;
                }
            }
            None if is_full => self.others = self.others.saturating_add(line.count),
            None => {
                let (first, last, packets) = (time.clone(), time, line.count);
                let (netns, explanation) = (line.netns, line.explanation);
                self.by_summary.insert(key, Explained { packets, first, last, netns, explanation });
            }
        }
    }

    fn sorted(mut self) -> Self {
        let mut by_cause: HashMap<Cause, Vec<Explained>> = HashMap::new();
        for explained in std::mem::take(&mut self.by_summary).into_values() {
            by_cause.entry(explained.explanation.cause).or_default().push(explained);
        }
        let with_sum = |(cause, mut explanations): (Cause, Vec<Explained>)| {
            explanations.sort_by(|a, b| b.packets.cmp(&a.packets).then_with(|| a.first.cmp(&b.first)));
            let packets = explanations.iter().fold(0u64, |sum, explained| sum.saturating_add(explained.packets));
            ByCause { cause, packets, explanations }
        };
        self.causes = by_cause.into_iter().map(with_sum).collect();
        self.causes.sort_by(|a, b| b.packets.cmp(&a.packets).then_with(|| a.cause.cmp(&b.cause)));
        self
    }

    /// As text, each line ended.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        if self.causes.is_empty() {
            let _ = writeln!(out, "Nothing was explained so far ({}).", printable(&self.sources.join(", ")));
        }
        for by_cause in &self.causes {
            out.push_str(&by_cause.text(style));
        }
        if self.others > 0 {
            let _ = writeln!(out, "{} packets more have other explanations.", thousands(self.others));
        }
        if self.damaged > 0 {
            let lines = if self.damaged == 1 { "line" } else { "lines" };
            let _ = writeln!(out, "{} {lines} could not be read: cut short or damaged.", thousands(self.damaged));
        }
        out
    }
}

impl ByCause {
    fn text(&self, style: Style) -> String {
        let packets = if self.packets == 1 { "packet" } else { "packets" };
        let mut out = format!("{}  {} {packets}\n", style.bold(self.cause.as_str()), thousands(self.packets));
        for explained in self.explanations.iter().take(MOST_SHOWN) {
            let from = time_of_day(&explained.first);
            let to = if explained.first == explained.last { String::new() } else { time_of_day(&explained.last) };
            let to = if to.is_empty() { to } else { format!(" to {to}") };
            out.push_str(&entry(explained.packets, &[], &explained.explanation, style));
            let _ = writeln!(out, "  when:  {from}{to}, in {}", place_of(None, &explained.netns));
        }
        if let Some(rest) = self.explanations.get(MOST_SHOWN..).filter(|rest| !rest.is_empty()) {
            let _ = writeln!(out, "{} other explanations: -o json shows them all.", rest.len());
        }
        out.push('\n');
        out
    }
}

/// `2026-01-02 03:04:05` of an RFC 3339 time.
fn time_of_day(time: &str) -> String {
    printable(time.get(..19).unwrap_or(time)).replace('T', " ")
}

/// A time that can't be read counts: nothing is left out silently.
fn is_since(time: &str, since: Option<SystemTime>) -> bool {
    let Some(since) = since else { return true };
    humantime::parse_rfc3339(time).map_or(true, |time| time >= since)
}

fn unreadable(path: &Path, error: &io::Error) -> RecordingError {
    RecordingError::Unreadable { path: path.display().to_string(), errno: Errno::of(error) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::line::Ends;
    use super::*;
    use crate::event::Confidence;

    fn json(cause: Cause, summary: &str, time: &str, count: u64) -> String {
        let explanation = Explanation::new(cause, Confidence::Derived, summary);
        let netns = Netns { inode: 7, ..Netns::default() };
        let line = Line { kind: "drop".into(), time: time.into(), count, netns, packet: Ends::default(), explanation };
        serde_json::to_string(&line).unwrap() + "\n"
    }

    fn sample() -> String {
        ["{\"kind\":\"header\"}\n".to_owned()]
            .into_iter()
            .chain([
                json(Cause::Ttl, "loop", "2026-01-02T03:04:05.000000000Z", 2),
                json(Cause::NoSocket, "nobody", "2026-01-02T03:04:06.000000000Z", 5),
                json(Cause::Ttl, "loop", "2026-01-02T03:05:05.000000000Z", 1),
                json(Cause::Ttl, "other\u{1b}[2J", "2026-01-02T03:04:07.000000000Z", 4),
                "{\"kind\":\"drop\",\"ti".to_owned(),
            ])
            .collect()
    }

    fn list(text: &str, since: Option<SystemTime>) -> List {
        let mut list = List::default();
        list.add(text.as_bytes(), &Only { since, ..Only::default() }).unwrap();
        list.sorted()
    }

    #[test]
    fn causes_and_explanations_are_in_the_order_of_their_packets() {
        let list = list(&sample(), None);
        let causes: Vec<_> = list.causes.iter().map(|by| (by.cause, by.packets, by.explanations.len())).collect();
        assert_eq!(causes, [(Cause::Ttl, 7, 2), (Cause::NoSocket, 5, 1)]);
        let repeated = &list.causes[0].explanations[1];
        assert_eq!((repeated.packets, &*repeated.last), (3, "2026-01-02T03:05:05.000000000Z"));
        assert_eq!(list.damaged, 1);
        let text = list.text(Style { colour: false });
        assert!(text.starts_with("ttl  7 packets\nother\\u{1b}[2J (4×, derived)\n"), "{text}");
        assert!(text.contains("  when:  2026-01-02 03:04:05 to 2026-01-02 03:05:05, in netns 7\n"), "{text}");
        assert!(text.ends_with("1 line could not be read: cut short or damaged.\n"), "{text}");
    }

    #[test]
    fn only_what_came_since_is_listed() {
        let since = humantime::parse_rfc3339("2026-01-02T03:05:05Z").unwrap();
        assert_eq!(list(&sample(), Some(since)).causes[0].packets, 1);
        assert!(list(&sample(), Some(since + Duration::from_nanos(1))).causes.is_empty());
    }

    #[test]
    fn a_pod_is_found_at_either_end_and_by_the_namespace() {
        let line = |netns_pod: &str, packet: &str, count: u64| {
            let rest =
                r#""explanation":{"summary":"s","cause":"ttl","confidence":"derived","evidence":[],"remedy":[]}"#;
            format!(r#"{{"kind":"drop","time":"t","count":{count},"netns":{{"inode":7{netns_pod}}},{packet}{rest}}}"#)
        };
        let pod = |name: &str| format!(r#""pod":{{"namespace":"shop","name":"{name}","uid":"u"}}"#);
        let packet = |source: &str, destination: &str| {
            format!(
                r#""packet":{{"family":"ipv4","source":{{"port":1{source}}},"destination":{{"port":2{destination}}}}},"#
            )
        };
        let (web, db) = (pod("web"), pod("db"));
        let text = [
            line("", &packet(&format!(",{web}"), ""), 1),
            line("", &packet(&format!(",{db}"), &format!(",{web}")), 2),
            line(&format!(",{web}"), "", 4),
            line(&format!(",{db}"), &packet("", &format!(",{db}")), 8),
            line("", &packet("", ""), 16),
        ];
        let packets = |pods: &[&str], namespaces: &[&str]| {
            let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
            let pods = Selection::parse(&owned(pods), &owned(namespaces), None).unwrap();
            let mut list = List::default();
            list.add(text.join("\n").as_bytes(), &Only { pods, ..Only::default() }).unwrap();
            list.sorted().causes.iter().map(|by| by.packets).sum::<u64>()
        };
        assert_eq!((packets(&["shop/web"], &[]), packets(&["shop/db"], &[])), (7, 10));
        assert_eq!((packets(&[], &["shop"]), packets(&[], &["sho"]), packets(&[], &[])), (15, 0, 31));
    }
}
