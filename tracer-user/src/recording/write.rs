//! Records what is printed: a sink around a sink.
//!
//! Rule: what is recorded is bounded, and a recording that fails ends itself, not the run. Packets with the same
//! explanation are one line a tick, so it costs little however much is printed.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{FromRawFd, OwnedFd};

use super::line::Line;
use crate::event::{Cause, Confidence, Counter, Explanation, Header, Netns, Stats, Verdict};
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
    /// By namespace and summary.
    gathered: HashMap<(u32, String), Gathered>,
    /// Packets that found no room there.
    others: u64,
    files: Option<Files>,
}

#[derive(Debug)]
struct Gathered {
    time: String,
    count: u64,
    netns: Netns,
    explanation: Explanation,
}

impl Recorder {
    pub fn new(inner: Box<dyn Sink>) -> Self {
        let files = Files::new().inspect_err(warn).ok();
        Self { inner, gathered: HashMap::new(), others: 0, files }
    }

    fn gather(&mut self, time: &str, count: u64, netns: &Netns, explanation: &Explanation) {
        if self.files.is_none() {
            return;
        }
        let key = (netns.inode, explanation.summary.clone());
        let is_full = self.gathered.len() >= MOST_A_TICK;
        match self.gathered.get_mut(&key) {
            Some(gathered) => {
                gathered.count += count;
                time.clone_into(&mut gathered.time);
                gathered.explanation.clone_from(explanation);
            }
            None if is_full => self.others += count,
            None => {
                let (netns, explanation) = (netns.clone(), explanation.clone());
                self.gathered.insert(key, Gathered { time: time.to_owned(), count, netns, explanation });
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
            explanation: Explanation::new(
                Cause::Unknown,
                Confidence::Unknown,
                "too many different explanations at once to record each",
            ),
        });
        let written = self.gathered.drain().map(|(_, gathered)| gathered).chain(rest).try_for_each(|gathered| {
            let Gathered { time, count, netns, explanation } = gathered;
            files.write(&Line { kind: Cow::Borrowed("drop"), time: time.into(), count, netns, explanation })
        });
        if let Err(error) = written {
            warn(&error);
            self.files = None;
        }
    }
}

fn warn(error: &io::Error) {
    tracing::warn!("what is explained is not recorded for `whydrop explain`: {error}");
}

impl Sink for Recorder {
    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.inner.header(header)
    }

    fn line(&mut self, line: &sink::Line<'_>) -> io::Result<()> {
        let drop = line.drop;
        self.gather(&drop.time, drop.count, &drop.netns, &drop.explanation);
        self.inner.line(line)
    }

    fn counter(&mut self, counter: &Counter) -> io::Result<()> {
        self.gather(&counter.time, counter.delta, &counter.netns, &counter.explanation);
        self.inner.counter(counter)
    }

    fn verdict(&mut self, verdict: &Verdict) -> io::Result<()> {
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

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
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
        Line { kind: "drop".into(), time: "t".into(), count, netns: Netns::default(), explanation }
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
