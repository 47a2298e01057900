//! Whether the programs of a process's cgroup are frozen: `docker pause`, a checkpoint, `systemctl freeze`.
//!
//! Rule: a path of another cgroup namespace (`/..`) is not followed, so what can't be told is "no".

use std::fs;
use std::path::{Path, PathBuf};

use crate::node::program::cgroup_mounts;

/// Where cgroup v1 has its freezer by custom.
const FREEZER: &str = "/sys/fs/cgroup/freezer";
/// Bytes of `/proc/PID/cgroup` that are looked at.
const MOST: usize = 16 * 1024;

/// Reads it.
pub(super) fn is_frozen(pid: u32) -> bool {
    let mut text = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    text.truncate(MOST);
    let text = String::from_utf8_lossy(&text);
    of(&text, &cgroup_mounts(), Path::new(FREEZER))
}

fn of(text: &str, unified: &[PathBuf], freezer: &Path) -> bool {
    text.lines().any(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { return false };
        let Some(path) = path.strip_prefix('/').filter(|path| !path.split('/').any(|part| part == "..")) else {
            return false;
        };
        let has = |root: &Path, file: &str, line: &str| {
            let text = fs::read_to_string(root.join(path).join(file));
            text.is_ok_and(|text| text.lines().any(|own| own == line))
        };
        match controllers {
            "" => unified.iter().any(|root| has(root, "cgroup.events", "frozen 1")),
            all if all.split(',').any(|name| name == "freezer") => has(freezer, "freezer.state", "FROZEN"),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_and_strange_paths_are_not_followed() {
        let root = std::env::temp_dir().join(format!("whydrop-frozen-{}", std::process::id()));
        for (folder, file, text) in [
            ("two/a", "cgroup.events", "populated 1\nfrozen 1\n"),
            ("two/b", "cgroup.events", "populated 1\nfrozen 0\n"),
            ("one/a", "freezer.state", "FROZEN\n"),
            ("one/b", "freezer.state", "THAWED\n"),
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
            fs::write(root.join(folder).join(file), text).unwrap();
        }
        let frozen = |text: &str| of(text, &[root.join("two")], &root.join("one"));
        assert!(frozen("0::/a\n") && frozen("7:cpu:/x\n4:freezer:/a\n0::/b\n"));
        for text in ["", "0::", "0::/b", "4:freezer:/b", "4:cpu:/a", "0::/../two/a", "x", "0::/nosuch"] {
            assert!(!frozen(text), "{text}");
        }
        assert!(!is_frozen(std::process::id()), "we run");
        fs::remove_dir_all(root).unwrap();
    }
}
