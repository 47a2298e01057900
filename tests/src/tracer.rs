//! The binary under test, as a user starts it: ready at its header line, read line by line, ended by a signal.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::mem::take;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::event::{Event, Report, key};
use crate::expect::Expect;
use crate::netns::NetNs;
use crate::patience;

/// How often the end of a process is asked for: there is no wait with a deadline.
const POLL: Duration = Duration::from_millis(2);

/// `WHYDROP_BINARY`, or what was built last in this workspace.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("WHYDROP_BINARY") {
        let path = PathBuf::from(path);
        ensure!(path.is_file(), "WHYDROP_BINARY is {}, where there is no file", path.display());
        return Ok(path);
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let found = ["release", "debug"].map(|profile| target.join(profile).join("whydrop"));
    found.into_iter().find(|path| path.is_file()).context("no binary to test: run `cargo xtask build` first")
}

/// A command line of the binary under test, nothing started yet.
pub fn command<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(arguments.into_iter().map(Into::into)).stdin(Stdio::null());
    Ok(command)
}

/// A running `whydrop watch -o json`; killed on drop.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    lines: Receiver<Result<Event, String>>,
    stderr: Arc<Mutex<String>>,
    errors: Option<JoinHandle<()>>,
    header: Event,
    events: Vec<Event>,
}

impl Tracer {
    /// Watches one namespace, whatever the severity and with swift counts, and returns when it is ready.
    pub fn watch(namespace: &NetNs) -> Result<Self> {
        Self::start(&["--all", "--interval", "100ms", "--netns", &namespace.inode()?.to_string()])
    }

    /// Starts `whydrop watch -o json` with more arguments and returns when it is ready.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let mut command = command(["watch", "-o", "json"])?;
        Self::spawn(command.args(arguments))
    }

    /// Starts a prepared command and returns when it has printed its header.
    pub fn spawn(command: &mut Command) -> Result<Self> {
        let mut tracer = Self::launch(command)?;
        let header = tracer.next_line(Instant::now() + patience()).context("it never printed a header line")?;
        ensure!(header.is("header"), "the first line is no header: {header}");
        tracer.header = header;
        Ok(tracer)
    }

    /// Starts a prepared command and does not wait for anything.
    pub fn launch(command: &mut Command) -> Result<Self> {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().context("no pipe from the tracer")?);
        let mut pipe = child.stderr.take().context("no pipe from the tracer")?;
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).map(Event).map_err(|error| format!("{error} in {line}"));
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let collected = Arc::clone(&stderr);
        let errors = thread::spawn(move || {
            let mut part = [0; 4096];
            while let Ok(length @ 1..) = pipe.read(&mut part) {
                let text = String::from_utf8_lossy(&part[..length]);
                collected.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Ok(Self { child, lines, stderr, errors: Some(errors), header: Event(Value::Null), events: Vec::new() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn header(&self) -> &Event {
        &self.header
    }

    /// The lines so far, the header left out.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line so far, or soon, that is as wanted.
    pub fn wait_for(&mut self, wanted: &Expect) -> Result<Event> {
        self.wait_until(wanted, |events| events.iter().find(|event| wanted.accepts(event)).cloned())
    }

    /// Waits until the matching lines stand for `packets` packets, and no longer.
    pub fn wait_for_count(&mut self, wanted: &Expect, packets: u64) -> Result<()> {
        self.wait_until(wanted, |events| {
            let matching = events.iter().filter(|event| wanted.accepts(event));
            let counts = matching.map(|event| event.number(key::COUNT).unwrap_or_default());
            (counts.sum::<u64>() >= packets).then_some(())
        })
    }

    /// Waits until `done` finds what it looks for in the lines so far; `wanted` tells the error what that is.
    pub fn wait_until<T>(&mut self, wanted: &Expect, done: impl Fn(&[Event]) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(found) = done(&self.events) {
                return Ok(found);
            }
            match self.next_line(deadline) {
                Ok(event) => self.events.push(event),
                Err(error) => return Err(error.context(wanted.miss_report(&self.events))),
            }
        }
    }

    /// Takes the lines that are there, and waits for none.
    pub fn take_waiting(&mut self) -> Result<()> {
        while let Ok(line) = self.lines.try_recv() {
            self.events.push(line.map_err(|line| anyhow::anyhow!("not a line of JSON: {line}"))?);
        }
        Ok(())
    }

    /// Ends it as Ctrl-C does and takes everything it still says.
    pub fn stop(self) -> Result<Report> {
        self.signal(libc::SIGINT)?;
        self.finish()
    }

    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        let pid = libc::pid_t::try_from(self.child.id())?;
        // SAFETY: a signal to a child that was not waited for yet, so the number is still its own.
        let result = unsafe { libc::kill(pid, signal) };
        ensure!(result == 0, "cannot signal the tracer: {}", std::io::Error::last_os_error());
        Ok(())
    }

    /// Takes everything it still says and waits for its end, which must come by itself.
    pub fn finish(mut self) -> Result<Report> {
        // Each line shows that it is alive: there may be many.
        while let Some(event) = self.next_or_end(Instant::now() + patience())? {
            self.events.push(event);
        }
        let status = self.wait_exit(Instant::now() + patience())?;
        if let Some(errors) = self.errors.take() {
            let _panicked = errors.join();
        }
        Ok(Report { header: self.header.clone(), events: take(&mut self.events), status, stderr: self.stderr() })
    }

    fn next_line(&mut self, deadline: Instant) -> Result<Event> {
        match self.next_or_end(deadline)? {
            Some(event) => Ok(event),
            None => bail!("it ended ({}) and said: {}", self.wait_exit(deadline)?, self.stderr().trim()),
        }
    }

    /// The next line, or `None` at the end of the stream.
    fn next_or_end(&mut self, deadline: Instant) -> Result<Option<Event>> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Ok(event)) => Ok(Some(event)),
            Ok(Err(line)) => bail!("not a line of JSON: {line}"),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                bail!("nothing more within {:?}; stderr: {}", patience(), self.stderr().trim())
            }
        }
    }

    fn wait_exit(&mut self, deadline: Instant) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(Instant::now() < deadline, "it does not end; stderr: {}", self.stderr().trim());
            thread::sleep(POLL);
        }
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Both fail only if it has already ended, which is what is wanted.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
