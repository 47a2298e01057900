//! The files that set kernel settings at boot, of the host even if we are in a container on it.
//!
//! Rules: of two files with one name the one in the earlier directory of [`DIRECTORIES`] counts, and files are taken in
//! the order of their names (sysctl.d(5)). Only plain files are read, and no more than [`MOST_FILES`] of [`MOST_BYTES`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::assignment::{Assignments, SetBy};
use crate::host::netns::shares_host_pids;

const DIRECTORIES: [&str; 5] =
    ["etc/sysctl.d", "run/sysctl.d", "usr/local/lib/sysctl.d", "usr/lib/sysctl.d", "lib/sysctl.d"];
/// Read last by procps; systemd reads it only if a link in a directory leads there.
const LAST: &str = "etc/sysctl.conf";
/// Exists where systemd is the init (sd_booted(3)).
const SYSTEMD: &str = "run/systemd/system";
const MOST_FILES: usize = 256;
/// Of one file.
const MOST_BYTES: u64 = 256 * 1024;
/// Links from one to the next.
const MOST_LINKS: usize = 8;

/// The line of the host's files that sets a name (with slashes) at boot; `None` if there is none or it can't be read.
///
/// It is about the initial network namespace: others begin with the kernel's own values, or with a copy of `all` and
/// `default` (`net.core.devconf_inherit_init_net`).
pub fn set_by(name: &str) -> Option<SetBy> {
    roots(Path::new("/proc")).iter().find(|root| root.join("etc").is_dir()).and_then(|root| read(root).winner(name))
}

/// Where the host's files may be, the surest first.
fn roots(proc: &Path) -> Vec<PathBuf> {
    let mounts = |process: &str| fs::read_link(proc.join(process).join("ns/mnt")).ok();
    // kubectl debug node mounts the host's files here.
    let mounted = Path::new("/host");
    let mounted = mounted.join("etc/sysctl.d").is_dir().then(|| mounted.to_owned());
    if shares_host_pids(proc) {
        // Where process 1 is guarded, `kthreadd` has its mount namespace.
        let first = mounts("1").or_else(|| mounts("2"));
        return match first {
            Some(first) if Some(&first) == mounts("self").as_ref() => vec![PathBuf::from("/")],
            Some(_) => [proc.join("1/root")].into_iter().chain(mounted).collect(),
            None => mounted.into_iter().collect(),
        };
    }
    // A container's own files set nothing, unless it is a whole node with an init.
    let own = Path::new("/").join(SYSTEMD).is_dir().then(|| PathBuf::from("/"));
    mounted.into_iter().chain(own).collect()
}

fn read(root: &Path) -> Assignments {
    let mut files: BTreeMap<OsString, PathBuf> = BTreeMap::new();
    for directory in DIRECTORIES {
        let Ok(entries) = fs::read_dir(root.join(directory)) else { continue };
        for entry in entries.map_while(Result::ok).take(MOST_FILES) {
            let name = entry.file_name();
            if Path::new(&name).extension().is_some_and(|extension| extension == "conf") {
                files.entry(name).or_insert_with_key(|name| Path::new(directory).join(name));
            }
        }
    }
    let mut all = Assignments::default();
    let mut has_last = root.join(SYSTEMD).is_dir();
    let last = fs::metadata(root.join(LAST)).ok().map(|file| (file.dev(), file.ino()));
    for path in files.into_values().take(MOST_FILES) {
        let Some((file, id)) = open(root, &path) else { continue };
        has_last |= Some(id) == last;
        add(&mut all, &path, file);
    }
    if !has_last && let Some((file, _)) = open(root, Path::new(LAST)) {
        add(&mut all, Path::new(LAST), file);
    }
    all
}

fn add(all: &mut Assignments, path: &Path, file: File) {
    let mut bytes = Vec::new();
    if file.take(MOST_BYTES).read_to_end(&mut bytes).is_ok() {
        all.add(Path::new("/").join(path), &String::from_utf8_lossy(&bytes));
    }
}

/// A plain file below `root`, with its device and inode. A link is followed as a process with that root would; one to
/// /dev/null takes the name without setting anything.
fn open(root: &Path, path: &Path) -> Option<(File, (u64, u64))> {
    let mut at = root.join(path);
    for _ in 0..MOST_LINKS {
        let found = fs::symlink_metadata(&at).ok()?;
        if found.is_file() {
            return Some((File::open(&at).ok()?, (found.dev(), found.ino())));
        }
        let target = found.is_symlink().then(|| fs::read_link(&at).ok())??;
        at = match target.strip_prefix("/") {
            Ok(inside) => root.join(inside),
            Err(_) => at.parent()?.join(target),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const ALL: &str = "net/ipv4/conf/all/rp_filter";

    /// A root of its own, gone at the end.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("whydrop-sysctl-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }

        fn value(&self) -> Option<(String, String)> {
            read(&self.0).winner(ALL).map(|set| (set.path.display().to_string(), set.value))
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn set(path: &str, value: &str) -> Option<(String, String)> {
        Some((path.to_owned(), value.to_owned()))
    }

    #[test]
    fn files_are_taken_by_name_and_an_earlier_directory_hides_a_later_one() {
        let root = Root::new("order");
        root.write("usr/lib/sysctl.d/50-default.conf", "net.ipv4.conf.all.rp_filter = 2");
        root.write("etc/sysctl.d/10-first.conf", "net.ipv4.conf.all.rp_filter = 1");
        root.write("etc/sysctl.d/99-not-read", "net.ipv4.conf.all.rp_filter = 9");
        assert_eq!(root.value(), set("/usr/lib/sysctl.d/50-default.conf", "2"));
        root.write("run/sysctl.d/50-default.conf", "net.ipv4.conf.all.rp_filter = 3");
        assert_eq!(root.value(), set("/run/sysctl.d/50-default.conf", "3"));
        symlink("/dev/null", root.0.join("etc/sysctl.d/50-default.conf")).unwrap();
        assert_eq!(root.value(), set("/etc/sysctl.d/10-first.conf", "1"), "masked");
    }

    #[test]
    fn sysctl_conf_comes_last_or_where_a_link_puts_it() {
        let root = Root::new("last");
        root.write("etc/sysctl.d/99-zz.conf", "net.ipv4.conf.all.rp_filter = 1");
        root.write("etc/sysctl.conf", "net.ipv4.conf.all.rp_filter = 2");
        assert_eq!(root.value(), set("/etc/sysctl.conf", "2"));
        fs::create_dir_all(root.0.join("run/systemd/system")).unwrap();
        assert_eq!(root.value(), set("/etc/sysctl.d/99-zz.conf", "1"), "systemd does not read it");
        fs::remove_dir(root.0.join("run/systemd/system")).unwrap();
        symlink("../sysctl.conf", root.0.join("etc/sysctl.d/99-sysctl.conf")).unwrap();
        assert_eq!(root.value(), set("/etc/sysctl.d/99-zz.conf", "1"), "read before, by its link");
    }

    #[test]
    fn links_stay_below_the_root_and_only_plain_files_are_read() {
        let root = Root::new("links");
        root.write("opt/x.conf", "net.ipv4.conf.all.rp_filter = 1");
        fs::create_dir_all(root.0.join("etc/sysctl.d/70-directory.conf")).unwrap();
        symlink("/opt/x.conf", root.0.join("etc/sysctl.d/50-x.conf")).unwrap();
        symlink("60-circle.conf", root.0.join("etc/sysctl.d/60-circle.conf")).unwrap();
        assert_eq!(root.value(), set("/etc/sysctl.d/50-x.conf", "1"));
    }

    #[test]
    fn without_files_nothing_sets_it() {
        assert_eq!(Root::new("none").value(), None);
        // Whatever this machine has: it is read.
        let _ = set_by(ALL);
    }
}
