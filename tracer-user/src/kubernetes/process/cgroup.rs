//! The cgroups of containers, by the names of their directories.
//!
//! Rule: a container's cgroup is the one that its id names, whatever the cgroup driver and the parents are; walks are bounded.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::DirEntryExt as _;
use std::path::PathBuf;

use crate::node::program::cgroup::mounts;
use crate::node::socket::cgroup::container;

/// Directories looked at: a node of 250 pods has about 2000.
const MOST: usize = 65_536;

/// The cgroup v2 ids of these containers, as far as there are cgroups of these names; none where only v1 is mounted.
pub(crate) fn of_containers(wanted: &HashSet<&str>) -> HashMap<String, u64> {
    let mut found = HashMap::new();
    for root in mounts() {
        walk(root, wanted, &mut found);
        if found.len() == wanted.len() {
            break;
        }
    }
    found
}

fn walk(root: PathBuf, wanted: &HashSet<&str>, found: &mut HashMap<String, u64>) {
    let (mut folders, mut looked) = (vec![root], 0);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            looked += 1;
            if looked > MOST || found.len() == wanted.len() {
                return;
            }
            let name = entry.file_name();
            match name.to_str().and_then(container).filter(|id| wanted.contains(&**id)) {
                // What is below it is the container's own.
                Some(id) => {
                    found.entry(id).or_insert(entry.ino());
                }
                None => folders.push(entry.path()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_container_is_found_by_the_name_of_its_cgroup() {
        let root = std::env::temp_dir().join(format!("wd-cgroups-{}", std::process::id()));
        let (id, other) = ("4f".repeat(32), "a0".repeat(32));
        let scope = root.join(format!("kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"));
        fs::create_dir_all(scope.join("init")).unwrap();
        fs::create_dir_all(root.join(format!("testbed/{other}"))).unwrap();
        let mut found = HashMap::new();
        walk(root.clone(), &HashSet::from([&*id, &*"b1".repeat(32)]), &mut found);
        let inode = fs::metadata(&scope).unwrap().ino();
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(found, HashMap::from([(id, inode)]), "only what was asked for");
        assert!(of_containers(&HashSet::from([&*other])).is_empty());
    }
}
