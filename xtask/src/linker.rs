//! bpf-linker, built once and kept under `target/tools`.
//!
//! Rule: it is linked to the LLVM library that the compiler itself loads, so the two can never disagree about bitcode and no
//! LLVM package is needed. A stamp says what it was built for; another compiler or version builds it again.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

use crate::compiler::Compiler;
use crate::process;
use crate::workspace::Workspace;

const VERSION: &str = "0.13.0";

/// Makes sure that `target/tools/bin/bpf-linker` fits the compiler.
pub(crate) fn ensure(workspace: &Workspace, compiler: &Compiler) -> Result<()> {
    let tools = workspace.tools();
    let stamp = tools.join("bpf-linker.stamp");
    let wanted = stamp_text(compiler, &tools);
    if tools.join("bin/bpf-linker").is_file() && fs::read_to_string(&stamp).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    eprintln!("Building bpf-linker {VERSION} for LLVM {} (once, a minute or two)", compiler.llvm);
    let llvm = tools.join("llvm");
    link_llvm(&llvm.join("lib"), &compiler.llvm_library)
        .with_context(|| format!("cannot write below `{}`; check its owner and free space", tools.display()))?;
    remove(&stamp)?;
    process::run(
        process::cargo()
            .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force", "--quiet"])
            .args(["--no-default-features", "--features", &format!("llvm-{}", compiler.llvm), "--root"])
            .arg(&tools)
            .env("LLVM_PREFIX", &llvm)
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env_remove("RUSTFLAGS"),
    )
    .context("bpf-linker, which links the kernel programs, was not built (it comes from crates.io, so this needs network access)")?;
    // Cargo does not notice another linker, so what the last one linked has to go.
    remove(&workspace.ebpf_target().join("bpfel-unknown-none"))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write `{}`", stamp.display()))
}

/// Everything that the built linker depends on. Its own place is part of it: the path of the library is compiled in.
fn stamp_text(compiler: &Compiler, tools: &Path) -> String {
    format!(
        "bpf-linker {VERSION}\nllvm {} {}\nat {}\n",
        compiler.llvm,
        compiler.llvm_library.display(),
        tools.display()
    )
}

/// An LLVM prefix as the build script of bpf-linker wants it: `lib/libLLVM.so`, and the library's own name for run time.
fn link_llvm(directory: &Path, library: &Path) -> io::Result<()> {
    if directory.exists() {
        fs::remove_dir_all(directory)?;
    }
    fs::create_dir_all(directory)?;
    symlink(library, directory.join("libLLVM.so"))?;
    library.file_name().map_or(Ok(()), |name| symlink(library, directory.join(name)))
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove `{}`", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiler(llvm: u32, library: &str) -> Compiler {
        Compiler { rustc: "/usr/bin/rustc".into(), cargo: "/usr/bin/cargo".into(), llvm, llvm_library: library.into() }
    }

    #[test]
    fn another_llvm_or_place_changes_the_stamp() {
        let here = stamp_text(&compiler(22, "/lib/libLLVM.so.22.1"), Path::new("/t"));
        assert_eq!(here, stamp_text(&compiler(22, "/lib/libLLVM.so.22.1"), Path::new("/t")));
        assert_ne!(here, stamp_text(&compiler(23, "/lib/libLLVM.so.22.1"), Path::new("/t")));
        assert_ne!(here, stamp_text(&compiler(22, "/lib/libLLVM.so.22.2"), Path::new("/t")));
        assert_ne!(here, stamp_text(&compiler(22, "/lib/libLLVM.so.22.1"), Path::new("/u")));
        assert!(here.contains(VERSION));
    }

    #[test]
    fn the_llvm_prefix_is_made_anew() {
        let directory = std::env::temp_dir().join(format!("whydrop-xtask-{}", std::process::id()));
        for name in ["libLLVM.so.21.1", "libLLVM.so.22.1"] {
            link_llvm(&directory, &Path::new("/nowhere").join(name)).unwrap();
        }
        let names: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(fs::read_link(directory.join("libLLVM.so")).unwrap(), Path::new("/nowhere/libLLVM.so.22.1"));
        assert_eq!(names.len(), 2, "{names:?}");
        remove(&directory).unwrap();
        remove(&directory).unwrap();
    }
}
