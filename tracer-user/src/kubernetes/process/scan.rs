//! Which pods have processes here.
//!
//! Rule: a process counts by its cgroup, which it can't choose; a pod's network namespace is that of most of its processes, for one
//! may have entered another.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use crate::host::netns;
use crate::node::socket::cgroup::{Place, place};

/// Pods, and processes, that are looked at.
const MOST_PODS: usize = 4096;
const MOST_PROCESSES: usize = 100_000;
/// Bytes of `/proc/PID/cgroup` that are read; a line a hierarchy.
const MOST_CGROUP: u64 = 16 * 1024;

/// A pod's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// One that is in the pod's network namespace.
    pub(super) pid: u32,
    pub(super) netns: Option<u32>,
    /// Processes of each container, by its id.
    pub(super) containers: HashMap<String, u32>,
}

/// By uid.
pub(super) fn pods(proc: &Path) -> HashMap<String, Found> {
    let Ok(entries) = fs::read_dir(proc) else { return HashMap::new() };
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut pods: HashMap<String, Found> = HashMap::new();
    let mut votes: HashMap<(String, u32), (u32, u32)> = HashMap::new();
    for pid in processes.take(MOST_PROCESSES) {
        let directory = proc.join(u32::to_string(&pid));
        let Some(Place { pod: Some(uid), container, .. }) = placed(&directory) else { continue };
        if pods.len() >= MOST_PODS && !pods.contains_key(&uid) {
            continue;
        }
        if let Ok(Some(netns)) = netns::link(&directory.join("ns/net")) {
            let (count, first) = votes.entry((uid.clone(), netns)).or_insert((0, pid));
            *count += 1;
            *first = pid.min(*first);
        }
        let found = pods.entry(uid).or_default();
        if let Some(container) = container {
            *found.containers.entry(container).or_default() += 1;
        }
    }
    let mut votes: Vec<_> = votes.into_iter().collect();
    // The most processes; of as many, the one that was there first.
    votes.sort_unstable_by_key(|(_, (count, first))| (std::cmp::Reverse(*count), *first));
    for ((uid, netns), (_, pid)) in votes {
        if let Some(found) = pods.get_mut(&uid).filter(|found| found.netns.is_none()) {
            (found.netns, found.pid) = (Some(netns), pid);
        }
    }
    pods
}

fn placed(directory: &Path) -> Option<Place> {
    let mut text = Vec::new();
    fs::File::open(directory.join("cgroup")).ok()?.take(MOST_CGROUP).read_to_end(&mut text).ok()?;
    Some(place(&String::from_utf8_lossy(&text)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    use super::*;

    struct FakeProc(PathBuf);

    impl FakeProc {
        fn process(&self, pid: u32, netns: u32, cgroup: &str) {
            let ns = self.0.join(pid.to_string()).join("ns");
            fs::create_dir_all(&ns).unwrap();
            symlink(format!("net:[{netns}]"), ns.join("net")).unwrap();
            fs::write(ns.with_file_name("cgroup"), format!("0::{cgroup}\n")).unwrap();
        }
    }

    impl Drop for FakeProc {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_pod_is_where_most_of_its_processes_are() {
        let proc = FakeProc(std::env::temp_dir().join(format!("wd-pods-{}", std::process::id())));
        let uid = "1c2d3e4f-0a1b-4c2d-9e3f-405162738495";
        let (pause, app) = ("4f".repeat(32), "a0".repeat(32));
        let at = |id: &str| format!("/kubepods/burstable/pod{uid}/{id}");
        proc.process(7, 300, &at(&pause));
        proc.process(5, 100, &at(&app));
        proc.process(8, 300, &at(&app));
        proc.process(9, 400, "/system.slice/nginx.service");
        fs::create_dir_all(proc.0.join("11")).unwrap();
        let found = pods(&proc.0);
        assert_eq!(found.len(), 1);
        let containers = HashMap::from([(pause, 1), (app, 2)]);
        assert_eq!(found[uid], Found { pid: 7, netns: Some(300), containers });
        assert!(pods(Path::new("/nonexistent")).is_empty());
    }
}
