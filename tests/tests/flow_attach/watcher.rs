//! The part of whydrop under test in a process of its own: loading closes all files for a moment, so it needs one, and a process
//! can be killed.

use std::io::{BufRead, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::{NetNs, patience};
use whydrop::flow::{self, Batch, Plan};
use whydrop::host::{self, Reader};
use whydrop::load::{self, Kernel, Sizes};
use whydrop::settings::{self, FilterArgs, KernelFilter};

const NAMESPACES: &str = "WHYDROP_TEST_NAMESPACES";
const CLSACT: &str = "WHYDROP_TEST_CLSACT";

/// A running one; killed on drop.
pub(crate) struct Watcher {
    child: Child,
    /// Closed to end it.
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    last: Value,
    said: Vec<String>,
}

impl Watcher {
    /// Returns when everything is attached.
    pub(crate) fn start(namespaces: &[&NetNs], clsact: bool) -> Result<Self> {
        let names: Vec<_> = namespaces.iter().map(|namespace| namespace.name()).collect();
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", "watcher::child", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(NAMESPACES, names.join(",")).stdin(Stdio::piped()).stdout(Stdio::piped());
        if clsact {
            command.env(CLSACT, "1");
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("no pipe")?);
        let (sender, lines) = channel();
        thread::spawn(move || {
            let json = stdout.lines().map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok());
            for line in json.filter(Value::is_object) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut watcher = Self { child, stdin, lines, last: Value::Null, said: Vec::new() };
        watcher.wait("it starts", |last| last.is_object().then_some(()))?;
        Ok(watcher)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a reading that is as wanted.
    pub(crate) fn wait<T>(&mut self, what: &str, wanted: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let deadline = Instant::now() + patience();
        loop {
            if let Some(found) = wanted(&self.last) {
                return Ok(found);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            self.last = line.with_context(|| format!("waited in vain until {what}: {}", self.last))?;
            let said = self.last["coverage"].as_array().into_iter().flatten().filter_map(Value::as_str);
            self.said.extend(said.map(str::to_owned));
        }
    }

    /// The role of a device in the last reading.
    pub(crate) fn role(&self, name: &str) -> Option<&str> {
        self.point(name)?["role"].as_str()
    }

    pub(crate) fn point(&self, name: &str) -> Option<&Value> {
        self.last["points"].as_array()?.iter().find(|point| point["name"] == name)
    }

    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }

    /// Waits until its programs, and no others of its, are at the device in both directions.
    pub(crate) fn wait_for(&mut self, name: &str) -> Result<()> {
        let name = name.to_owned();
        self.wait(&format!("{name} is attached to"), move |last| {
            last["points"].as_array()?.iter().any(|point| point["name"] == *name).then_some(())
        })
    }

    /// Ends it, as whydrop ends; returns when it is over.
    pub(crate) fn end(mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
    }

    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the other process. It is in this binary, as there is no other where the lab runs under another kernel; alone it fails.
#[test]
#[ignore = "started by the other tests"]
fn child() -> Result<()> {
    let names = std::env::var(NAMESPACES).context("started by nobody")?;
    let namespaces: Result<Vec<_>, _> =
        names.split(',').filter(|name| !name.is_empty()).map(|name| settings::netns(Some(name))).collect();
    let kernel = Kernel::read(None)?;
    let filter = KernelFilter::new(&FilterArgs::default(), &kernel.reasons)?;
    let plan = load::Plan { filter, every: false, flows: true, sizes: Sizes::new(2, false, true) };
    let programs = load::load(load::embedded(), &kernel, &plan)?;
    let maps = programs.flows.context("no maps")?;
    let host = host::spawn(Reader::default())?;
    let plan = Plan { namespaces: namespaces?, ..Plan::default() };
    let spawn = if std::env::var_os(CLSACT).is_some() { flow::spawn_with_filters } else { flow::spawn };
    let mut handle = spawn(host.subscribe(), programs.object, maps, plan)?;
    let first = handle.wait_for_start(Duration::from_secs(10));
    print(&first)?;
    let ended = thread::spawn(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let mut asked = false;
        loop {
            if ended.is_finished() && !asked {
                handle.look_last();
                asked = true;
            }
            match tokio::time::timeout(Duration::from_millis(20), handle.rest()).await {
                Ok(Some(batch)) => print(&batch)?,
                Ok(None) => return Ok(()),
                Err(_) => {}
            }
        }
    })
}

fn print(batch: &Batch) -> Result<()> {
    let points: Vec<Value> = batch
        .points
        .iter()
        .map(|point| {
            let leads_to = point.leads_to.as_ref().map(|netns| netns.inode);
            let role = format!("{:?}", point.role);
            json!({"netns": point.netns.inode, "index": point.index, "name": point.name, "role": role,
                "leads_to": leads_to, "kind": point.kind})
        })
        .collect();
    let mut out = std::io::stdout().lock();
    let line = json!({"points": points, "coverage": batch.coverage, "sightings": batch.sightings.len(),
        "attempts": batch.kept.attempts, "not_followed": batch.kept.not_followed});
    // On a line of its own: the test's own name stands before the first.
    writeln!(out, "\n{line}")?;
    Ok(out.flush()?)
}
