//! However it ends, nothing of it stays on any interface.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use tracer_tests::bpf::{self, Kind, Object};
use tracer_tests::event::key;
use tracer_tests::{Diagnosis, Tracer, cloud, diagnosis, eventually};

/// Runs it on a node until it is attached, ends it by `end`, and looks what is left.
fn ended_by(end: impl FnOnce(Tracer) -> Result<()>) -> Result<()> {
    let lab = cloud::cloud()?;
    let mut command = diagnosis::command(&lab.node)?;
    let running = Tracer::spawn(command.args(["--for", "3s"]))?;
    let held = bpf::held_by(running.pid());
    ensure!(held.iter().any(|object| is_of_tc(*object)), "no program for interfaces: {held:?}");
    let links = held.iter().filter(|object| object.kind == Kind::Link).count();
    // Both directions of n0, v1 and v2: by links, or by filters of clsact.
    ensure!(links > 6 || !filters(&lab)?.is_empty(), "nothing is attached: {held:?}");
    end(running)?;
    eventually("nothing of it is in the kernel", || Ok(held.iter().all(|object| !object.exists())))?;
    eventually("nothing is attached", || Ok(filters(&lab)?.is_empty()))
}

fn is_of_tc(object: Object) -> bool {
    object.name().is_ok_and(|name| name.starts_with("flow_"))
}

/// What tc shows on interfaces of the node; not what is there by links.
fn filters(lab: &cloud::Cloud) -> Result<String> {
    let script = "for d in n0 v1 v2; do tc qdisc show dev $d clsact; tc filter show dev $d ingress; tc filter show dev $d egress; done";
    lab.node.exec(&format!("{script} 2>/dev/null || true"))
}

#[test]
fn by_itself() -> Result<()> {
    ended_by(|running| {
        let report = running.finish()?;
        ensure!(report.status.success(), "{}: {}", report.status, report.stderr);
        ensure!(report.stats()?.number(key::INTERFACES)? >= 3, "{}", report.stats()?);
        Ok(())
    })
}

#[test]
fn by_an_interrupt() -> Result<()> {
    ended_by(|running| running.stop().map(drop))
}

#[test]
fn by_termination() -> Result<()> {
    ended_by(|running| {
        running.signal(libc::SIGTERM)?;
        let report = running.finish()?;
        ensure!(report.status.success(), "{}: {}", report.status, report.stderr);
        Ok(())
    })
}

#[test]
fn by_being_killed() -> Result<()> {
    ended_by(|running| {
        running.signal(libc::SIGKILL)?;
        ensure!(running.finish()?.status.signal() == Some(libc::SIGKILL));
        Ok(())
    })
}

#[test]
fn two_run_beside_each_other() -> Result<()> {
    let lab = cloud::cloud()?;
    let both = [Diagnosis::of(&lab.node)?, Diagnosis::of(&lab.node)?];
    both.into_iter().try_for_each(|one| one.end()?.ensure_none())
}
