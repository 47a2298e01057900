//! Starting other programs: shown before they run, named when they fail.
//!
//! Rule: a cargo started from here sees the environment that the user gave, not what the cargo around `xtask` added.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Shows a command, runs it and makes its failure an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("  {}", rendered(command));
    let status = command.status().with_context(|| format!("cannot start `{}`", rendered(command)))?;
    if !status.success() {
        bail!("`{}` failed ({status})", rendered(command));
    }
    Ok(())
}

/// The standard output of a quiet command; nothing when it cannot start or fails.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it in a shell: its directory, the variables set for it, its words.
pub(crate) fn rendered(command: &Command) -> String {
    let elsewhere =
        command.get_current_dir().filter(|directory| env::current_dir().is_ok_and(|here| here != **directory));
    let directory = elsewhere.map(|directory| format!("cd {} &&", quoted(directory.as_os_str())));
    let variables = command.get_envs().filter_map(|(name, value)| {
        let (name, value) = (name.to_string_lossy(), value?);
        Some(if name == "PATH" { format!("PATH={}", longer_path(value)) } else { format!("{name}={}", quoted(value)) })
    });
    let words = [command.get_program()].into_iter().chain(command.get_args()).map(quoted);
    directory.into_iter().chain(variables).chain(words).collect::<Vec<_>>().join(" ")
}

/// A `PATH` that only has something before the present one is shown as such.
fn longer_path(path: &OsStr) -> String {
    let present = env::var("PATH").unwrap_or_default();
    match path.to_string_lossy().strip_suffix(&present) {
        Some(first) if !present.is_empty() => format!("{}$PATH", quoted(OsStr::new(first))),
        _ => quoted(path),
    }
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The cargo that runs `xtask`, for the crates of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()).filter(|name| added_by_cargo(name)) {
        command.env_remove(name);
    }
    command
}

/// A cargo or rustc of another toolchain: without what chooses the outer toolchain or its flags.
pub(crate) fn foreign(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        if added_by_cargo(&name) || chooses_toolchain(&name) {
            command.env_remove(name);
        }
    }
    command
}

/// Variables that cargo gives to a program it runs.
fn added_by_cargo(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
        || ["LD_LIBRARY_PATH", "RUST_RECURSION_COUNT"].contains(&name)
}

/// Variables that would bend another toolchain to this one, or give its target the flags of this one.
fn chooses_toolchain(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "CARGO",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTDOC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
        "RUSTC_WORKSPACE_WRAPPER",
    ];
    NAMES.contains(&name)
}

/// `PATH` with one directory before all others.
pub(crate) fn path_with(first: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths([first.to_owned()].into_iter().chain(env::split_paths(&path)))
        .with_context(|| format!("`{}` cannot be part of PATH; move the target directory", first.display()))
}

/// Where a program lies: in `PATH`, or where administration programs are, which an ordinary user's `PATH` leaves out.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(administration).map(|directory| directory.join(program)).find(|file| file.is_file())
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_types_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS").args(["build", "it's", "", "a=b"]);
        assert_eq!(rendered(&command), r"RUSTC_BOOTSTRAP=1 /usr/bin/cargo build 'it'\''s' '' a=b");
    }

    #[test]
    fn a_command_that_runs_elsewhere_is_shown_with_its_place() {
        let mut command = Command::new("cargo");
        command.current_dir("/").env("PATH", path_with(Path::new("/new tools/bin")).unwrap());
        assert_eq!(rendered(&command), "cd / && PATH='/new tools/bin:'$PATH cargo");
        command.current_dir(env::current_dir().unwrap()).env("PATH", "/bin");
        assert_eq!(rendered(&command), "PATH=/bin cargo");
    }

    #[test]
    fn another_toolchain_is_not_bent_but_the_users_settings_stay() {
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "LD_LIBRARY_PATH"] {
            assert!(added_by_cargo(name), "{name}");
        }
        for name in ["RUSTUP_TOOLCHAIN", "RUSTFLAGS", "RUSTC", "CARGO"] {
            assert!(chooses_toolchain(name), "{name}");
        }
        for name in ["CARGO_HOME", "RUSTUP_HOME", "CARGO_NET_OFFLINE", "CARGO_TERM_COLOR", "PATH", "HOME"] {
            assert!(!added_by_cargo(name) && !chooses_toolchain(name), "{name}");
        }
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c 'exit 3'") && error.contains("exit status: 3"), "{error}");
        assert_eq!(output(Command::new("sh").args(["-c", "echo out; exit 1"])), None);
        assert_eq!(output(Command::new("echo").arg("out")).as_deref(), Some("out\n"));
    }
}
