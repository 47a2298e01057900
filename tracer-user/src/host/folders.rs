//! The folders in which tools name network namespaces: `ip netns`, container runtimes and CNI, Docker.
//!
//! Rule: only when they last changed is read, which costs nothing, so that a new pod is found soon without reading all
//! of `/proc` for it.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Below the root of the host, or of our own mount namespace.
const FOLDERS: [&str; 2] = ["run/netns", "run/docker/netns"];
/// A name is made before the namespace is mounted on it: what was new so shortly before a scan is looked for again.
const SETTLED: Duration = Duration::from_secs(1);

/// Whether there may be names that a scan at `scanned` did not see; `proc` is where procfs is mounted.
pub(super) fn changed(proc: &Path, scanned: SystemTime) -> bool {
    let paths = ["self/root", "1/root"].into_iter().flat_map(|root| FOLDERS.map(|folder| proc.join(root).join(folder)));
    let seen = scanned.checked_sub(SETTLED).unwrap_or(scanned);
    paths.filter_map(|path| fs::metadata(path).ok()?.modified().ok()).any(|modified| modified > seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_name_is_seen_and_an_old_one_is_not_looked_for_again() {
        let proc = std::env::temp_dir().join(format!("whydrop-folders-{}", std::process::id()));
        let folder = proc.join("1/root/run/netns");
        fs::create_dir_all(&folder).unwrap();
        let made = fs::metadata(&folder).unwrap().modified().unwrap();
        let answers = [0, 500, 5000].map(|later| changed(&proc, made + Duration::from_millis(later)));
        assert_eq!(answers, [true, true, false]);
        assert!(!changed(Path::new("/nonexistent"), SystemTime::UNIX_EPOCH));
        fs::remove_dir_all(proc).unwrap();
    }
}
