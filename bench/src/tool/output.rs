//! What whydrop writes, read as a fast consumer would: lines are counted and thrown away.
//!
//! Rule: it must cost far less than writing them, because it shares the CPUs with what is measured.

use std::io::Read;
use std::sync::mpsc::Sender;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
const DROP: &[u8] = br#"{"kind":"drop""#;
const COUNT: &[u8] = br#""count":"#;

/// Something that is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// The header: everything is attached.
    Ready,
    /// The first drop.
    FirstDrop,
}

/// All that was written, in short.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Lines that tell of a drop.
    pub(crate) lines: u64,
    /// Sum of their counts.
    pub(crate) packets: u64,
    /// The last `stats` line.
    pub(crate) stats: Value,
}

impl Report {
    /// A number of the last `stats` line.
    pub(crate) fn number(&self, key: &str) -> Result<u64> {
        self.stats[key].as_u64().with_context(|| format!("the last line has no number {key}: {}", self.stats))
    }

    /// Packets in the totals of one namespace and reason.
    pub(crate) fn total(&self, netns: u64, reason: &str) -> Result<u64> {
        let totals = self.stats["totals"].as_array().context("the last line has no totals")?;
        let wanted = |total: &&Value| total["netns"]["inode"] == netns && total["reason"]["name"] == reason;
        totals.iter().filter(wanted).map(|total| total["packets"].as_u64().context("a total without packets")).sum()
    }
}

/// Reads to the end, and tells `marks` when something that is waited for has come.
pub(super) fn read(mut from: impl Read, marks: &Sender<(Mark, Instant)>) -> Result<Report> {
    let mut report = Report::default();
    let mut chunk = vec![0; CHUNK];
    let mut rest = Vec::new();
    let mut last = Vec::new();
    let mut is_first = true;
    loop {
        let length = from.read(&mut chunk).context("the tool's output cannot be read")?;
        if length == 0 {
            break;
        }
        // An error means that nobody waits any more.
        let tell = |mark| marks.send((mark, Instant::now())).is_ok();
        if std::mem::take(&mut is_first) {
            tell(Mark::Ready);
        }
        let had_drops = report.lines > 0;
        let mut lines = chunk[..length].split_inclusive(|byte| *byte == b'\n');
        for line in lines.by_ref() {
            if !line.ends_with(b"\n") {
                rest.extend_from_slice(line);
            } else if rest.is_empty() {
                take(line, &mut report, &mut last);
            } else {
                rest.extend_from_slice(line);
                take(&rest, &mut report, &mut last);
                rest.clear();
            }
        }
        if !had_drops && report.lines > 0 {
            tell(Mark::FirstDrop);
        }
    }
    // The text output has none.
    report.stats = serde_json::from_slice(&last).unwrap_or_default();
    Ok(report)
}

fn take(line: &[u8], report: &mut Report, last: &mut Vec<u8>) {
    if line.starts_with(DROP) {
        report.lines += 1;
        report.packets += count(line).unwrap_or(0);
    } else {
        last.clear();
        last.extend_from_slice(line);
    }
}

/// The number after the first `"count":`.
fn count(line: &[u8]) -> Option<u64> {
    let at = line.windows(COUNT.len()).position(|window| window == COUNT)? + COUNT.len();
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.map(|digit| u64::from(digit - b'0')).reduce(|number, digit| number * 10 + digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Gives one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(1);
            into[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }

    #[test]
    fn lines_are_counted_however_they_are_cut() {
        let text = "{\"kind\":\"header\"}\n{\"kind\":\"drop\",\"time\":\"x\",\"count\":12,\"bytes\":3}\n\
                    {\"kind\":\"drop\",\"count\":1}\n{\"kind\":\"stats\",\"packets\":13,\"totals\":[\
                    {\"netns\":{\"inode\":7},\"reason\":{\"name\":\"A\"},\"packets\":12},\
                    {\"netns\":{\"inode\":8},\"reason\":{\"name\":\"A\"},\"packets\":1}]}\n";
        let (marks, seen) = channel();
        for report in [read(text.as_bytes(), &marks).unwrap(), read(Slow(text.as_bytes()), &marks).unwrap()] {
            assert_eq!((report.lines, report.packets), (2, 13));
            assert_eq!(report.number("packets").unwrap(), 13);
            assert_eq!(report.total(7, "A").unwrap(), 12);
            assert_eq!(report.total(9, "A").unwrap(), 0);
            assert!(report.number("none").is_err());
        }
        drop(marks);
        let seen: Vec<Mark> = seen.iter().map(|(mark, _)| mark).collect();
        assert_eq!(seen, [Mark::Ready, Mark::FirstDrop, Mark::Ready, Mark::FirstDrop]);
    }
}
