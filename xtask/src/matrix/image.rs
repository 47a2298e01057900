//! The initramfs that a kernel is booted with: its networking modules, the programs of the lab with their libraries, the
//! binary under test and the test programs.
//!
//! Rule: it holds what the lab needs and nothing of the machine that it was made on but programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::kernel::Kernel;
use super::{empty, quiet};
use crate::packages;
use crate::process::{self, find, run};

const INIT: &str = include_str!("init.sh");

/// What the lab runs beyond its table of packages. Everything else is busybox.
const PROGRAMS: [&str; 14] = [
    "busybox",
    "bash",
    "bridge",
    "sh",
    "modprobe",
    "prlimit",
    "script",
    "setpriv",
    "ss",
    "iptables-nft",
    "iptables-legacy",
    "ip6tables-nft",
    "ip6tables-legacy",
    "ip6tables",
];

/// Directories of modules that a network is made of.
const MODULES: [&str; 5] = ["arch", "crypto", "drivers/net", "lib", "net"];

/// Directories that programs expect.
const DIRECTORIES: [&str; 13] = [
    "dev",
    "etc",
    "lab",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/local/bin",
    "usr/sbin",
];

/// What is the same for all kernels.
pub(super) struct Contents {
    /// The binary under test, static.
    pub(super) binary: PathBuf,
    /// The test programs, static, by their names.
    pub(super) tests: Vec<(String, PathBuf)>,
    /// The workspace, whose pages and schemas some tests read.
    pub(super) workspace: PathBuf,
}

/// Writes the initramfs of a kernel to `image`, by way of `root`.
pub(super) fn build(kernel: &Kernel, contents: &Contents, root: &Path, image: &Path) -> Result<()> {
    skeleton(root).with_context(|| format!("cannot lay out `{}`", root.display()))?;
    for program in PROGRAMS.into_iter().chain(packages::programs(&packages::LAB)) {
        add_program(root, program)?;
    }
    copy(&contents.binary, &root.join("usr/bin/whydrop"))?;
    for (name, program) in &contents.tests {
        copy(program, &root.join("lab").join(name))?;
    }
    let workspace = root.join(contents.workspace.strip_prefix("/").unwrap_or(&contents.workspace));
    copy_tree(&contents.workspace.join("docs"), &workspace)?;
    // They name the pages from their own crate on.
    fs::create_dir_all(workspace.join("tests"))?;
    add_modules(root, kernel)?;
    pack(root, image)
}

fn skeleton(root: &Path) -> std::io::Result<()> {
    empty(root)?;
    for directory in DIRECTORIES {
        fs::create_dir_all(root.join(directory))?;
    }
    for merged in ["bin", "lib", "lib64", "sbin"] {
        symlink(Path::new("usr").join(merged), root.join(merged))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")?;
    fs::write(root.join("init"), INIT)?;
    fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))
}

/// Copies a program under its own name, whatever that leads to here, and the libraries that it is linked with.
fn add_program(root: &Path, name: &str) -> Result<()> {
    let program = find(name).with_context(|| format!("there is no program `{name}` here, which the lab uses"))?;
    copy(&program, &within(root, &program)?)?;
    let libraries = process::output(Command::new("ldd").arg(&program)).unwrap_or_default();
    for library in libraries.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
        let place = within(root, library)?;
        if !place.exists() {
            copy(library, &place)?;
        }
        // iptables looks for its extensions beside this library.
        let extensions = library.with_file_name("xtables");
        if library.to_string_lossy().contains("/libxtables.so") && extensions.is_dir() {
            copy_tree(&extensions, within(root, &extensions)?.parent().unwrap_or(root))?;
        }
    }
    Ok(())
}

/// The same place inside the image, where `/bin`, `/lib` and the like are names for what is below `/usr`.
fn within(root: &Path, path: &Path) -> Result<PathBuf> {
    let directory = path.parent().and_then(|directory| directory.canonicalize().ok());
    let (directory, name) =
        directory.zip(path.file_name()).with_context(|| format!("`{}` is no file", path.display()))?;
    Ok(root.join(directory.strip_prefix("/").unwrap_or(&directory)).join(name))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = fs::create_dir_all(to.parent().unwrap_or(to)).and_then(|()| fs::copy(from, to));
    copied.map(drop).with_context(|| format!("cannot copy `{}` to `{}`", from.display(), to.display()))
}

fn copy_tree(from: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into).with_context(|| format!("cannot make `{}`", into.display()))?;
    quiet(Command::new("cp").arg("--archive").arg("--").args([from, into]))
}

fn add_modules(root: &Path, kernel: &Kernel) -> Result<()> {
    let from = kernel.modules();
    let to = root.join("usr/lib/modules").join(&kernel.release);
    for directory in MODULES.map(|directory| Path::new("kernel").join(directory)) {
        copy_tree(&from.join(&directory), to.join(&directory).parent().unwrap_or(&to))?;
    }
    for list in
        ["modules.builtin", "modules.builtin.modinfo", "modules.order"].map(|name| (from.join(name), to.join(name)))
    {
        if list.0.is_file() {
            copy(&list.0, &list.1)?;
        }
    }
    if kernel.config().is_file() {
        copy(&kernel.config(), &root.join("boot").join(format!("config-{}", kernel.release)))?;
    }
    quiet(Command::new("depmod").arg("--basedir").args([root]).arg(&kernel.release))
}

/// Not compressed: unpacking it in the emulator would take longer than reading it.
fn pack(root: &Path, image: &Path) -> Result<()> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg("find . -print0 | cpio --null --create --format=newc --owner=0:0 --quiet >\"$0\"").arg(image);
    run(shell.current_dir(root))
}
