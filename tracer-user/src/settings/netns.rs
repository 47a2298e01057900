//! A network namespace as it is typed.

use std::path::Path;

use super::error::{SettingsError, shortened};
use super::filter::netns_inode;
use crate::host::netns::{Netns, scan};

/// The namespace that a name, path, inode, `host` or `pid:PID` stands for; the one we are in if nothing is given.
///
/// # Errors
/// [`SettingsError::Netns`] if there is none, or nothing that we can see leads to it.
pub fn netns(text: Option<&str>) -> Result<Netns, SettingsError> {
    let given = text.unwrap_or("/proc/thread-self/ns/net");
    let unknown = || SettingsError::Netns(shortened(given));
    let inode = netns_inode(given).ok_or_else(unknown)?;
    let mut found = scan(Path::new("/proc")).map_err(|_| unknown())?;
    found.namespaces.remove(&inode).ok_or_else(unknown)
}
