//! Does what an explanation says is to be done, so that a test can show that it helps.
//!
//! Rule: only a command that enters one of the lab's own namespaces is run.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::event::{Event, key};
use crate::netns::NetNs;

/// Runs the first remedy that contains `part`, pasted into a shell as it stands, which must enter `namespace`; gives the
/// command.
pub fn apply(event: &Event, part: &str, namespace: &NetNs) -> Result<String> {
    let remedies = event.texts(key::REMEDY);
    let command = remedies.iter().find(|remedy| remedy.contains(part));
    let command = *command.with_context(|| format!("no remedy has {part}: {remedies:?}"))?;
    let entry = format!("nsenter --net={} ", namespace.path().display());
    let rest = command.strip_prefix(&entry).with_context(|| format!("{command} does not enter {}", namespace.name()))?;
    ensure!(!rest.contains([';', '&', '|', '>', '<', '`', '\n']), "more than one command: {command}");
    let output = Command::new("sh").args(["-c", command]).output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command} failed: {}", errors.trim());
    Ok(command.to_owned())
}
