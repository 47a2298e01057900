//! `cargo xtask setup`: a compiler for the kernel programs, its linker, and on request the programs of the lab.
//!
//! Rule: look first, install only what is missing, and where that is not possible end with the commands to type.

use std::fmt::Write as _;

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
    let compiler = match compiler::choose() {
        Ok(compiler) => compiler,
        Err(rejected) => install_compiler(&rejected)?,
    };
    linker::ensure(workspace, &compiler)?;
    Ok(compiler)
}

fn install_compiler(rejected: &Rejected) -> Result<Compiler> {
    eprintln!("Installing a compiler for the kernel programs; what is here will not do:\n{rejected}");
    if let Some(rustup) = find("rustup") {
        match run(foreign(&rustup).args(["component", "add", "rust-src"])).map(|()| compiler::choose()) {
            Ok(Ok(compiler)) => return Ok(compiler),
            Ok(Err(_)) => {}
            Err(error) => eprintln!("warning: {error:#}"),
        }
    }
    for packages in packages::COMPILERS.iter().filter(|_| packages::can_install()) {
        match packages::install(packages).map(|()| compiler::choose()) {
            Ok(Ok(compiler)) => return Ok(compiler),
            Ok(Err(_)) => {}
            Err(error) => eprintln!("warning: {error:#}"),
        }
    }
    bail!("{}", refusal(&compiler::choose().err().unwrap_or(Rejected(Vec::new()))))
}

fn refusal(rejected: &Rejected) -> String {
    let mut text = format!("there is no compiler for the kernel programs:\n{rejected}Install one with either of\n");
    let _ = writeln!(text, "  rustup toolchain install stable && rustup component add rust-src");
    for packages in packages::COMPILERS {
        let _ = writeln!(text, "  {}", packages::advice(&packages));
    }
    text
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
