//! The lab's test programs in the form that runs without this machine's libraries.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::build;
use crate::process::{self, cargo, rendered};
use crate::workspace::Workspace;

/// Builds the test programs; gives each with its name.
pub(super) fn build(workspace: &Workspace) -> Result<Vec<(String, PathBuf)>> {
    // Optimised, because the emulator is slow enough.
    let mut build = cargo();
    build.current_dir(&workspace.root).args([
        "test",
        "--no-run",
        "--release",
        "--package",
        "tracer-tests",
        "--test",
        "*",
    ]);
    build::make_static(&mut build)?;
    process::run(&mut build)?;
    // Nothing is built a second time: it only says where everything is.
    let messages = process::output(build.arg("--message-format=json"))
        .with_context(|| format!("`{}` does not say what it built", rendered(&build)))?;
    let programs: Vec<_> = messages.lines().filter_map(program).collect();
    anyhow::ensure!(!programs.is_empty(), "the lab has no test programs");
    Ok(programs)
}

/// The test program that one of cargo's messages tells of, and its name without the hash that cargo adds.
fn program(message: &str) -> Option<(String, PathBuf)> {
    let (_, rest) = message.split_once(r#""executable":""#)?;
    let (path, _) = rest.split_once('"')?;
    let path = Path::new(path);
    let (name, _hash) = path.file_name()?.to_str()?.rsplit_once('-')?;
    Some((name.to_owned(), path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_program_is_found_in_cargos_message() {
        let message =
            r#"{"reason":"compiler-artifact","executable":"/t/debug/deps/filter_in_kernel-37ad92","fresh":true}"#;
        let expected = ("filter_in_kernel".to_owned(), PathBuf::from("/t/debug/deps/filter_in_kernel-37ad92"));
        assert_eq!(program(message), Some(expected));
        for other in [r#"{"reason":"compiler-artifact","executable":null}"#, r#"{"reason":"build-finished"}"#, ""] {
            assert_eq!(program(other), None, "{other}");
        }
    }
}
