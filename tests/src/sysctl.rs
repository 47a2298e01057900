//! Sysctls below `net.`, inside a namespace only.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::netns::NetNs;

/// Puts the old value back on drop, so that a story can undo its cause.
#[derive(Debug)]
pub struct Sysctl<'a> {
    namespace: &'a NetNs,
    path: PathBuf,
    before: String,
}

/// Sets `name` (with slashes, below `net/`: interface names may hold dots) for as long as the guard lives.
pub fn set<'a>(namespace: &'a NetNs, name: &str, value: &str) -> Result<Sysctl<'a>> {
    let path = path(name)?;
    let before = namespace.run(|| {
        let before = fs::read_to_string(&path)?;
        fs::write(&path, value)?;
        Ok(before.trim().to_owned())
    });
    let before = before.with_context(|| format!("cannot set {name} to {value} in {}", namespace.name()))?;
    Ok(Sysctl { namespace, path, before })
}

/// Sets several, for as long as the namespace lives.
pub(crate) fn set_all(namespace: &NetNs, values: &[(&str, &str)]) -> Result<()> {
    namespace.run(|| {
        for (name, value) in values {
            fs::write(path(name)?, value).with_context(|| format!("cannot set {name} to {value}"))?;
        }
        Ok(())
    })
}

/// `/proc/sys/net` shows the namespace of whoever reads it; what lies beside it belongs to the whole machine.
fn path(name: &str) -> Result<PathBuf> {
    ensure!(name.starts_with("net/") && !name.contains(".."), "{name} is not a sysctl of a network namespace");
    Ok(Path::new("/proc/sys").join(name))
}

impl Drop for Sysctl<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.namespace.run(|| Ok(fs::write(&self.path, &self.before)?)) {
            eprintln!("{} keeps its value: {error:#}", self.path.display());
        }
    }
}
