//! However it ends, nothing of it stays in the kernel, and the exit status says how it was.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::bpf::{self, Kind, Object};
use tracer_tests::topology::{self, NEIGHBOUR};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Tracer, patience, tracer};

/// Nothing at all happens in the namespace that is watched.
fn quiet() -> Result<(NetNs, Tracer, BTreeSet<Object>)> {
    let namespace = NetNs::new("x")?;
    let tracer = Tracer::watch(&namespace)?;
    let held = bpf::held_by(tracer.pid());
    for kind in [Kind::Program, Kind::Map] {
        ensure!(held.iter().any(|object| object.kind == kind), "the tracer holds no {kind:?}: {held:?}");
    }
    ensure!(held.iter().all(|object| object.exists()), "the tracer holds what does not exist: {held:?}");
    Ok((namespace, tracer, held))
}

/// Waits until none of the objects exists: the kernel frees them a little after their last user is gone.
fn ensure_gone(objects: &BTreeSet<Object>) -> Result<()> {
    let deadline = Instant::now() + patience();
    loop {
        let left: Vec<_> = objects.iter().filter(|object| object.exists()).collect();
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "still in the kernel: {left:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn after_an_interrupt() -> Result<()> {
    let (_namespace, tracer, held) = quiet()?;
    tracer.stop()?.ensure_clean()?;
    ensure_gone(&held)
}

#[test]
fn after_termination() -> Result<()> {
    let (_namespace, tracer, held) = quiet()?;
    tracer.signal(libc::SIGTERM)?;
    tracer.finish()?.ensure_clean()?;
    ensure_gone(&held)
}

#[test]
fn after_being_killed() -> Result<()> {
    let (_namespace, tracer, held) = quiet()?;
    tracer.signal(libc::SIGKILL)?;
    assert_eq!(tracer.finish()?.status.signal(), Some(libc::SIGKILL));
    ensure_gone(&held)
}

#[test]
fn after_its_time_is_over() -> Result<()> {
    let tracer = Tracer::start(&["--duration", "300ms"])?;
    let held = bpf::held_by(tracer.pid());
    tracer.finish()?.ensure_clean()?;
    ensure_gone(&held)
}

#[test]
fn after_its_reader_went_away() -> Result<()> {
    let lab = topology::pair()?;
    let inode = lab.server.inode()?.to_string();
    // `head` takes the header and one line and goes; the next line meets a closed pipe.
    let mut command = tracer::command(["watch", "-o", "json", "--all", "--interval", "100ms", "--netns", &inode])?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut lines = std::io::BufReader::new(child.stdout.take().context("no pipe")?);
    let mut header = String::new();
    std::io::BufRead::read_line(&mut lines, &mut header)?;
    ensure!(header.contains(r#""kind":"header""#), "no header: {header}");
    let held = bpf::held_by(child.id());
    drop(lines);
    let deadline = Instant::now() + patience();
    for port in 1.. {
        if child.try_wait()?.is_some() {
            break;
        }
        ensure!(Instant::now() < deadline, "it runs on without a reader");
        lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, port), 1, 20))?;
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output()?;
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    ensure_gone(&held)
}

/// Starts it and terminates it in the midst of that, at each moment of `when`.
#[test]
fn after_termination_while_it_starts() -> Result<()> {
    let (_namespace, ready, held) = quiet()?;
    let names: BTreeSet<_> = held.iter().map(|object| object.name()).collect::<Result<_>>()?;
    ready.stop()?.ensure_clean()?;
    ensure_gone(&held)?;
    let before = objects()?;
    for delay in [0, 2, 5, 10, 20, 40, 80, 160] {
        terminated_after(Duration::from_millis(delay))?;
    }
    terminated_as_soon_as_it_holds_something()?;
    let mut left = objects()?;
    left.retain(|object| !before.contains(object) && object.name().is_ok_and(|name| names.contains(&name)));
    // Another tracer on this machine has the same names; what it holds is not left behind.
    left.retain(|object| !held_by_anyone(*object));
    ensure_gone(&left)
}

fn watch() -> Result<Command> {
    tracer::command(["watch", "-o", "json", "--netns", "1"])
}

/// The moment is by the clock on purpose: each run meets the start-up somewhere else.
fn terminated_after(delay: Duration) -> Result<()> {
    let tracer = Tracer::launch(&mut watch()?)?;
    thread::sleep(delay);
    terminate(tracer)
}

fn terminated_as_soon_as_it_holds_something() -> Result<()> {
    let tracer = Tracer::launch(&mut watch()?)?;
    let deadline = Instant::now() + patience();
    while bpf::held_by(tracer.pid()).is_empty() {
        ensure!(Instant::now() < deadline, "it never loaded anything");
    }
    terminate(tracer)
}

fn terminate(tracer: Tracer) -> Result<()> {
    tracer.signal(libc::SIGTERM)?;
    let report = tracer.finish()?;
    // Before it can handle signals it dies of them; from then on it ends well.
    let status = report.status;
    ensure!(status.success() || status.signal() == Some(libc::SIGTERM), "{status}: {}", report.stderr);
    ensure!(!report.stderr.contains("panicked"), "{}", report.stderr);
    Ok(())
}

fn objects() -> Result<BTreeSet<Object>> {
    Ok(bpf::all(Kind::Program)?.union(&bpf::all(Kind::Map)?).copied().collect())
}

fn held_by_anyone(object: Object) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().any(|pid| bpf::held_by(pid).contains(&object))
}

#[test]
fn a_second_one_runs_beside_the_first() -> Result<()> {
    let lab = topology::pair()?;
    let mut tracers = [Tracer::watch(&lab.server)?, Tracer::watch(&lab.server)?];
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V6, 81), 1, 20))?;
    let wanted = Expect::drop("NO_SOCKET").flow(&sent.flow);
    for tracer in &mut tracers {
        tracer.wait_for(&wanted)?;
    }
    for tracer in tracers {
        tracer.stop()?.ensure_clean()?;
    }
    Ok(())
}
