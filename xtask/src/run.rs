//! `cargo xtask run`: set up, build and become whydrop.
//!
//! Rule: whydrop replaces this process, so that its exit status and Ctrl-C are its own.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::build;
use crate::process::{is_root, rendered};
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    let binary = build::binary(workspace, true)?;
    if !is_root() {
        let mut sudo = Command::new("sudo");
        sudo.arg(&binary).args(arguments);
        eprintln!("note: whydrop needs root for most of what it does: {}", rendered(&sudo));
    }
    let mut whydrop = Command::new(&binary);
    whydrop.args(arguments).env_remove("LD_LIBRARY_PATH");
    Err(whydrop.exec()).with_context(|| format!("cannot start `{}`", binary.display()))
}
