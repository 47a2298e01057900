//! A virtual machine that boots one kernel and is listened to.
//!
//! Rule: it runs in software, on one processor and without devices, so that it is the same everywhere; and it ends, because
//! one that says nothing for too long is killed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::transcript::End;

/// A test that takes longer hangs, whatever the emulator adds.
const TEST_LIMIT: Duration = Duration::from_mins(5);

/// No machine is silent for this long: it tells of each test, which has two attempts.
const SILENCE: Duration = Duration::from_mins(11);

/// Enough for the image, of which the kernel keeps at most half as files, 100,000 flows and the kernel's modules.
const MEMORY: &str = "2G";

/// Boots `kernel` with `image` and passes on what it says on its second serial port; its first one goes to `console`.
pub(super) fn listen(
    kernel: &Path,
    image: &Path,
    console: &Path,
    filter: Option<&str>,
    hear: impl FnMut(&str),
) -> Result<End> {
    let mut machine = command(kernel, image, console, filter);
    hear_out(&mut machine, SILENCE, hear)
}

fn command(kernel: &Path, image: &Path, console: &Path, filter: Option<&str>) -> Command {
    let mut machine = Command::new("qemu-system-x86_64");
    machine.args(["-machine", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", MEMORY]);
    machine.args(["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]);
    machine.arg("-serial").arg(format!("file:{}", console.display())).args(["-serial", "stdio"]);
    machine.arg("-kernel").arg(kernel).arg("-initrd").arg(image);
    // What the kernel does not know it gives to the first program as variables.
    let limit = TEST_LIMIT.as_secs();
    let filter = filter.map(|filter| format!(" TEST_FILTER={filter}")).unwrap_or_default();
    machine.arg("-append").arg(format!(
        "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable rdinit=/init TEST_LIMIT={limit}{filter}"
    ));
    machine
}

/// Starts a program and passes its lines on until it ends or says nothing for `silence`, which ends it.
fn hear_out(program: &mut Command, silence: Duration, mut hear: impl FnMut(&str)) -> Result<End> {
    let child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot start `{}`", program.get_program().display()))?;
    let stdout = BufReader::new(child.stdout.take().context("the machine has no output")?);
    let (sender, lines) = channel();
    let reader = thread::spawn(move || {
        for line in stdout.split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned()).is_err() {
                return;
            }
        }
    });
    let end = loop {
        match lines.recv_timeout(silence) {
            Ok(line) => hear(&line),
            Err(RecvTimeoutError::Disconnected) => break End::Off,
            Err(RecvTimeoutError::Timeout) => break End::Silent(silence),
        }
    };
    if end != End::Off {
        child.kill().context("a silent machine cannot be killed")?;
    }
    let status = child.wait()?;
    let _panicked = reader.join();
    anyhow::ensure!(status.success() || end != End::Off, "the emulator ended with {status}; see above");
    Ok(end)
}

/// What the kernel printed.
pub(super) fn console(file: &Path) -> String {
    fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(script: &str, silence: Duration) -> (Result<End>, Vec<String>) {
        let mut lines = Vec::new();
        let end = hear_out(Command::new("sh").args(["-c", script]), silence, |line| lines.push(line.to_owned()));
        (end, lines)
    }

    #[test]
    fn lines_are_passed_on_without_what_a_terminal_adds() {
        let (end, lines) = heard(r"printf 'up 6.1\r\ndone\n'", Duration::from_secs(20));
        assert_eq!(end.unwrap(), End::Off);
        assert_eq!(lines, ["up 6.1", "done"]);
    }

    #[test]
    fn a_silent_machine_is_ended() {
        // Long enough for a shell to start on a busy machine.
        let silence = Duration::from_secs(3);
        let (end, lines) = heard("echo up; exec sleep 600", silence);
        assert_eq!(end.unwrap(), End::Silent(silence));
        assert_eq!(lines, ["up"]);
    }

    #[test]
    fn an_emulator_that_fails_is_an_error() {
        assert!(heard("exit 3", Duration::from_secs(20)).0.is_err());
        assert!(hear_out(&mut Command::new("/no/such/emulator"), Duration::from_secs(1), |_| ()).is_err());
    }

    #[test]
    fn the_filter_reaches_the_first_program() {
        let path = Path::new("x");
        let shown = format!("{:?}", command(path, path, path, Some("netfilter")));
        assert!(shown.contains(" TEST_FILTER=netfilter\"") && shown.contains("TEST_LIMIT=300 "), "{shown}");
        assert!(!format!("{:?}", command(path, path, path, None)).contains("TEST_FILTER"));
    }
}
