//! The programs of a socket's cgroup: its own and those of the cgroups above it.
//!
//! Rule: a cgroup is found by the number that the event carries, which is the inode of its directory; walks are bounded
//! by [`MOST`] and their results kept for a while.

use std::fs::{self, File};
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::bpf;
use crate::host::error::Errno;

/// Directories looked at: a node of 250 pods has about 2000.
const MOST: usize = 20_000;
/// Cgroups with programs that are told where the socket's own is not known.
const MOST_FOUND: usize = 16;

/// A program of a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) program: u32,
    /// The directory of the cgroup that it is attached to, as the node has it; empty if that is not known.
    pub(super) path: String,
}

/// Where cgroup v2 is mounted: in this mount namespace, or as process 1 has it.
pub(crate) fn mounts() -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let first = fs::read_to_string("/proc/1/mounts").unwrap_or_default();
    let mut roots = mounted(&own, "");
    roots.extend(mounted(&first, "/proc/1/root"));
    // The same tree may be seen in several ways.
    let mut seen = Vec::new();
    roots.retain(|root| {
        let Ok(at) = fs::metadata(root) else { return false };
        let new = !seen.contains(&(at.dev(), at.ino()));
        seen.push((at.dev(), at.ino()));
        new
    });
    roots
}

fn mounted(mounts: &str, below: &str) -> Vec<PathBuf> {
    let of = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (path, kind) = (words.next()?, words.next()?);
        // Paths with octal escapes are nobody's choice for this.
        (kind == "cgroup2" && !path.contains('\\')).then(|| PathBuf::from(format!("{below}{path}")))
    };
    mounts.lines().filter_map(of).take(8).collect()
}

/// The directory of a cgroup, and the mount that it is below.
pub(super) fn find(id: u64) -> Option<(PathBuf, PathBuf)> {
    mounts().into_iter().find_map(|root| {
        let mut left = MOST;
        let at = fs::metadata(&root).ok()?;
        let found = if at.ino() == id { Some(root.clone()) } else { below(&root, id, &mut left) };
        found.map(|directory| (directory, root))
    })
}

fn below(folder: &Path, id: u64, left: &mut usize) -> Option<PathBuf> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).ok()?.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
    {
        *left = left.checked_sub(1)?;
        if entry.ino() == id {
            return Some(entry.path());
        }
        folders.push(entry.path());
    }
    folders.iter().find_map(|folder| below(folder, id, left))
}

/// What runs for a socket of this cgroup, in the order in which it runs, each with where it is attached.
pub(super) fn effective(directory: &Path, root: &Path, attach_type: u32) -> Result<Vec<Attached>, Errno> {
    let own = open(directory)?;
    let all = bpf::of_cgroup(&own, attach_type, bpf::EFFECTIVE)?;
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut levels = Vec::new();
    for level in directory.ancestors().take_while(|level| level.starts_with(root)) {
        let of_level = open(level).and_then(|level| bpf::of_cgroup(&level, attach_type, 0)).unwrap_or_default();
        levels.push((level, of_level));
    }
    let place = |program: u32| levels.iter().find(|(_, programs)| programs.contains(&program));
    let path = |program| place(program).map(|(level, _)| shown(level)).unwrap_or_default();
    Ok(all.into_iter().map(|program| Attached { program, path: path(program) }).collect())
}

/// All cgroups with such programs, where the socket's own is not known.
pub(super) fn everywhere(attach_type: u32) -> Result<Vec<Attached>, Errno> {
    let mut found = Vec::new();
    for root in mounts().into_iter().take(1) {
        let mut left = MOST;
        let mut folders = vec![root];
        while let Some(folder) = folders.pop() {
            let programs = open(&folder).and_then(|folder| bpf::of_cgroup(&folder, attach_type, 0));
            match programs {
                Ok(programs) => {
                    found.extend(programs.into_iter().map(|program| Attached { program, path: shown(&folder) }));
                }
                // A cgroup that went away meanwhile is normal.
                Err(Errno(libc::ENOENT | libc::ENODEV)) => continue,
                Err(errno) => return Err(errno),
            }
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                if left == 0 || found.len() >= MOST_FOUND {
                    return Ok(found);
                }
                left -= 1;
                folders.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn open(directory: &Path) -> Result<File, Errno> {
    File::open(directory).map_err(|error| Errno::of(&error))
}

/// The path as the node has it.
pub(super) fn shown(path: &Path) -> String {
    let on_node = ["/proc/1/root", "/host"].iter().find_map(|root| path.strip_prefix(root).ok());
    on_node.map_or_else(|| path.to_path_buf(), |rest| PathBuf::from("/").join(rest)).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_two_is_found_beside_version_one() {
        let hybrid = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\ncgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n\
                      cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\nbroken\n\ncgroup2 /a\\040b cgroup2 rw 0 0\n";
        assert_eq!(mounted(hybrid, "/proc/1/root"), [PathBuf::from("/proc/1/root/sys/fs/cgroup/unified")]);
        assert!(mounted("", "").is_empty());
    }

    #[test]
    fn a_directory_is_found_by_its_number() {
        let Some(root) = mounts().into_iter().next() else { return };
        let id = fs::metadata(&root).unwrap().ino();
        assert_eq!(find(id), Some((root.clone(), root.clone())));
        assert_eq!(find(u64::MAX), None);
        if let Some(entry) = fs::read_dir(&root).unwrap().flatten().find(|entry| entry.path().is_dir()) {
            assert_eq!(find(entry.ino()).unwrap().0, entry.path());
        }
    }
}
