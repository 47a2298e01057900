//! The programs that have a tun or tap device open: VPNs and virtual machines.
//!
//! Rule: the search through `/proc` ends after a fixed time and number of programs, and says that it did.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::host::netns::link;
use crate::node::Scene;
use crate::node::recent::Recent;

/// How long the search may take.
const PATIENCE: Duration = Duration::from_millis(150);
/// Programs that are named.
const MOST: usize = 8;

/// Who has it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    pub programs: Vec<Holder>,
    /// The search was given up, or something could not be looked into: there may be more.
    pub partial: bool,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    pub comm: String,
    /// It runs in the namespace of the device. Devices of two namespaces may have one name, so others are a guess.
    pub is_there: bool,
}

/// What was found, by namespace and name.
#[derive(Debug, Default)]
pub(in crate::node) struct Memory(Recent<(u32, String), Holders>);

impl Memory {
    pub(super) fn find(&mut self, scene: &mut Scene<'_>, name: &str) -> Option<Holders> {
        let netns = scene.question.netns.inode;
        scene.recent(&mut self.0, "who has the device open", (netns, name.to_owned()), |_| find(name, netns))
    }
}

/// Finds the programs with a device of this name; those in its namespace alone, if there are any.
fn find(name: &str, netns: u32) -> Holders {
    let deadline = Instant::now() + PATIENCE;
    let mut holders = search(Path::new("/proc"), name, netns, deadline);
    if holders.programs.iter().any(|holder| holder.is_there) {
        holders.programs.retain(|holder| holder.is_there);
    }
    holders
}

fn search(proc: &Path, name: &str, netns: u32, deadline: Instant) -> Holders {
    let mut holders = Holders::default();
    let Ok(entries) = fs::read_dir(proc) else { return Holders { partial: true, ..holders } };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids {
        if Instant::now() > deadline || holders.programs.len() >= MOST {
            return Holders { partial: true, ..holders };
        }
        let directory = proc.join(pid.to_string());
        match has_open(&directory, name, deadline) {
            Some(true) => holders.programs.push(Holder {
                pid,
                comm: fs::read_to_string(directory.join("comm")).unwrap_or_default().trim_end().to_owned(),
                is_there: link(&directory.join("ns/net")).ok().flatten() == Some(netns),
            }),
            Some(false) => {}
            None => holders.partial = true,
        }
    }
    holders
}

/// Whether a process has the device open; `None` if its descriptors may not be seen, or the time was up.
fn has_open(process: &Path, name: &str, deadline: Instant) -> Option<bool> {
    let descriptors = match fs::read_dir(process.join("fd")) {
        Ok(descriptors) => descriptors,
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return None,
        // It has ended.
        Err(_) => return Some(false),
    };
    for descriptor in descriptors.flatten() {
        if Instant::now() > deadline {
            return None;
        }
        if fs::read_link(descriptor.path()).is_ok_and(|target| target == Path::new("/dev/net/tun")) {
            let about = fs::read_to_string(process.join("fdinfo").join(descriptor.file_name())).unwrap_or_default();
            if device(&about) == Some(name) {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// The device that a descriptor of `/dev/net/tun` is for (`tun_chr_show_fdinfo`, drivers/net/tun.c).
fn device(about: &str) -> Option<&str> {
    about.lines().find_map(|line| line.strip_prefix("iff:")).map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_of_a_descriptor() {
        assert_eq!(device("pos:\t0\nflags:\t02\nmnt_id:\t21\niff:\ttun0\n"), Some("tun0"));
        assert_eq!((device("pos:\t0\niff:\t\n"), device("")), (None, None));
    }

    #[test]
    fn nobody_has_a_device_that_is_not_there() {
        let holders = find("no such device", 0);
        assert!(holders.programs.is_empty());
        let given_up = search(Path::new("/proc"), "tun0", 0, Instant::now().checked_sub(PATIENCE).unwrap());
        assert!(given_up.partial);
    }
}
