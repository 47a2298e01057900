//! Beside the programs of others: each sees the packets, and their verdicts stand.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_tests::bpf::{Attach, Verdict, with_file_system};
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
    let to = NEIGHBOUR.port(Family::V4, 5000);
    let receiver = lab.server.run(|| Ok(UdpSocket::bind(to)?))?;
    // Through veth a packet is there before the sender's call returns.
    receiver.set_read_timeout(Some(Duration::from_millis(300)))?;
    lab.client.run(|| udp::send(to, 1, 16))?;
    Ok(receiver.recv_from(&mut [0; 64]).is_ok())
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

/// Adds clsact, unless it is there, and a filter with this program at this preference.
fn add_filter(server: &NetNs, program: &Verdict, preference: u32) -> Result<()> {
    with_file_system(|| {
        program.pin("/sys/fs/bpf/theirs")?;
        server.exec(&format!(
            "{{ tc qdisc add dev s0 clsact 2>/dev/null || true; }} && \
             tc filter add dev s0 ingress pref {preference} protocol all bpf da object-pinned /sys/fs/bpf/theirs"
        ))
    })
    .map(drop)
}

#[test]
fn filters_of_others_stay_with_their_qdisc() -> Result<()> {
    for (clsact, before, preference) in
        [(true, true, 7), (true, true, 1), (true, false, 7), (true, false, 1), (false, true, 7), (false, false, 7)]
    {
        let case = format!("clsact {clsact}, before {before}, preference {preference}");
        let lab = topology::pair()?;
        let server = &lab.server;
        let theirs = Verdict::load(Attach::TcxIngress, "theirs", SHOT)?;
        if before {
            add_filter(server, &theirs, preference)?;
        }
        let mut watcher = Watcher::start(&[server], clsact)?;
        watcher.wait_for("s0")?;
        if !before {
            add_filter(server, &theirs, preference)?;
        }
        let listed = filters(server, "s0")?;
        ensure!(listed.matches("whydrop-").count() == if clsact { 2 } else { 0 }, "{case}: {listed}");
        ensure!(listed.contains("theirs"), "{case}: {listed}");
        // Of one preference the newest runs first.
        if clsact && (before || preference != 1) {
            let ours = listed.find("whydrop-");
            ensure!(ours < listed.find("theirs"), "{case}: ours runs first: {listed}");
        }
        ensure!(watcher.said().is_empty(), "{case}: {:?}", watcher.said());
        ensure!(!arrives(&lab)?, "{case}: their verdict stands");
        watcher.end()?;
        let listed = filters(server, "s0")?;
        ensure!(!listed.contains("whydrop") && listed.contains("theirs"), "{case}: {listed}");
        ensure!(!arrives(&lab)?, "{case}: their verdict stands afterwards");
        server.exec("tc qdisc del dev s0 clsact")?;
        ensure!(arrives(&lab)?, "{case}");
    }
    Ok(())
}

#[test]
fn a_filter_of_another_kind_at_the_first_preference_is_not_replaced() -> Result<()> {
    let lab = topology::pair()?;
    let server = &lab.server;
    server.exec(
        "tc qdisc add dev s0 clsact && \
         tc filter add dev s0 ingress pref 1 protocol all u32 match u32 0 0 flowid 1:1",
    )?;
    let mut watcher = Watcher::start(&[server], true)?;
    watcher.wait_for("s0")?;
    let listed = filters(server, "s0")?;
    ensure!(listed.contains("u32") && listed.matches("whydrop-").count() == 2, "{listed}");
    ensure!(watcher.said().iter().any(|said| said.contains("other filters run before")), "{:?}", watcher.said());
    watcher.end()?;
    let listed = filters(server, "s0")?;
    ensure!(listed.contains("u32") && !listed.contains("whydrop-"), "{listed}");
    Ok(())
}
