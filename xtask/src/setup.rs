//! `cargo xtask setup`: a compiler for the kernel programs, its linker, and on request the programs of the lab.
//!
//! Rule: look first, install only what is missing, and where that is not possible end with the commands to type.

use anyhow::{Result, bail};

use crate::compiler::{self, Compiler, Rejected};
use crate::linker;
use crate::packages;
use crate::process::{find, foreign, run};
use crate::workspace::Workspace;

pub(crate) fn setup(workspace: &Workspace, lab: bool) -> Result<()> {
    if lab {
        packages::ensure(&packages::LAB, "the network lab")?;
    }
    let compiler = toolchain(workspace)?;
    println!("ready: kernel programs are built with {} (LLVM {})", compiler.rustc.display(), compiler.llvm);
    Ok(())
}

/// The compiler and linker of the kernel programs, set up when they are missing.
pub(crate) fn toolchain(workspace: &Workspace) -> Result<Compiler> {
    let compiler = compiler::choose().or_else(install_compiler)?;
    linker::ensure(workspace, &compiler)?;
    Ok(compiler)
}

/// Tries the sources of rustup's default toolchain, then the distribution's compilers.
fn install_compiler(mut rejected: Rejected) -> Result<Compiler> {
    if let Some(rustup) = find("rustup") {
        let added = run(foreign(&rustup).args(["component", "add", "rust-src"]));
        if let Some(compiler) = usable_after(added, &mut rejected) {
            return Ok(compiler);
        }
    }
    for packages in packages::COMPILERS.iter().filter(|_| packages::can_install()) {
        if let Some(compiler) = usable_after(packages::install(packages), &mut rejected) {
            return Ok(compiler);
        }
    }
    bail!("{}", refusal(&rejected))
}

/// A way that failed is shown and left behind: the next may work.
fn usable_after(installed: Result<()>, rejected: &mut Rejected) -> Option<Compiler> {
    if let Err(error) = installed {
        eprintln!("warning: {error:#}");
        return None;
    }
    compiler::choose().map_err(|still| *rejected = still).ok()
}

fn refusal(rejected: &Rejected) -> String {
    let packages = packages::advice(&packages::COMPILERS[0]);
    format!(
        "there is no compiler for the kernel programs:\n{rejected}Install one with either of\n  \
         rustup component add rust-src\n  {packages}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_was_tried_and_what_to_type() {
        let text =
            refusal(&Rejected(vec![("rustup toolchain stable".into(), "the sources of core are not installed")]));
        assert!(text.contains("rustup toolchain stable: the sources of core are not installed"), "{text}");
        assert!(
            text.contains("rustup component add rust-src") && text.contains("rustc-web cargo-web rust-web-src"),
            "{text}"
        );
    }
}
