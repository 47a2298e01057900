//! What can't be done is said in one sentence, the exit status shows it, and nothing was attached.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tracer_tests::{NetNs, tracer};

/// Longer than any sentence.
const LONGEST: usize = 1000;

fn refuses(command: &mut Command, status: i32, words: &[&str]) -> Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(status), "{} instead of {status}: {said}", output.status);
    ensure!(output.stdout.is_empty(), "printed {}", String::from_utf8_lossy(&output.stdout));
    ensure!(said.len() < LONGEST && !said.contains("panicked"), "no sentence: {said}");
    for word in words {
        ensure!(said.contains(word), "it does not say {word}: {said}");
    }
    Ok(())
}

fn diagnose(arguments: &[&str]) -> Result<Command> {
    let mut command = tracer::command(["diagnose", "--for", "1s"])?;
    command.args(arguments);
    Ok(command)
}

#[test]
fn an_expectation_that_means_nothing() -> Result<()> {
    refuses(&mut diagnose(&["--expect", ""])?, 2, &["can't expect nothing", "in:tcp:PORT"])?;
    for text in
        ["80", "in:80", "in:tcp:0", "in:tcp:65536", "in:sctp:80", "to:tcp:80", "out:tcp:a b:80", "out:tcp:fd00::1:80"]
    {
        refuses(&mut diagnose(&["--expect", text])?, 2, &["can't expect", text])?;
    }
    refuses(&mut diagnose(&["--expect", &"x".repeat(100_000)])?, 2, &["can't expect"])
}

#[test]
fn a_namespace_that_is_none() -> Result<()> {
    for name in ["no-such-namespace", "/no/such/file", "/etc/passwd"] {
        refuses(&mut diagnose(&["--netns", name])?, 2, &[name])?;
    }
    Ok(())
}

#[test]
fn a_time_that_is_none() -> Result<()> {
    for (time, why) in [
        ("soon", "soon"),
        ("-1s", "-1s"),
        ("", "30s or 5m"),
        ("0s", "in no time"),
        ("0", "in no time"),
        ("400days", "a year"),
    ] {
        refuses(&mut tracer::command(["diagnose", &format!("--for={time}")])?, 2, &[why])?;
    }
    for time in [format!("{}s", u64::MAX), format!("{}years", u64::MAX), "9".repeat(100_000)] {
        refuses(&mut tracer::command(["diagnose", &format!("--for={time}")])?, 2, &["30s or 5m"])?;
    }
    Ok(())
}

#[test]
fn a_command_that_does_not_exist() -> Result<()> {
    let quiet = NetNs::new("x")?;
    let mut command = tracer::command(["diagnose", "--netns", quiet.name(), "--", "/no/such/program"])?;
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(127) && said.contains("/no/such/program"), "{}: {said}", output.status);
    Ok(())
}

/// The binary under `setpriv`, which takes something away first.
fn without(privileges: &[&str]) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(privileges).arg(tracer::binary()?).args(["diagnose", "--for", "1s"]);
    Ok(command)
}

#[test]
fn root_without_capabilities() -> Result<()> {
    refuses(&mut without(&["--bounding-set=-all", "--inh-caps=-all"])?, 1, &["CAP_BPF"])
}

/// The kernel gives the programs to whoever has `CAP_SYS_ADMIN` as well, and tcx links to whoever has the programs.
#[test]
fn root_that_may_not_configure_interfaces() -> Result<()> {
    let less = ["--bounding-set=-net_admin,-sys_admin", "--inh-caps=-net_admin,-sys_admin"];
    refuses(&mut without(&less)?, 1, &["programs for interfaces", "CAP_NET_ADMIN", "--privileged"])
}

/// A namespace without any interface is not healthy: nothing could be seen.
#[test]
fn a_namespace_without_interfaces() -> Result<()> {
    let quiet = NetNs::new("x")?;
    for expect in [&[][..], &["--expect", "in:tcp:80"]] {
        let mut command = diagnose(&["-o", "json", "--netns", quiet.name()])?;
        let output = command.args(expect).stdin(Stdio::null()).output()?;
        let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.code() == Some(1), "{}: {told}", output.status);
        ensure!(
            said.contains("nothing could be seen") && said.contains(quiet.name()) && said.lines().count() == 1,
            "{said}"
        );
        let header = told.lines().next().unwrap_or_default();
        ensure!(header.contains("no interface leads out of it"), "not in the coverage: {header}");
        ensure!(!told.contains("\"finding\""), "it found what it can't know: {told}");
    }
    Ok(())
}
