//! `whydrop watch` on one namespace, its lines taken with the time at which they came.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use serde_json::Value;
use tracer_tests::NetNs;

use crate::tool::Memory;

/// How long a line may take to come: the largest rulesets, on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Watcher {
    child: Child,
    lines: Receiver<(SystemTime, String)>,
}

impl Watcher {
    /// Starts it, and waits until it sees drops.
    pub(crate) fn start(binary: &Path, namespace: &NetNs) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["watch", "-o", "json", "--all", "--netns", namespace.name()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("whydrop has no output")?;
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // Nobody may wait for it any more.
                if sender.send((SystemTime::now(), line)).is_err() {
                    return;
                }
            }
        });
        let watcher = Self { child, lines };
        watcher.line("\"kind\":\"header\"")?;
        Ok(watcher)
    }

    /// The next line that contains `part`, and when it came.
    fn line(&self, part: &str) -> Result<(SystemTime, String)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (at, line) =
                self.lines.recv_timeout(left).with_context(|| format!("whydrop gave no line with {part}"))?;
            if line.contains(part) {
                return Ok((at, line));
            }
        }
    }

    /// The line of the flow to a port, and how long after the drop it came.
    pub(crate) fn drop_to(&self, port: u16) -> Result<(Duration, Value)> {
        let (at, line) = self.line(&format!("\"port\":{port}}}"))?;
        let event: Value = serde_json::from_str(&line)?;
        let time = humantime::parse_rfc3339(event["time"].as_str().context("a drop without a time")?)?;
        // Two clocks that are set to each other may be a little apart.
        Ok((at.duration_since(time).unwrap_or_default(), event))
    }

    pub(crate) fn memory(&self) -> Result<Memory> {
        Memory::of(self.child.id())
    }

    /// CPU time so far, in the kernel too.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).context("whydrop is gone")?;
        // The name may hold spaces. User and system time are the 14th and 15th field, in hundredths of a second (`proc(5)`).
        let (_, rest) = stat.rsplit_once(')').context("no such stat")?;
        let ticks: u64 = rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
