//! What a person sees: one line that has it all, a summary at the end, and colour only where it is wanted.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tracer_tests::firewall::{Backend, Chain};
use tracer_tests::topology::{self, NEIGHBOUR, Pair};
use tracer_tests::traffic::{Flow, tcp, udp};
use tracer_tests::{Family, NetNs, patience, tracer};

/// Watches until one line was printed, and does `provoke` as soon as it is ready. Everything it said.
fn watch_one(namespace: &NetNs, provoke: impl FnOnce() -> Result<Flow>) -> Result<(Flow, String)> {
    let inode = namespace.inode()?.to_string();
    // Each minute is longer than any patience: what is told within it does not wait for the counts.
    let arguments = ["watch", "--netns", &inode, "--count", "1", "--interval", "1m"];
    let mut command = tracer::command(arguments)?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut said = String::new();
    stdout.read_line(&mut said)?;
    ensure!(said.starts_with("watching "), "it is not ready: {said}");
    let started = Instant::now();
    let flow = provoke()?;
    stdout.read_to_string(&mut said)?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    ensure!(started.elapsed() < patience(), "told after {:?}: {said}", started.elapsed());
    Ok((flow, said))
}

/// The one line about a flow.
fn line_about<'a>(said: &'a str, flow: &Flow) -> Result<&'a str> {
    let (source, destination) = (flow.source.to_string(), flow.destination.to_string());
    let line = said.lines().find(|line| line.contains(&source) && line.contains(&destination));
    line.with_context(|| format!("nothing about {flow:?} in:\n{said}"))
}

#[test]
fn a_dropped_connection_is_told_at_once() -> Result<()> {
    for family in Family::BOTH {
        let lab = topology::pair()?;
        let _rule = Chain::filter(&lab.server, Backend::Nft, family, "INPUT").append("-p tcp --dport 10250 -j DROP")?;
        let attempt = || lab.client.run(|| tcp::attempt(NEIGHBOUR.port(family, 10250)));
        let (flow, said) = watch_one(&lab.server, attempt)?;
        let line = line_about(&said, &flow)?;
        for part in ["NETFILTER_DROP", "input", "tcp", "s0", lab.server.name()] {
            ensure!(line.contains(part), "no {part} in: {line}");
        }
        // Text that is kept in a file is plain.
        ensure!(!said.contains('\x1b'), "{said:?}");
    }
    Ok(())
}

#[test]
fn the_summary_says_what_to_try() -> Result<()> {
    let lab = topology::pair()?;
    let (flow, said) =
        watch_one(&lab.server, || lab.client.run(|| Ok(udp::send(NEIGHBOUR.port(Family::V6, 81), 1, 20)?.flow)))?;
    line_about(&said, &flow)?;
    // What the pings of the network's set-up left behind is counted, and said to be noise.
    let headline = said
        .lines()
        .find(|line| line.contains("packet was dropped") || line.contains("packets were dropped"))
        .with_context(|| format!("no count:\n{said}"))?;
    let mut numbers = headline.split([' ', ';']).filter_map(|word| word.parse::<u64>().ok());
    let (all, hidden) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    ensure!(all.checked_sub(hidden) == Some(1), "{headline}");
    // A command to copy has the namespace and the port in it.
    let command = said.lines().find(|line| line.contains("nsenter") && line.contains("ss "));
    let command = command.with_context(|| format!("nothing to try:\n{said}"))?;
    ensure!(command.contains(&lab.server.path().display().to_string()) && command.contains("81"), "{command}");
    Ok(())
}

/// What it prints to a terminal, with something set in its environment.
fn on_a_terminal(lab: &Pair, environment: &[(&str, &str)]) -> Result<String> {
    let shown = format!("{} watch --netns {} --count 1", tracer::binary()?.display(), lab.server.inode()?);
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &shown, "/dev/null"]).env("TERM", "xterm-256color");
    command.env_remove("NO_COLOR").envs(environment.iter().copied());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut stdout = BufReader::new(child.stdout.take().context("no pipe")?);
    let mut said = Vec::new();
    stdout.read_until(b'\n', &mut said)?;
    lab.client.run(|| udp::send(NEIGHBOUR.port(Family::V4, 81), 1, 20))?;
    stdout.read_to_end(&mut said)?;
    let said = String::from_utf8_lossy(&said).into_owned();
    ensure!(child.wait()?.success(), "{said}");
    ensure!(said.contains("NO_SOCKET"), "{said:?}");
    Ok(said)
}

/// Whether text has a sequence that sets a colour or weight (ECMA-48 SGR).
fn coloured(text: &str) -> bool {
    text.split("\x1b[").skip(1).any(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit() && c != ';');
        end.is_some_and(|end| part[end..].starts_with('m'))
    })
}

#[test]
fn a_terminal_gets_colour_unless_it_does_not_want_it() -> Result<()> {
    let lab = topology::pair()?;
    let bright = on_a_terminal(&lab, &[])?;
    assert!(coloured(&bright), "{bright:?}");
    let plain = on_a_terminal(&lab, &[("NO_COLOR", "1")])?;
    assert!(!coloured(&plain), "{plain:?}");
    Ok(())
}
