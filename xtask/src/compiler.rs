//! The compiler of the kernel programs: it must have the sources of `core`, because no toolchain ships `core` for BPF.
//!
//! Rule: the first that is usable is taken (rustup's toolchains, the active one first, then the distribution's), and every one
//! that is not says why.

use std::env;
use std::fmt;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{find, foreign, output};

/// LLVM versions that the pinned bpf-linker can be built for.
const LLVM: RangeInclusive<u32> = 21..=23;

/// A compiler that can build the kernel programs.
#[derive(Debug)]
pub(crate) struct Compiler {
    pub(crate) rustc: PathBuf,
    pub(crate) cargo: PathBuf,
    /// Major version of its LLVM, which bpf-linker must share.
    pub(crate) llvm: u32,
    /// The shared library of that LLVM: bpf-linker is linked to the very same file.
    pub(crate) llvm_library: PathBuf,
}

/// Every compiler that was looked at, and what each lacks.
pub(crate) struct Rejected(pub(crate) Vec<(String, &'static str)>);

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, reason)| writeln!(f, "  - {name}: {reason}"))
    }
}

/// The compiler to use, or why none will do.
pub(crate) fn choose() -> std::result::Result<Compiler, Rejected> {
    let mut rejected = Vec::new();
    let distribution = ("/usr/bin/rustc".to_owned(), Some(PathBuf::from("/usr/bin/rustc")));
    for (name, rustc) in rustup_toolchains().into_iter().chain([distribution]) {
        match rustc.ok_or("rustup does not find its rustc").and_then(|rustc| inspect(&rustc)) {
            Ok(compiler) => return Ok(compiler),
            Err(reason) => rejected.push((name, reason)),
        }
    }
    Err(Rejected(rejected))
}

fn rustup_toolchains() -> Vec<(String, Option<PathBuf>)> {
    let Some(rustup) = find("rustup") else { return Vec::new() };
    let list = output(foreign(&rustup).args(["toolchain", "list"])).unwrap_or_default();
    let which = |name: &str| output(foreign(&rustup).args(["which", "--toolchain", name, "rustc"]));
    let path = |name: &str| which(name).map(|path| PathBuf::from(path.trim()));
    toolchain_names(&list).into_iter().map(|name| (format!("rustup toolchain {name}"), path(name))).collect()
}

/// The names in `rustup toolchain list`, the active one first.
fn toolchain_names(list: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = list.lines().filter(|line| line.contains('-')).collect();
    lines.sort_by_key(|line| !(line.contains("(active") || line.contains("(default")));
    lines.into_iter().filter_map(|line| line.split_whitespace().next()).collect()
}

fn inspect(rustc: &Path) -> std::result::Result<Compiler, &'static str> {
    let cargo = rustc.with_file_name("cargo");
    if !rustc.is_file() || !cargo.is_file() {
        return Err("rustc and cargo are not both installed");
    }
    let sysroot = output(foreign(rustc).args(["--print", "sysroot"])).ok_or("its rustc does not start")?;
    if !Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
        return Err("the sources of core are not installed");
    }
    let version = output(foreign(rustc).arg("-vV")).ok_or("its rustc does not start")?;
    let llvm = llvm_major(&version).ok_or("its rustc names no LLVM version")?;
    if !LLVM.contains(&llvm) {
        return Err("its LLVM is not 21, 22 or 23");
    }
    let llvm_library = output(foreign(Path::new("ldd")).arg(rustc))
        .and_then(|list| llvm_library(&list))
        .ok_or("its LLVM is not a shared library, which bpf-linker needs")?;
    Ok(Compiler { rustc: rustc.to_owned(), cargo, llvm, llvm_library })
}

/// The major version in the line `LLVM version: 22.1.2` of `rustc -vV`.
fn llvm_major(version: &str) -> Option<u32> {
    version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?.split('.').next()?.trim().parse().ok()
}

/// The target that the user's own compiler builds for by default.
pub(crate) fn host() -> Result<String> {
    let version = output(Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"));
    let host =
        version.as_deref().and_then(host_line).context("`rustc -vV` does not name its host; is rustc in PATH?")?;
    Ok(host.to_owned())
}

fn host_line(version: &str) -> Option<&str> {
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::trim)
}

/// The file behind `libLLVM` in the output of `ldd`, in one spelling.
fn llvm_library(ldd: &str) -> Option<PathBuf> {
    let line = ldd.lines().map(str::trim).find(|line| line.starts_with("libLLVM"))?;
    let (_, found) = line.split_once("=> ")?;
    let (path, _address) = found.rsplit_once(" (")?;
    fs::canonicalize(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n\
                           release: 1.95.0\nLLVM version: 22.1.2\n";

    #[test]
    fn the_version_text_of_rustc_is_read() {
        assert_eq!(llvm_major(VERSION), Some(22));
        assert_eq!(llvm_major("LLVM version: 22\n"), Some(22));
        assert_eq!(host_line(VERSION), Some("x86_64-unknown-linux-gnu"));
        for broken in ["", "LLVM version: ", "LLVM version: next.1", "rustc 1.95.0"] {
            assert_eq!(llvm_major(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn the_active_toolchain_comes_first() {
        let list =
            "nightly-x86_64-unknown-linux-gnu\nstable-x86_64-unknown-linux-gnu (active, default)\n1.95.0-x86_64 \n";
        let names = ["stable-x86_64-unknown-linux-gnu", "nightly-x86_64-unknown-linux-gnu", "1.95.0-x86_64"];
        assert_eq!(toolchain_names(list), names);
        assert_eq!(toolchain_names("no installed toolchains\n"), Vec::<&str>::new());
    }

    #[test]
    fn the_llvm_that_rustc_loads_is_found() {
        let this = env::current_exe().unwrap().canonicalize().unwrap();
        let ldd = format!("\tlibc.so.6 => /lib/libc.so.6 (0x1)\n\tlibLLVM.so.22.1 => {} (0x00007f)\n", this.display());
        assert_eq!(llvm_library(&ldd), Some(this));
        assert_eq!(llvm_library("\tlibLLVM.so.22.1 => not found\n"), None);
        assert_eq!(llvm_library("\tstatically linked\n"), None);
    }

    #[test]
    fn a_compiler_that_will_not_do_says_why() {
        assert_eq!(inspect(Path::new("/nowhere/rustc")).unwrap_err(), "rustc and cargo are not both installed");
        let rejected = Rejected(vec![("/usr/bin/rustc".into(), "not here")]);
        assert_eq!(rejected.to_string(), "  - /usr/bin/rustc: not here\n");
    }
}
