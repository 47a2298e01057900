//! `cargo xtask test`: the unit tests, then the network lab with the real binary, then one line that says how it went.
//!
//! Rule: what did not run is never passed over in silence. A lab that could not run, and a filter that met no test, are failures.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::Add;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::cluster;
use crate::compiler;
use crate::packages;
use crate::process::{cargo, is_root, rendered};
use crate::workspace::Workspace;

pub(crate) fn test(workspace: &Workspace, filter: Option<&str>, no_lab: bool, cluster: bool) -> Result<()> {
    let start = Instant::now();
    if !no_lab {
        packages::ensure(&packages::LAB, "the network lab")?;
        packages::ensure(&packages::PODS, "the lab's pods")?;
    }
    let programs = cluster.then(|| cluster::programs(workspace)).transpose()?;
    let binary = build::binary(workspace, true)?;
    let unit = unit(workspace, filter)?;
    let mut lab = cargo();
    lab.current_dir(&workspace.root).env("WHYDROP_BINARY", &binary);
    lab.args(["test", "--package", "tracer-tests", "--package", "tracer-netfilter"])
        .args(filter)
        .args(["--", "--test-threads=1"]);
    if let Some(programs) = programs {
        lab.env("WHYDROP_CLUSTER", programs);
    }
    let lab = match (no_lab, is_root()) {
        (true, _) => None,
        (false, true) => Some(counted(&mut lab, io::stdout(), io::stderr()).context("the network lab failed")?),
        (false, false) => {
            // Cargo builds as the user; only the test programs are started by sudo.
            let host = compiler::host()?.to_uppercase().replace(['-', '.'], "_");
            lab.env(format!("CARGO_TARGET_{host}_RUNNER"), "sudo --preserve-env=WHYDROP_BINARY,WHYDROP_CLUSTER");
            let (passed, command) = (unit.passed, rendered(&lab));
            bail!(
                "the {passed} unit tests passed, but the network lab did not run because it needs root; run\n  {command}"
            );
        }
    };
    println!("{}", verdict(unit, lab, filter.is_some())? + &format!(" in {} s", start.elapsed().as_secs()));
    Ok(())
}

/// What needs neither root nor a network. Lab and `tracer-netfilter`, whose other tests ask the kernel, are no default members
/// of the workspace.
fn unit(workspace: &Workspace, filter: Option<&str>) -> Result<Count> {
    let run = |arguments: &[&str]| {
        let mut tests = cargo();
        tests.current_dir(&workspace.root).arg("test").args(arguments).args(filter);
        counted(&mut tests, io::stdout(), io::stderr()).context("the unit tests failed")
    };
    Ok(run(&[])? + run(&["--package", "tracer-netfilter", "--lib"])?)
}

/// What a run of tests said.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    /// Told by the harness at the end of each test program; skipped stories are among them.
    passed: u64,
    ignored: u64,
    /// Told by the lab, one line for each story that this kernel cannot tell.
    skipped: u64,
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            ignored: self.ignored + other.ignored,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Runs tests, passing their output on, and counts them.
fn counted(command: &mut Command, out: impl Write, error: impl Write + Send) -> Result<Count> {
    eprintln!("  {}", rendered(command));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", rendered(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let count = thread::scope(|scope| -> io::Result<Count> {
        let errors = scope.spawn(|| stderr.map_or(Ok(Count::default()), |stderr| pass_on(stderr, error)));
        let results = stdout.map_or(Ok(Count::default()), |stdout| pass_on(stdout, out))?;
        Ok(results + errors.join().map_err(|_| io::Error::other("the reader of the tests' errors ended early"))??)
    });
    let status = child.wait()?;
    if !status.success() {
        bail!("see above; `{}` ended with {status}", rendered(command));
    }
    count.context("the output of the tests cannot be read or shown")
}

fn pass_on(from: impl Read, mut to: impl Write) -> io::Result<Count> {
    let mut count = Count::default();
    for line in BufReader::new(from).split(b'\n') {
        let line = line?;
        to.write_all(&line)?;
        to.write_all(b"\n")?;
        count = count + summary(&String::from_utf8_lossy(&line)).unwrap_or_default();
    }
    Ok(count)
}

/// Reads `test result: ok. 12 passed; 0 failed; 1 ignored; …` of the harness and `skipped name: why` of the lab.
fn summary(line: &str) -> Option<Count> {
    if line.starts_with("skipped ") {
        return Some(Count { skipped: 1, ..Count::default() });
    }
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |word: &str| {
        numbers.split("; ").find_map(|part| part.strip_suffix(word)).and_then(|number| number.trim().parse().ok())
    };
    Some(Count { passed: number("passed")?, ignored: number("ignored")?, skipped: 0 })
}

/// The closing line, or why so few tests are a failure.
fn verdict(unit: Count, lab: Option<Count>, filtered: bool) -> Result<String> {
    let total = unit + lab.unwrap_or_default();
    if filtered && total.passed == 0 {
        bail!("no test has that in its name");
    }
    if !filtered && (unit.passed == 0 || lab.is_some_and(|lab| lab.passed == 0)) {
        bail!("a whole group of tests is empty ({} unit, {} lab)", unit.passed, lab.unwrap_or_default().passed);
    }
    let lab = match lab {
        Some(lab) => format!("{} lab tests", lab.passed.saturating_sub(lab.skipped)),
        None => "no lab tests (--no-lab)".to_owned(),
    };
    let mut parts = vec![format!("passed: {} unit tests", unit.passed), lab];
    for (number, what) in [(total.skipped, "skipped for the reasons above"), (total.ignored, "ignored")] {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    }
    Ok(parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn count(passed: u64, ignored: u64) -> Count {
        Count { passed, ignored, skipped: 0 }
    }

    #[test]
    fn the_harness_summary_is_read() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(summary(line), Some(count(12, 1)));
        for other in ["", "test a::b ... ok", "test result: ok", "test result: ok. many passed; 0 ignored"] {
            assert_eq!(summary(other), None, "{other:?}");
        }
    }

    #[test]
    fn tests_are_counted_over_all_programs_and_a_failure_is_one() {
        let script = "echo 'skipped a: why' >&2; echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured'; echo noise;\
                      echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured'";
        let mut passed_on = Vec::new();
        let mut errors = Vec::new();
        let counts = counted(Command::new("sh").args(["-c", script]), &mut passed_on, &mut errors).unwrap();
        assert_eq!(counts, Count { skipped: 1, ..count(5, 1) });
        assert_eq!(errors, b"skipped a: why\n");
        assert!(String::from_utf8(passed_on).unwrap().contains("\nnoise\n"));
        let failure = counted(Command::new("sh").args(["-c", "exit 101"]), io::sink(), io::sink()).unwrap_err();
        assert!(failure.to_string().contains("101"), "{failure}");
    }

    #[test]
    fn nothing_tested_is_a_failure() {
        assert!(verdict(count(0, 0), Some(count(0, 0)), true).is_err());
        assert!(verdict(count(5, 0), Some(count(0, 0)), false).is_err());
        assert!(verdict(count(0, 0), Some(count(5, 0)), false).is_err());
        assert!(verdict(count(0, 0), Some(count(1, 0)), true).is_ok());
    }

    #[test]
    fn the_closing_line_tells_what_ran_and_what_did_not() {
        let lab = Count { skipped: 2, ..count(3, 1) };
        let line = verdict(count(5, 0), Some(lab), false).unwrap();
        assert_eq!(line, "passed: 5 unit tests, 1 lab tests, 2 skipped for the reasons above, 1 ignored");
        assert_eq!(verdict(count(5, 0), Some(count(3, 0)), false).unwrap(), "passed: 5 unit tests, 3 lab tests");
        assert_eq!(verdict(count(5, 0), None, false).unwrap(), "passed: 5 unit tests, no lab tests (--no-lab)");
    }
}
