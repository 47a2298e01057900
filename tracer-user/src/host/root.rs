//! Where the root of the node's file system may be.
//!
//! Rule: a path of the node is tried in all of these places; in a container, the first is the container's own.

use std::path::{Path, PathBuf};

/// Here, where `kubectl debug node/…` mounts it, or behind process 1.
const ROOTS: [&str; 3] = ["/", "/host", "/proc/1/root"];

/// The places of a file of the node; whether it is there is not looked at.
pub fn places(path: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    let path = path.as_ref().strip_prefix("/").unwrap_or(path.as_ref()).to_owned();
    ROOTS.iter().map(move |root| Path::new(root).join(&path))
}

/// Whether the node has it.
pub fn has(path: &str) -> bool {
    places(path).any(|place| place.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_node_has_three_places() {
        let found: Vec<_> = places("/run/x").map(|place| place.display().to_string()).collect();
        assert_eq!(found, ["/run/x", "/host/run/x", "/proc/1/root/run/x"]);
        assert!(has("/proc") && !has("/nonexistent"));
    }
}
