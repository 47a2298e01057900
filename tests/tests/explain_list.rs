//! `whydrop explain` without a packet: what a running `watch`, or a file that one was saved to, has explained so far.

use std::fs;
use std::process::Output;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::topology::{self, NEIGHBOUR};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Expect, Family, NetNs, Tracer, patience, tracer};

fn explain(arguments: &[&str]) -> Result<Output> {
    Ok(tracer::command([&["explain"], arguments].concat())?.output()?)
}

fn list(arguments: &[&str]) -> Result<Value> {
    let output = explain(&[arguments, &["-o", "json"]].concat())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn refused(arguments: &[&str], because: &str) -> Result<()> {
    let output = explain(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains(because) && said.lines().count() == 1, "{said}");
    Ok(())
}

/// Packets to closed ports in a namespace: other tests watch meanwhile, and answers to pings that ended are thrown away.
fn packets(list: &Value, namespace: &NetNs) -> Result<u64> {
    let inode = namespace.inode()?;
    let causes = list["causes"].as_array().context("no causes")?;
    let explanations =
        causes.iter().filter(|by| by["cause"] == "no_socket").filter_map(|by| by["explanations"].as_array());
    let ours = explanations.flatten().filter(|explained| {
        let summary = explained["explanation"]["summary"].as_str().unwrap_or_default();
        explained["netns"]["inode"] == inode && [":81", ":82"].iter().any(|port| summary.contains(port))
    });
    Ok(ours.filter_map(|explained| explained["packets"].as_u64()).sum())
}

fn nobody(flow: &Flow, namespace: &NetNs) -> Result<Expect> {
    Ok(Expect::drop("NO_SOCKET").netns(namespace)?.flow(flow))
}

#[test]
fn a_running_watch_is_asked() -> Result<()> {
    let lab = topology::pair()?;
    let mut watching = Tracer::watch(&lab.server)?;
    let refused = lab.client.run(|| tcp::attempt(NEIGHBOUR.port(Family::V4, 81)))?;
    watching.wait_for(&nobody(&refused, &lab.server)?)?;
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V6, 82), 3, 10))?;
    watching.wait_for_count(&nobody(&sent.flow, &lab.server)?, 3)?;
    // It is recorded with the next tick.
    let started = Instant::now();
    while packets(&list(&[])?, &lab.server)? < 4 {
        ensure!(started.elapsed() < patience(), "still not listed: {}", list(&[])?);
    }
    ensure!(packets(&list(&["--since", "1h"])?, &lab.server)? == 4);
    ensure!(packets(&list(&["--since", "1ns"])?, &lab.server)? == 0, "nothing is as new as that");
    let text = String::from_utf8(explain(&["--netns", lab.server.name()])?.stdout)?;
    ensure!(text.starts_with("no_socket  ") && text.contains(&format!("in {}", lab.server.name())), "{text}");
    let pid = watching.pid();
    watching.stop()?.ensure_clean()?;
    let mine = format!("pid {pid}");
    // What is watched elsewhere may be listed, or nothing is.
    let after = String::from_utf8(explain(&["-o", "json"])?.stdout)?;
    ensure!(!after.contains(&mine), "a watch that ended left something behind: {after}");
    Ok(())
}

#[test]
fn a_saved_file_is_listed_as_far_as_it_goes() -> Result<()> {
    let lab = topology::pair()?;
    let mut watching = Tracer::watch(&lab.server)?;
    let flow = lab.client.run(|| tcp::attempt(NEIGHBOUR.port(Family::V4, 81)))?;
    watching.wait_for(&nobody(&flow, &lab.server)?)?;
    let report = watching.stop()?;
    let saved = report.events.iter().fold(String::new(), |saved, event| format!("{saved}{event}\n"));
    let path = std::env::temp_dir().join(format!("whydrop-saved-{}.json", std::process::id()));
    let name = path.to_str().context("a path")?;
    fs::write(&path, &saved)?;
    ensure!(packets(&list(&["--from", name])?, &lab.server)? == 1);
    // Cut short in the middle of a line.
    fs::write(&path, format!("{saved}{}", &saved[..saved.len() / 3]))?;
    let cut = list(&["--from", name])?;
    ensure!(cut["damaged"] == 1 && packets(&cut, &lab.server)? >= 1, "{cut}");
    fs::write(&path, "root:x:0:0\n")?;
    refused(&["--from", name], "holds no line of")?;
    fs::remove_file(&path)?;
    refused(&["--from", name], "cannot be read")
}
