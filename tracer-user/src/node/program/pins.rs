//! Where programs are pinned: a walk of the BPF file systems that can be seen from here.
//!
//! Rule: nothing is followed (no links), nothing is written, and the walk ends at [`MOST`] files: what was left out is
//! said.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::bpf;

/// Where the node's BPF file system may be seen from the node itself and from a pod.
pub(super) const ROOTS: [&str; 3] = ["/sys/fs/bpf", "/host/sys/fs/bpf", "/proc/1/root/sys/fs/bpf"];
/// Files looked at. Each takes four system calls, so this is some 20 ms.
pub(super) const MOST: usize = 4096;
/// Depth of folders; Cilium's deepest is 6.
const DEEPEST: usize = 8;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pins {
    /// A program's number, and where it or a link of it is pinned.
    pub(super) found: Vec<(u32, String)>,
    /// There were more files than are looked at.
    pub(super) cut: bool,
}

/// Walks all of them.
pub(super) fn read() -> Pins {
    let mut pins = Pins::default();
    let mut left = MOST;
    let mut seen = Vec::new();
    for root in ROOTS {
        // The same file system may be seen in several ways.
        let Ok(at) = fs::metadata(root) else { continue };
        let device = std::os::unix::fs::MetadataExt::dev(&at);
        if !seen.contains(&device) {
            seen.push(device);
            walk(Path::new(root), 0, &mut left, &mut pins);
        }
    }
    pins
}

fn walk(folder: &Path, depth: usize, left: &mut usize, pins: &mut Pins) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut below = Vec::new();
    for entry in entries.flatten() {
        if *left == 0 {
            pins.cut = true;
            return;
        }
        *left -= 1;
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < DEEPEST {
            below.push(entry.path());
        } else if kind.is_file() {
            pins.found.extend(program(&entry.path()).map(|id| (id, shown(&entry.path()))));
        }
    }
    for folder in below {
        walk(&folder, depth + 1, left, pins);
    }
}

/// The number of the program that is pinned there, or whose link is; none for a map.
fn program(path: &Path) -> Option<u32> {
    let fd = bpf::pinned(path).ok()?;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    program_of(&text)
}

fn program_of(fdinfo: &str) -> Option<u32> {
    fdinfo.lines().find_map(|line| line.strip_prefix("prog_id:")).and_then(|id| id.trim().parse().ok())
}

/// The path as the node has it.
fn shown(path: &Path) -> String {
    let on_node = ["/proc/1/root", "/host"].iter().find_map(|root| path.strip_prefix(root).ok());
    on_node.map_or_else(|| path.to_path_buf(), |rest| PathBuf::from("/").join(rest)).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pinned_program_is_known_by_its_descriptor() {
        let program = "pos:\t0\nflags:\t02000002\nprog_type:\t3\nprog_tag:\ta04f5eef06a7f555\nprog_id:\t77\n";
        let map = "pos:\t0\nmap_type:\t5\nmap_id:\t3\nfrozen:\t0\n";
        assert_eq!((program_of(program), program_of(map), program_of("prog_id:\tx")), (Some(77), None, None));
    }

    #[test]
    fn paths_are_those_of_the_node() {
        assert_eq!(shown(Path::new("/proc/1/root/sys/fs/bpf/a")), "/sys/fs/bpf/a");
        assert_eq!(shown(Path::new("/host/sys/fs/bpf/a")), "/sys/fs/bpf/a");
        assert_eq!(shown(Path::new("/sys/fs/bpf/a")), "/sys/fs/bpf/a");
    }

    #[test]
    fn a_walk_is_bounded() {
        let (mut left, mut pins) = (3, Pins::default());
        walk(Path::new("/proc/self"), 0, &mut left, &mut pins);
        assert!(pins.cut && left == 0 && pins.found.is_empty());
    }
}
