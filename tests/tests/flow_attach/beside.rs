//! Beside the programs of others: each sees the packets, and their verdicts stand.

use anyhow::{Result, ensure};
use tracer_tests::bpf::{Attach, Verdict};
use tracer_tests::topology::{self, NEIGHBOUR, Pair};
use tracer_tests::traffic::udp;
use tracer_tests::{Family, NetNs};

use crate::watcher::Watcher;
use crate::{filters, tcx};

const SHOT: i32 = 2;
const OK: i32 = 0;

fn index(namespace: &NetNs, name: &str) -> Result<u32> {
    Ok(namespace.exec(&format!("ip -o link show {name} | cut -d: -f1"))?.trim().parse()?)
}

/// Whether a packet of the client arrives in the server.
fn arrives(lab: &Pair) -> Result<bool> {
    Ok(udp::deliver(&lab.client, &lab.server, NEIGHBOUR.port(Family::V4, 5000)).is_ok())
}

#[test]
fn tcx_programs_of_before_and_after_keep_their_verdicts() -> Result<()> {
    for verdict in [SHOT, OK] {
        let lab = topology::pair()?;
        let s0 = index(&lab.server, "s0")?;
        let before = Verdict::load(Attach::TcxIngress, "before", verdict)?;
        let held = lab.server.run(|| before.attach(s0))?;
        let mut watcher = Watcher::start(&[&lab.server], false)?;
        watcher.wait_for("s0")?;
        let after = Verdict::load(Attach::TcxIngress, "after", verdict)?;
        let held_after = lab.server.run(|| after.attach(s0))?;
        ensure!(tcx(&lab.server, "s0")?[0] == ["flow_ingress", "before", "after"], "{:?}", tcx(&lab.server, "s0")?);
        ensure!(arrives(&lab)? == (verdict == OK), "with verdict {verdict}");
        watcher.end()?;
        ensure!(tcx(&lab.server, "s0")?[0] == ["before", "after"], "{:?}", tcx(&lab.server, "s0")?);
        ensure!(arrives(&lab)? == (verdict == OK), "with verdict {verdict} afterwards");
        drop((held, held_after));
        ensure!(arrives(&lab)?);
    }
    Ok(())
}

/// Drops IPv4 UDP to the server's port, at this preference.
fn drops(preference: u32) -> String {
    format!("tc filter add dev s0 ingress pref {preference} protocol all matchall action drop")
}

#[test]
fn filters_of_others_stay_with_their_qdisc() -> Result<()> {
    for (clsact, before) in [(true, true), (true, false), (false, true), (false, false)] {
        let lab = topology::pair()?;
        let server = &lab.server;
        let add = |preference| {
            server.exec(&format!("{{ tc qdisc add dev s0 clsact 2>/dev/null || true; }} && {}", drops(preference)))
        };
        if before {
            add(7)?;
        }
        let mut watcher = Watcher::start(&[server], clsact)?;
        watcher.wait_for("s0")?;
        if !before {
            add(7)?;
        }
        let listed = filters(server, "s0")?;
        ensure!(listed.contains("matchall"), "{listed}");
        ensure!(listed.matches("whydrop-").count() == if clsact { 2 } else { 0 }, "{listed}");
        if clsact {
            let (ours, theirs) = (listed.find("whydrop-"), listed.find("matchall"));
            ensure!(ours < theirs, "ours runs first: {listed}");
        }
        ensure!(watcher.said().is_empty(), "{:?}", watcher.said());
        ensure!(!arrives(&lab)?, "their verdict stands");
        watcher.end()?;
        let listed = filters(server, "s0")?;
        ensure!(listed.contains("matchall") && !listed.contains("whydrop"), "{listed}");
        ensure!(!arrives(&lab)?, "their verdict stands afterwards");
        server.exec("tc qdisc del dev s0 clsact")?;
        ensure!(arrives(&lab)?);
    }
    Ok(())
}

#[test]
fn a_filter_at_the_first_preference_is_not_replaced() -> Result<()> {
    let lab = topology::pair()?;
    let server = &lab.server;
    server.exec(&format!("tc qdisc add dev s0 clsact && {}", drops(1)))?;
    let mut watcher = Watcher::start(&[server], true)?;
    watcher.wait_for("s0")?;
    let listed = filters(server, "s0")?;
    ensure!(listed.contains("matchall") && listed.matches("whydrop-").count() == 2, "{listed}");
    ensure!(watcher.said().iter().any(|said| said.contains("other filters run before")), "{:?}", watcher.said());
    watcher.end()?;
    let listed = filters(server, "s0")?;
    ensure!(listed.contains("matchall") && !listed.contains("whydrop-"), "{listed}");
    Ok(())
}
