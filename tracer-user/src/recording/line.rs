//! One line of a recording.
//!
//! Rule: a recording may be cut short, damaged or made by another version: a line that can't be read costs itself, and
//! is counted.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use crate::event::{Explanation, Netns, PodName};

/// Bytes of a line that are read; a `drop` line has 1 to 8 KiB.
const MOST_LINE: u64 = 1 << 20;

/// Packets with one explanation. The keys are those of the `drop` and `counter` lines; a recording has no others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line<'a> {
    pub(super) kind: Cow<'a, str>,
    /// RFC 3339.
    pub(super) time: Cow<'a, str>,
    /// A `counter` line has `delta`.
    #[serde(alias = "delta")]
    pub(super) count: u64,
    pub(super) netns: Netns,
    /// A `counter` line has none.
    #[serde(default, skip_serializing_if = "Ends::is_empty")]
    pub(super) packet: Ends,
    pub(super) explanation: Explanation,
}

/// Both ends of the packets, as far as pods are known there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Ends {
    #[serde(default)]
    pub(super) source: End,
    #[serde(default)]
    pub(super) destination: End,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct End {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pod: Option<PodName>,
}

impl Ends {
    fn is_empty(&self) -> bool {
        self.pods().next().is_none()
    }

    pub(super) fn pods(&self) -> impl Iterator<Item = &PodName> {
        [&self.source.pod, &self.destination.pod].into_iter().flatten()
    }
}

/// What a line turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read1 {
    Explained(Box<Line<'static>>),
    /// Another kind of line.
    Other,
    Damaged,
    End,
}

/// Reads the next line.
pub(super) fn next(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Read1> {
    buffer.clear();
    reader.by_ref().take(MOST_LINE).read_until(b'\n', buffer)?;
    if buffer.is_empty() {
        return Ok(Read1::End);
    }
    if buffer.last() != Some(&b'\n') && buffer.len() as u64 == MOST_LINE {
        skip_line(reader)?;
        return Ok(Read1::Damaged);
    }
    Ok(parse(buffer))
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = reader.fill_buf()?;
        let end = available.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(available.len(), |end| end + 1);
        let is_over = end.is_some() || available.is_empty();
        reader.consume(used);
        if is_over {
            return Ok(());
        }
    }
}

fn parse(bytes: &[u8]) -> Read1 {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        kind: Cow<'a, str>,
    }
    match serde_json::from_slice::<Kind<'_>>(bytes) {
        Ok(line) if line.kind != "drop" && line.kind != "counter" => Read1::Other,
        Ok(_) => serde_json::from_slice(bytes).map_or(Read1::Damaged, |line| Read1::Explained(Box::new(line))),
        Err(_) => Read1::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Vec<Read1> {
        let (mut reader, mut buffer, mut all) = (text, Vec::new(), Vec::new());
        loop {
            match next(&mut reader, &mut buffer).unwrap() {
                Read1::End => return all,
                line => all.push(line),
            }
        }
    }

    const DROP: &str = r#"{"kind":"drop","time":"2026-01-02T03:04:05.0Z","count":3,"bytes":9,"netns":{"inode":7},"explanation":{"summary":"s","cause":"ttl","confidence":"derived","evidence":[],"remedy":[]}}"#;

    #[test]
    fn lines_of_each_kind_are_told_apart_and_damage_costs_one_line() {
        let counter = DROP.replace("\"drop\"", "\"counter\"").replace("\"count\"", "\"delta\"");
        let long = "x".repeat(3 << 20);
        let cut = &DROP[..90];
        let text = format!("{{\"kind\":\"header\"}}\n{DROP}\n\n{long}\n{counter}\nnot json\n{cut}");
        let all = read(text.as_bytes());
        let count = |line: &Read1| if let Read1::Explained(line) = line { line.count } else { 0 };
        assert_eq!(all.iter().map(count).collect::<Vec<_>>(), [0, 3, 0, 0, 3, 0, 0]);
        assert_eq!(all.iter().filter(|line| **line == Read1::Damaged).count(), 4);
        assert_eq!(all[0], Read1::Other);
    }

    #[test]
    fn nothing_hostile_panics() {
        let mut state = 7u64;
        for _ in 0..20_000 {
            let mut bytes = DROP.as_bytes().to_vec();
            for byte in &mut bytes {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                if state >> 58 == 0 {
                    *byte = (state >> 33) as u8;
                }
            }
            read(&bytes);
        }
    }
}
