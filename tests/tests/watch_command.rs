//! `whydrop watch` as a command among commands: what it runs, when it ends, and how.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tracer_tests::event::key;
use tracer_tests::topology::{self, NEIGHBOUR};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, Family, NetNs, Tracer, tracer};

/// Runs `whydrop watch -o json` to its end.
fn run(arguments: &[&str]) -> Result<tracer_tests::Report> {
    let mut command = tracer::command(["watch", "-o", "json"])?;
    Tracer::spawn(command.args(arguments))?.finish()
}

#[test]
fn it_ends_with_the_status_of_its_command() -> Result<()> {
    for (script, status) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + libc::SIGTERM)] {
        let report = run(&["--netns", "1", "--", "sh", "-c", script])?;
        assert_eq!(report.status.code(), Some(status), "{script}: {}", report.stderr);
        report.stats()?;
    }
    Ok(())
}

#[test]
fn a_command_that_does_not_exist_is_said_so() -> Result<()> {
    let mut command = tracer::command(["watch", "-o", "json", "--netns", "1", "--", "/no/such/command"])?;
    let report = Tracer::launch(&mut command)?.finish()?;
    assert_eq!(report.status.code(), Some(127), "{}", report.stderr);
    ensure!(report.stderr.contains("/no/such/command"), "it does not say which: {}", report.stderr);
    Ok(())
}

#[test]
fn drops_of_its_command_are_seen_to_the_last() -> Result<()> {
    let lab = topology::pair()?;
    let script = "for n in 1 2 3 4 5; do echo x >/dev/udp/10.99.1.3/81; done";
    let (inode, client) = (lab.server.inode()?.to_string(), lab.client.path().display().to_string());
    let net = format!("--net={client}");
    let report = run(&["--all", "--netns", &inode, "--", "nsenter", &net, "bash", "-c", script])?;
    assert_eq!(report.status.code(), Some(0), "{}", report.stderr);
    let wanted = Expect::drop("NO_SOCKET").netns(&lab.server)?.with(key::DESTINATION_PORT, 81);
    assert_eq!(report.count(&wanted)?, 5);
    Ok(())
}

#[test]
fn a_signal_reaches_its_command() -> Result<()> {
    let mut command = tracer::command(["watch", "-o", "json", "--netns", "1", "--", "sleep", "1000"])?;
    let tracer = Tracer::spawn(&mut command)?;
    let started = Instant::now();
    tracer.signal(libc::SIGTERM)?;
    let report = tracer.finish()?;
    assert!(started.elapsed() < Duration::from_secs(10));
    let status = report.status;
    ensure!(status.code() == Some(128 + libc::SIGTERM) || status.signal() == Some(libc::SIGTERM), "{status}");
    Ok(())
}

#[test]
fn it_ends_after_a_number_of_lines() -> Result<()> {
    let lab = topology::pair()?;
    let inode = lab.server.inode()?.to_string();
    let tracer = Tracer::start(&["--all", "--netns", &inode, "--count", "2"])?;
    lab.client.run(|| {
        for port in 81..86 {
            udp::send(NEIGHBOUR.port(Family::V4, port), 1, 20)?;
        }
        Ok(())
    })?;
    let report = tracer.finish()?;
    report.ensure_clean()?;
    assert_eq!(report.events.iter().filter(|event| event.is("drop")).count(), 2);
    Ok(())
}

#[test]
fn it_ends_after_a_time() -> Result<()> {
    let started = Instant::now();
    let report = run(&["--netns", "1", "--duration", "400ms"])?;
    report.ensure_clean()?;
    assert!(started.elapsed() >= Duration::from_millis(400));
    Ok(())
}

#[test]
fn it_gives_an_account_of_each_interval_with_drops() -> Result<()> {
    let lab = topology::pair()?;
    let inode = lab.server.inode()?.to_string();
    let mut tracer = Tracer::start(&["--netns", &inode, "--reason", "NO_SOCKET", "--interval", "100ms"])?;
    for drops in 1..=3 {
        lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
        let account = Expect::any().with(key::KIND, "stats").with(key::FINAL, false);
        tracer.wait_for(&account.with(key::PACKETS, drops))?;
    }
    tracer.stop()?.ensure_clean()
}

#[test]
fn the_first_packet_is_told_at_once() -> Result<()> {
    // Not at the end of the interval, which is a minute away.
    let lab = topology::pair()?;
    let inode = lab.server.inode()?.to_string();
    let mut tracer = Tracer::start(&["--all", "--netns", &inode, "--interval", "60s"])?;
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
    let started = Instant::now();
    let event = tracer.wait_for(&Expect::drop("NO_SOCKET").flow(&sent.flow))?;
    assert!(started.elapsed() < Duration::from_secs(1), "told after {:?}", started.elapsed());
    assert_eq!(event.number(key::COUNT)?, 1);
    tracer.stop()?.ensure_clean()
}

#[test]
fn it_names_namespace_and_time() -> Result<()> {
    let lab = topology::pair()?;
    let mut tracer = Tracer::watch(&lab.server)?;
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
    let wanted = Expect::drop("NO_SOCKET").flow(&sent.flow).netns(&lab.server)?;
    let event = tracer.wait_for(&wanted.with(key::NETNS_NAME, lab.server.name()))?;
    // RFC 3339 in UTC sorts as text.
    let started = tracer.header().text(key::STARTED).to_owned();
    assert!(!started.is_empty() && event.text(key::TIME) >= started.as_str(), "{event} before {started}");
    tracer.stop()?.ensure_clean()
}

#[test]
fn the_stack_is_shown_on_request() -> Result<()> {
    let lab = topology::pair()?;
    let inode = lab.server.inode()?.to_string();
    let mut tracer = Tracer::start(&["--all", "--netns", &inode, "--stack"])?;
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
    let event = tracer.wait_for(&Expect::drop("NO_SOCKET").flow(&sent.flow))?;
    let stack = event.at(key::STACK).and_then(|stack| stack.as_array()).cloned().unwrap_or_default();
    let has = |symbol: &str| stack.iter().any(|frame| frame.as_str().is_some_and(|frame| frame.starts_with(symbol)));
    assert!(has("ip_rcv") || has("ip_local_deliver_finish"), "{stack:?}");
    tracer.stop()?.ensure_clean()
}

#[test]
fn what_is_expected_is_shown_only_on_request() -> Result<()> {
    // A multicast group that the server did not join.
    let group = SocketAddr::from(([239, 1, 1, 1], 9));
    let lab = topology::pair()?;
    lab.client.exec("ip route add 239.1.1.1/32 dev c0")?;
    let inode = lab.server.inode()?.to_string();
    let tracer = Tracer::start(&["--netns", &inode])?;
    let sent = lab.client.run(|| udp::send(group, 1, 20))?;
    let report = tracer.stop()?;
    report.ensure_clean()?;
    report.ensure_silent(&Expect::any().with(key::KIND, "drop").flow(&sent.flow))?;
    // Not shown is not uncounted.
    ensure!(report.stats()?.number(key::HIDDEN)? >= 1, "{}", report.stats()?);
    Ok(())
}

#[test]
fn a_namespace_may_vanish_while_it_is_watched() -> Result<()> {
    let lab = topology::pair()?;
    let mut tracer = Tracer::start(&["--all", "--reason", "NO_SOCKET"])?;
    let sent = lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
    let wanted = Expect::drop("NO_SOCKET").netns(&lab.server)?.flow(&sent.flow);
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 82), 1, 20))?;
    drop(lab);
    tracer.wait_for(&wanted)?;
    let other = NetNs::new("x")?;
    other.exec("bash -c \"echo x >/dev/udp/127.0.0.1/83\"")?;
    tracer.wait_for(&Expect::drop("NO_SOCKET").netns(&other)?.interface("lo").with(key::DESTINATION_PORT, 83))?;
    tracer.stop()?.ensure_clean()
}
