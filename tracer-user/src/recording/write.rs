//! Records what is printed: a sink around a sink.
//!
//! Rule: what is recorded is bounded, and a recording that fails ends itself, not the run. Packets with the same
//! explanation are one line a tick, so it costs little however much is printed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use super::Connection;
use super::line::{End, Ends, Line};
use crate::event::{Cause, Confidence, Counter, Explanation, Header, Netns, PodName, Stats, Verdict};
use crate::sink::{self, Sink};

/// What the files are called in `/proc/PID/fd`.
pub(super) const NAME: &str = "whydrop-recording";
const C_NAME: &CStr = c"whydrop-recording";
/// Bytes of one file. When it is full the older one is emptied and goes on, so 1 to 2 MiB of the past are kept: some
/// thousand lines.
const MOST: u64 = 1 << 20;
/// Different explanations a tick.
const MOST_A_TICK: usize = 256;

/// A sink that records what passes through it.
pub struct Recorder {
    inner: Box<dyn Sink>,
    /// By namespace, summary and pods.
    gathered: HashMap<(u32, String, u64), Gathered>,
    hasher: RandomState,
    /// Packets that found no room there.
    others: u64,
    files: Option<Files>,
}

#[derive(Debug)]
struct Gathered {
    time: String,
    count: u64,
    netns: Netns,
    packet: Ends,
    explanation: Explanation,
}

/// What is to be recorded of a line.
struct Told<'a> {
    time: &'a str,
    count: u64,
    netns: &'a Netns,
    /// Of the source and the destination.
    pods: [Option<&'a PodName>; 2],
    explanation: &'a Explanation,
}

impl Recorder {
    pub fn new(inner: Box<dyn Sink>) -> Self {
        let files = Files::new().inspect_err(warn).ok();
        Self { inner, gathered: HashMap::new(), hasher: RandomState::new(), others: 0, files }
    }

    fn gather(&mut self, told: &Told<'_>) {
        if self.files.is_none() {
            return;
        }
        let &Told { time, count, netns, pods, explanation } = told;
        let key = (netns.inode, explanation.summary.clone(), self.hasher.hash_one((&netns.pod, pods)));
        let is_full = self.gathered.len() >= MOST_A_TICK;
        match self.gathered.get_mut(&key) {
            Some(gathered) => {
                gathered.count += count;
                time.clone_into(&mut gathered.time);
                gathered.explanation.clone_from(explanation);
            }
            None if is_full => self.others += count,
            None => {
                let [source, destination] = pods.map(|pod| End { pod: pod.cloned() });
                let (netns, packet, explanation) = (netns.clone(), Ends { source, destination }, explanation.clone());
                self.gathered.insert(key, Gathered { time: time.to_owned(), count, netns, packet, explanation });
            }
        }
    }

    fn record(&mut self, now: &str) {
        let Some(files) = &mut self.files else { return };
        let others = std::mem::take(&mut self.others);
        let rest = (others > 0).then(|| Gathered {
            time: now.to_owned(),
            count: others,
            netns: Netns::default(),
            packet: Ends::default(),
            explanation: Explanation::new(
                Cause::Unknown,
                Confidence::Unknown,
                "too many different explanations at once to record each",
            ),
        });
        let written = self.gathered.drain().map(|(_, gathered)| gathered).chain(rest).try_for_each(|gathered| {
            let Gathered { time, count, netns, packet, explanation } = gathered;
            files.write(&Line { kind: Cow::Borrowed("drop"), time: time.into(), count, netns, packet, explanation })
        });
        if let Err(error) = written {
            warn(&error);
            self.files = None;
        }
    }
}

fn warn(error: &io::Error) {
    tracing::warn!("what is seen is not recorded for `whydrop explain` and `whydrop policy try`: {error}");
}

impl Sink for Recorder {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.inner.header(header)
    }

    fn line(&mut self, line: &sink::Line<'_>) -> io::Result<()> {
        let drop = line.drop;
        let pods = [&drop.packet.source, &drop.packet.destination].map(|end| end.pod.as_ref());
        let (time, netns, explanation) = (&drop.time, &drop.netns, &drop.explanation);
        self.gather(&Told { time, count: drop.count, netns, pods, explanation });
        self.inner.line(line)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        let (time, netns, explanation) = (&counter.time, &counter.netns, &counter.explanation);
        self.gather(&Told { time, count: counter.delta, netns, pods: [None; 2], explanation });
        self.inner.counter(counter)
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
        if let Some(files) = &mut self.files
            && let Err(error) = files.write(&Connection::of(verdict))
        {
            warn(&error);
            self.files = None;
        }
        self.inner.verdict(verdict)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }

    fn stats(&mut self, stats: &Stats) -> io::Result<()> {
        self.record(&stats.time);
        self.inner.stats(stats)
    }
}

/// The newer file and the older one.
#[derive(Debug)]
struct Files {
    newer: File,
    older: File,
    /// Bytes in the newer one.
    written: u64,
}

impl Files {
    fn new() -> io::Result<Self> {
        Self::with_limit(file_limit())
    }

    /// A write beyond `RLIMIT_FSIZE` would end the process (`SIGXFSZ`), so there is none.
    fn with_limit(limit: u64) -> io::Result<Self> {
        if limit < MOST {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        Ok(Self { newer: in_memory()?, older: in_memory()?, written: 0 })
    }

    fn write(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        if self.written + bytes.len() as u64 > MOST {
            std::mem::swap(&mut self.newer, &mut self.older);
            self.newer.set_len(0)?;
            self.newer.rewind()?;
            self.written = 0;
        }
        self.newer.write_all(&bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// `RLIMIT_FSIZE`, bytes.
fn file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a valid, writable rlimit.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) };
    limit.rlim_cur
}

fn in_memory() -> io::Result<File> {
    // SAFETY: the name is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(C_NAME.as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just gave us this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn line(count: u64) -> Line<'static> {
        let explanation = Explanation::new(Cause::Ttl, Confidence::Derived, "x".repeat(1000));
        Line {
            kind: "drop".into(),
            time: "t".into(),
            count,
            netns: Netns::default(),
            packet: Ends::default(),
            explanation,
        }
    }

    #[test]
    fn a_process_that_may_write_no_large_files_records_nothing() {
        let refused = Files::with_limit(MOST - 1).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EFBIG));
        assert!(Files::with_limit(MOST).is_ok() && file_limit() > 0);
    }

    #[test]
    fn the_past_is_bounded_and_the_newest_stays() {
        assert_eq!(NAME, C_NAME.to_str().unwrap());
        let mut files = Files::new().unwrap();
        for count in 0..5_000 {
            files.write(&line(count)).unwrap();
        }
        let mut text = String::new();
        for file in [&mut files.older, &mut files.newer] {
            file.rewind().unwrap();
            file.read_to_string(&mut text).unwrap();
        }
        assert!(text.len() as u64 <= 2 * MOST && text.len() as u64 > MOST / 2, "{}", text.len());
        let counts = text.lines().map(|line| serde_json::from_str::<Line<'_>>(line).unwrap().count);
        assert!(counts.is_sorted_by_key(|count| count) && text.contains("\"count\":4999,"));
    }
}
