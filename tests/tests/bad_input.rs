//! Whatever is wrong, it is said in a sentence, the exit status shows it, and nothing was attached.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tracer_tests::{patience, tracer};

/// Longer than any sentence.
const LONGEST: usize = 1000;

/// Runs it to its end, which must come before the deadline.
fn run(command: &mut Command) -> Result<Output> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + patience();
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            child.kill()?;
            anyhow::bail!("it does not end: {:?}", child.wait_with_output()?);
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(child.wait_with_output()?)
}

/// Fails with this status, says all of `words` in few words, and prints nothing else.
fn refuses(command: &mut Command, status: i32, words: &[&str]) -> Result<()> {
    let output = run(command)?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(status), "{} instead of {status}: {said}", output.status);
    ensure!(output.stdout.is_empty(), "printed {}", String::from_utf8_lossy(&output.stdout));
    ensure!(said.len() < LONGEST && !said.contains("panicked"), "no sentence: {said}");
    for word in words {
        ensure!(said.contains(word), "it does not say {word}: {said}");
    }
    Ok(())
}

fn watch(arguments: &[&str]) -> Result<Command> {
    let mut command = tracer::command(["watch"])?;
    command.args(arguments);
    Ok(command)
}

#[test]
fn a_value_that_means_nothing() -> Result<()> {
    for (arguments, status) in [
        (["--reason", "NO_SUCH_REASON"], 2),
        (["--netns", "no-such-namespace"], 2),
        (["--netns", "0"], 2),
        (["--netns", "/no/such/file"], 2),
        (["--iface", "a-name-longer-than-fifteen"], 2),
        (["--proto", "carrier-pigeon"], 2),
        (["--host", "10.0.0.0/33"], 2),
        (["--host", "example.org"], 2),
        (["--port", "65536"], 2),
        (["--port", "http"], 2),
        (["--interval", "1ms"], 2),
        (["--duration", "soon"], 2),
        (["--count", "0"], 2),
        (["--no-such-flag", "x"], 2),
        (["-o", "xml"], 2),
    ] {
        let offender = if arguments[0] == "--no-such-flag" { arguments[0] } else { arguments[1] };
        refuses(&mut watch(&arguments)?, status, &[offender])?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_no_namespace() -> Result<()> {
    refuses(&mut watch(&["--netns", "/etc/passwd"])?, 2, &["/etc/passwd"])
}

#[test]
fn a_reason_that_is_nearly_right() -> Result<()> {
    refuses(&mut watch(&["--reason", "netfilter"])?, 2, &["NETFILTER_DROP"])
}

#[test]
fn four_mebibytes_of_filters() -> Result<()> {
    let mut command = watch(&[])?;
    // Each argument may have 128 KiB, all together a quarter of the stack's limit.
    let ports = vec!["65535"; 20_000].join(",");
    for _ in 0..35 {
        command.arg("--port").arg(&ports);
    }
    // SAFETY: `setrlimit` is a bare system call, safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 64 << 20, rlim_max: libc::RLIM_INFINITY };
            match libc::setrlimit(libc::RLIMIT_STACK, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    refuses(&mut command, 2, &["700000"])
}

#[test]
fn one_value_of_a_hundred_kibibytes() -> Result<()> {
    for flag in ["--reason", "--netns", "--host", "--iface", "--port"] {
        let output = run(&mut watch(&[flag, &"x".repeat(100_000)])?)?;
        ensure!(matches!(output.status.code(), Some(1 | 2)), "{flag}: {}", output.status);
        ensure!(output.stderr.len() < LONGEST, "{flag}: {} bytes of complaint", output.stderr.len());
    }
    Ok(())
}

/// The binary under `setpriv`, which takes something away first.
fn without(privileges: &[&str]) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(privileges).arg(tracer::binary()?).args(["watch", "--duration", "1s"]);
    Ok(command)
}

#[test]
fn root_without_capabilities() -> Result<()> {
    refuses(&mut without(&["--bounding-set=-all", "--inh-caps=-all"])?, 1, &["CAP_BPF"])
}

#[test]
fn not_root() -> Result<()> {
    // A copy in a place that everyone can reach: the build folder may be anyone's.
    let copy = std::env::temp_dir().join(format!("wd-{}-whydrop", std::process::id()));
    std::fs::copy(tracer::binary()?, &copy)?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy).args(["watch", "--duration", "1s"]);
    let refused = refuses(&mut command, 1, &["root"]);
    std::fs::remove_file(&copy)?;
    refused
}

#[test]
fn no_description_of_the_kernels_types() -> Result<()> {
    // An empty folder hides it, in a mount namespace of this command's own.
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" watch --duration 1s";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(tracer::binary()?);
    refuses(&mut command, 1, &["BTF"])
}

#[test]
fn no_memory_may_be_locked() -> Result<()> {
    // Since 5.11 the limit is not asked for.
    let mut command = Command::new("prlimit");
    command.arg("--memlock=0:0").arg(tracer::binary()?).args(["watch", "-o", "json", "--netns", "1"]);
    let output = run(command.args(["--duration", "200ms"]))?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn nowhere_to_print() -> Result<()> {
    for output in ["text", "json"] {
        let full = std::fs::File::options().write(true).open("/dev/full")?;
        let mut command = watch(&["-o", output, "--netns", "1", "--duration", "300ms"])?;
        let child = command.stdout(full).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
        let said = String::from_utf8_lossy(&child.stderr);
        ensure!(child.status.code() == Some(1), "{output}: {} and said {said}", child.status);
        ensure!(said.contains("No space left") && !said.contains("panicked"), "{output}: {said}");
    }
    Ok(())
}

#[test]
fn every_stream_closed() -> Result<()> {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" watch --netns 1 --duration 300ms <&- >&- 2>&-"]).arg(tracer::binary()?);
    let output = run(&mut shell)?;
    ensure!(matches!(output.status.code(), Some(0 | 1)), "{}", output.status);
    Ok(())
}
