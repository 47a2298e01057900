//! `cargo xtask build`: the kernel programs, then the binary that carries them.
//!
//! Rule: each kind of build has its own target directory, so alternating with plain cargo never builds anything twice. The
//! release is static: it has to start on any node and in an empty container.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::compiler::{self, Compiler};
use crate::process::{self, cargo, foreign, path_with, run};
use crate::setup;
use crate::workspace::Workspace;

pub(crate) fn build(workspace: &Workspace, release: bool, kernel_log: bool) -> Result<()> {
    let binary = if kernel_log { logging_binary(workspace)? } else { binary(workspace, release)? };
    println!("built {}", binary.display());
    Ok(())
}

/// Sets up, builds and says where the binary is.
pub(crate) fn binary(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    let compiler = setup::toolchain(workspace)?;
    kernel_programs(workspace, &compiler, &[])?;
    if release { static_binary(workspace) } else { development_binary(workspace) }
}

fn kernel_programs(workspace: &Workspace, compiler: &Compiler, more: &[&str]) -> Result<()> {
    run(for_kernel(workspace, compiler, &compiler.cargo)?.args(["build", "--release"]).args(more))
        .context("the kernel programs were not built")?;
    let built = workspace.ebpf_target().join("bpfel-unknown-none/release/whydrop");
    copy_if_changed(&built, &workspace.ebpf_object())
}

/// A program of the kernel programs' toolchain, in their crate, whose own configuration has target and flags.
pub(crate) fn for_kernel(workspace: &Workspace, compiler: &Compiler, program: &Path) -> Result<Command> {
    let mut command = foreign(program);
    command
        .current_dir(workspace.ebpf_crate())
        .env("RUSTC", &compiler.rustc)
        // A stable compiler builds `core` only when told that it is its own kind of bootstrap.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", workspace.ebpf_target())
        .env("PATH", path_with(&workspace.tools().join("bin"))?);
    Ok(command)
}

/// Plain cargo's own development build: it finds the object in its default place.
fn development_binary(workspace: &Workspace) -> Result<PathBuf> {
    run(cargo().current_dir(&workspace.root).args(["build", "--package", "tracer-user"]))?;
    Ok(workspace.binary("debug"))
}

/// A development build whose kernel programs log; the next plain build replaces them.
fn logging_binary(workspace: &Workspace) -> Result<PathBuf> {
    kernel_programs(workspace, &setup::toolchain(workspace)?, &["--features", "log"])?;
    run(cargo().current_dir(&workspace.root).args(["build", "--package", "tracer-user", "--features", "kernel-log"]))?;
    Ok(workspace.binary("debug"))
}

fn static_binary(workspace: &Workspace) -> Result<PathBuf> {
    let mut build = cargo();
    build
        .current_dir(&workspace.root)
        .args(["build", "--release", "--package", "tracer-user"])
        .env("WHYDROP_EBPF_OBJECT", workspace.ebpf_object());
    make_static(&mut build)?;
    run(&mut build)?;
    let binary = workspace.binary("release");
    copy_if_changed(&workspace.target.join(compiler::host()?).join("release/whydrop"), &binary)?;
    Ok(binary)
}

/// Makes what a cargo builds run without the libraries of this machine.
pub(crate) fn make_static(build: &mut Command) -> Result<()> {
    require_static_libc()?;
    let flags = format!("{} -C target-feature=+crt-static", env::var("RUSTFLAGS").unwrap_or_default());
    // Naming the target keeps the flags away from procedural macros, which cannot be static.
    build.args(["--target", &compiler::host()?]).env("RUSTFLAGS", flags.trim_start());
    Ok(())
}

/// The linker's own message about a missing `libc.a` helps nobody.
fn require_static_libc() -> Result<()> {
    let found = process::output(Command::new("cc").arg("-print-file-name=libc.a"));
    match found.as_deref().map(str::trim) {
        Some(path) if Path::new(path).is_absolute() => Ok(()),
        Some(_) => {
            bail!("the C library has no static form here (libc.a); install libc6-dev (Debian) or glibc-static (Fedora)")
        }
        None => bail!("there is no C compiler `cc`, which Rust links with; install gcc and libc6-dev"),
    }
}

/// Copies a file whose bytes differ, under its final name at once: a running old binary goes on undisturbed, and an unchanged
/// file keeps its time, so that nothing is built again for it.
fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let bytes =
        fs::read(from).with_context(|| format!("`{}` should have been built but cannot be read", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let copy = || -> io::Result<()> {
        let parent = to.parent().unwrap_or(Path::new("."));
        let beside = parent.with_extension("new");
        fs::create_dir_all(parent)?;
        fs::copy(from, &beside)?;
        fs::rename(&beside, to)
    };
    copy().with_context(|| format!("cannot write `{}`", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unchanged_file_is_left_alone() {
        let directory = env::temp_dir().join(format!("whydrop-copy-{}", std::process::id()));
        let (from, to) = (directory.join("from"), directory.join("deep/to"));
        fs::create_dir_all(&directory).unwrap();
        fs::write(&from, "one").unwrap();
        copy_if_changed(&from, &to).unwrap();
        let first = fs::metadata(&to).unwrap().modified().unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::metadata(&to).unwrap().modified().unwrap(), first);
        fs::write(&from, "two").unwrap();
        copy_if_changed(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        assert_eq!(fs::read_dir(directory.join("deep")).unwrap().count(), 1, "nothing is left beside the file");
        fs::remove_dir_all(&directory).unwrap();
        assert!(copy_if_changed(&from, &to).unwrap_err().to_string().contains("should have been built"));
    }
}
