//! `cargo xtask lint`: format, clippy on both sides, licences and sources of dependencies, file lengths.
//!
//! Rule: a check that could not be made is named in the closing line, never passed over.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::build;
use crate::compiler::Compiler;
use crate::packages;
use crate::process::{cargo, find, run};
use crate::setup;
use crate::workspace::Workspace;

/// A file that is longer has more than one subject.
const LINES: usize = 400;

pub(crate) fn lint(workspace: &Workspace) -> Result<()> {
    let root = || {
        let mut cargo = cargo();
        cargo.current_dir(&workspace.root);
        cargo
    };
    run(root().args(["fmt", "--all", "--check"]))?;
    run(root().args(["fmt", "--manifest-path", "tracer-ebpf/Cargo.toml", "--check"]))?;
    short_files(&workspace.root)?;
    run(root().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    let skipped: Vec<_> = [kernel_programs(workspace)?, dependencies(workspace)?].into_iter().flatten().collect();
    let not_checked = if skipped.is_empty() { String::new() } else { format!("; not checked: {}", skipped.join(", ")) };
    println!("passed: lint{not_checked}");
    Ok(())
}

/// Clippy of the compiler that builds the kernel programs. Gives what was not checked.
fn kernel_programs(workspace: &Workspace) -> Result<Option<&'static str>> {
    let compiler = setup::toolchain(workspace)?;
    let Some(clippy) = its_clippy(&compiler) else {
        return Ok(Some("kernel programs (their compiler has no clippy)"));
    };
    // Started directly: `cargo clippy` would take whichever clippy comes first in PATH, which is rustup's.
    run(build::for_kernel(workspace, &compiler, &clippy)?.env("CARGO", &compiler.cargo).args([
        "clippy",
        "--release",
        "--",
        "-D",
        "warnings",
    ]))?;
    Ok(None)
}

fn its_clippy(compiler: &Compiler) -> Option<PathBuf> {
    let clippy = compiler.rustc.with_file_name("cargo-clippy");
    if !clippy.is_file() && clippy.starts_with("/usr") && packages::can_install() {
        // It comes from the same source package as the compiler, so where both exist they fit.
        if let Err(error) = packages::install(&["rust-web-clippy"]) {
            eprintln!("warning: {error:#}");
        }
    }
    clippy.is_file().then_some(clippy)
}

/// Licences, duplicates and sources by `deny.toml`. Gives what was not checked.
fn dependencies(workspace: &Workspace) -> Result<Option<&'static str>> {
    let Some(deny) = find("cargo-deny") else {
        return Ok(Some("dependencies (cargo-deny is not installed)"));
    };
    for crate_file in ["Cargo.toml", "tracer-ebpf/Cargo.toml"] {
        run(Command::new(&deny)
            .current_dir(&workspace.root)
            .args(["--config", "deny.toml", "--manifest-path", crate_file, "check", "--hide-inclusion-graph"])
            // The advisories need a download; they are no property of this source.
            .args(["bans", "licenses", "sources"]))?;
    }
    Ok(None)
}

fn short_files(root: &Path) -> Result<()> {
    let mut long = Vec::new();
    for file in rust_files(root)? {
        let lines =
            fs::read_to_string(&file).with_context(|| format!("cannot read `{}`", file.display()))?.lines().count();
        if lines > LINES {
            long.push(format!("\n  {} ({lines} lines)", file.display()));
        }
    }
    if !long.is_empty() {
        bail!("split the files that have more than {LINES} lines:{}", long.concat());
    }
    Ok(())
}

/// Every Rust file of the project, in a checkout or in a plain copy of it.
fn rust_files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list `{}`", directory.display()))? {
        let entry = entry?;
        let (path, kind, name) = (entry.path(), entry.file_type()?, entry.file_name());
        if kind.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
            files.extend(rust_files(&path)?);
        } else if kind.is_file() && path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_found_and_build_output_is_not_looked_at() {
        let root = std::env::temp_dir().join(format!("whydrop-lint-{}", std::process::id()));
        for folder in ["src", "target", ".hidden"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let long = "//\n".repeat(LINES + 1);
        fs::write(root.join("target/long.rs"), &long).unwrap();
        fs::write(root.join(".hidden/long.rs"), &long).unwrap();
        fs::write(root.join("src/long.txt"), &long).unwrap();
        fs::write(root.join("src/fits.rs"), "//\n".repeat(LINES)).unwrap();
        short_files(&root).unwrap();
        fs::write(root.join("src/long.rs"), &long).unwrap();
        let error = short_files(&root).unwrap_err().to_string();
        assert!(error.contains("src/long.rs (401 lines)") && !error.contains("fits"), "{error}");
        fs::remove_dir_all(&root).unwrap();
    }
}
