//! `cargo xtask matrix`: the lab under packaged kernels in a virtual machine, so that no offset, argument position or reason
//! number is the development machine's own.
//!
//! Rule: the same tests as everywhere. Where a kernel lacks what one needs, the test says so and the table shows it; what is
//! not right or degraded with a reason is a failure.

mod apt;
mod image;
mod kernel;
mod lab;
mod machine;
mod table;
mod transcript;

use std::fs;
use std::io::{self, Write as _};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::build;
use crate::packages;
use crate::process::rendered;
use crate::workspace::Workspace;

use apt::Apt;
pub(crate) use apt::own_mirror;
use image::Contents;
use kernel::Kernel;
pub(crate) use kernel::Line;
use table::Column;
use transcript::Transcript;

pub(crate) fn matrix(workspace: &Workspace, lines: &[Line], filter: Option<&str>) -> Result<()> {
    ensure!(cfg!(target_arch = "x86_64"), "the matrix has kernels for x86-64 only so far");
    ensure!(filter.is_none_or(|filter| !filter.contains(char::is_whitespace)), "a test has no space in its name");
    let start = Instant::now();
    packages::ensure(&packages::LAB, "the network lab")?;
    packages::ensure(&packages::MATRIX, "the kernel matrix")?;
    let directory = workspace.matrix();
    let kernels = kernels(&directory, lines)?;
    let (binary, tests) = (build::binary(workspace, true)?, lab::build(workspace)?);
    let contents = Contents { binary, tests, workspace: workspace.root.clone() };
    let columns = boot_all(&kernels, &directory, &contents, filter)?;
    print!("\n{}", table::render(&columns));
    let (failures, seconds) = (table::failures(&columns), start.elapsed().as_secs());
    ensure!(failures == 0, "{failures} scenarios failed; what the kernels printed is in {}", directory.display());
    println!("\npassed: {} in {seconds} s", releases(&columns));
    Ok(())
}

fn releases(columns: &[Column]) -> String {
    columns.iter().filter_map(|column| column.transcript.release.as_deref()).collect::<Vec<_>>().join(", ")
}

/// The newest kernel of each line, unpacked; a line that is gone is left out and said so.
fn kernels(directory: &Path, lines: &[Line]) -> Result<Vec<Kernel>> {
    let apt = Apt::open(&directory.join("apt"))?;
    let offered = apt.kernels()?;
    let mut kernels: Vec<Kernel> = Vec::new();
    for &line in lines {
        let Some(release) = kernel::newest(line, &offered) else {
            println!("skipped {line}: no Debian release has cloud kernels of this line any more");
            continue;
        };
        let tree = kernel::tree(directory, &release);
        if !tree.is_dir() {
            let parts = kernel::packages(&release);
            let parts: Vec<_> =
                parts.iter().map(String::as_str).filter(|part| offered.split(' ').any(|name| name == *part)).collect();
            apt.unpack(&parts, &tree)?;
        }
        kernels.push(Kernel { line, release, tree });
    }
    if kernels.is_empty() {
        bail!("there is no kernel to boot");
    }
    Ok(kernels)
}

/// As many machines at a time as there are processors, for each has one.
fn boot_all(kernels: &[Kernel], directory: &Path, contents: &Contents, filter: Option<&str>) -> Result<Vec<Column>> {
    let waiting = Mutex::new(kernels.iter().enumerate());
    let machines = thread::available_parallelism().map_or(1, NonZero::get).min(kernels.len());
    let work = || {
        let mut columns = Vec::new();
        while let Some((place, kernel)) = waiting.lock().ok().and_then(|mut waiting| waiting.next()) {
            let column = boot(kernel, directory, contents, filter);
            columns.push((place, column.with_context(|| format!("{} was not booted", kernel.release))?));
        }
        Ok(columns)
    };
    let columns: Result<Vec<Vec<_>>> = thread::scope(|scope| {
        let machines: Vec<_> = (0..machines).map(|_| scope.spawn(work)).collect();
        machines
            .into_iter()
            .map(|machine| machine.join().unwrap_or_else(|_| bail!("a machine's thread panicked")))
            .collect()
    });
    let mut columns: Vec<_> = columns?.into_iter().flatten().collect();
    columns.sort_by_key(|(place, _)| *place);
    Ok(columns.into_iter().map(|(_, column)| column).collect())
}

fn boot(kernel: &Kernel, directory: &Path, contents: &Contents, filter: Option<&str>) -> Result<Column> {
    let run = directory.join(kernel.line.to_string());
    let file = |name: &str| -> PathBuf { run.join(name) };
    image::build(kernel, contents, &file("root"), &file("initramfs"))?;
    println!("{} boots", kernel.release);
    let mut transcript = Transcript::default();
    let console = file("console.log");
    // What has been said stays when the matrix is interrupted.
    let mut log = fs::File::create(file("transcript.log"))?;
    let end = machine::listen(&kernel.image(), &file("initramfs"), &console, filter, |line| {
        let _unwritten = writeln!(log, "{line}");
        if let Some(scenario) = transcript.take(line) {
            println!("{:>5} {:>8}  {}", kernel.line.to_string(), table::word(Some(&scenario.outcome)), scenario.name);
        }
    })?;
    transcript.close(end, &machine::console(&console));
    Ok(Column { line: kernel.line, transcript })
}

/// A directory with nothing in it, whatever was there.
fn empty(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(directory),
    }
}

/// Runs a small step without showing it, unless it fails.
fn quiet(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start `{}`", rendered(command)))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed ({}): {}", rendered(command), output.status, errors.trim());
    Ok(())
}
