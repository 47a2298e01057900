//! However it ends, nothing stays; what a kill leaves of filters goes with the next start.

use anyhow::{Result, ensure};
use tracer_tests::bpf;
use tracer_tests::topology;
use tracer_tests::{Tracer, tracer};

use crate::watcher::Watcher;
use crate::{filters, tcx, until};

#[test]
fn links_go_with_a_killed_process() -> Result<()> {
    let lab = topology::pair()?;
    let mut watcher = Watcher::start(&[&lab.server], false)?;
    watcher.wait_for("s0")?;
    let held = bpf::held_by(watcher.pid());
    watcher.kill()?;
    until("nothing is left", || Ok(held.iter().all(|object| !object.exists())))?;
    ensure!(tcx(&lab.server, "s0")? == [[""; 0], [""; 0]]);
    Ok(())
}

#[test]
fn filters_of_a_killed_process_go_with_the_next_start() -> Result<()> {
    let lab = topology::pair()?;
    let mut first = Watcher::start(&[&lab.server], true)?;
    first.wait_for("s0")?;
    let pid = first.pid();
    first.kill()?;
    let left = filters(&lab.server, "s0")?;
    ensure!(left.matches(&format!("whydrop-{pid}-")).count() == 2, "{left}");

    let mut second = Watcher::start(&[&lab.server], true)?;
    second.wait_for("s0")?;
    let listed = filters(&lab.server, "s0")?;
    ensure!(!listed.contains(&format!("whydrop-{pid}-")) && listed.matches("whydrop-").count() == 2, "{listed}");

    // Another one beside it is not disturbed, and the last one takes the qdisc with it.
    let mut third = Watcher::start(&[&lab.server], true)?;
    third.wait_for("s0")?;
    ensure!(filters(&lab.server, "s0")?.matches("whydrop-").count() == 4, "{}", filters(&lab.server, "s0")?);
    second.end()?;
    ensure!(filters(&lab.server, "s0")?.matches("whydrop-").count() == 2, "{}", filters(&lab.server, "s0")?);
    third.end()?;
    let qdiscs = lab.server.exec("tc qdisc show dev s0")?;
    ensure!(!qdiscs.contains("clsact"), "{qdiscs}");
    Ok(())
}

#[test]
fn the_command_leaves_nothing_after_a_signal() -> Result<()> {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGKILL] {
        let lab = topology::pair()?;
        let netns = lab.server.inode()?.to_string();
        let mut command = tracer::command(["diagnose", "-o", "json", "--netns", &netns, "--for", "1m"])?;
        let tracer = Tracer::spawn(&mut command)?;
        ensure!(tcx(&lab.server, "s0")? == [["flow_ingress"], ["flow_egress"]], "{:?}", tcx(&lab.server, "s0")?);
        let held = bpf::held_by(tracer.pid());
        tracer.signal(signal)?;
        tracer.finish()?;
        until("nothing is left", || Ok(held.iter().all(|object| !object.exists())))?;
        ensure!(tcx(&lab.server, "s0")? == [[""; 0], [""; 0]]);
    }
    Ok(())
}
