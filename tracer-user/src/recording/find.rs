//! Finds the recordings of running whydrop processes.

use std::fs;
use std::path::{Path, PathBuf};

use super::RecordingError;
use super::write::NAME;
use crate::host::error::Errno;

/// The recording of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub pid: u32,
    /// Its files, to be read as they are.
    pub files: Vec<PathBuf>,
}

/// All recordings below `proc` (`/proc`).
///
/// # Errors
/// [`RecordingError`] if there is none, and why that may be.
pub fn find(proc: &Path) -> Result<Vec<Found>, RecordingError> {
    let entries = fs::read_dir(proc)
        .map_err(|error| RecordingError::NoProc { path: proc.display().to_string(), errno: Errno::of(&error) })?;
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let (mut found, mut refused) = (Vec::new(), 0);
    for pid in pids {
        let directory = proc.join(pid.to_string());
        if fs::read(directory.join("comm")).is_ok_and(|comm| comm == b"whydrop\n") {
            match files(&directory) {
                Ok(files) if !files.is_empty() => found.push(Found { pid, files }),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => refused += 1,
                // Another command, or ended meanwhile.
                _ => {}
            }
        }
    }
    match (found.is_empty(), refused) {
        (false, _) => Ok(found),
        (true, 0) => Err(RecordingError::NotRunning),
        (true, refused) => Err(RecordingError::Refused { refused }),
    }
}

fn files(process: &Path) -> std::io::Result<Vec<PathBuf>> {
    let name = format!("/memfd:{NAME}");
    let is_ours = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(name.as_bytes()))
    };
    let all = fs::read_dir(process.join("fd"))?;
    Ok(all.filter_map(|entry| Some(entry.ok()?.path())).filter(is_ours).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_there_is_said() {
        let directory = std::env::temp_dir().join(format!("whydrop-find-{}", std::process::id()));
        fs::create_dir_all(directory.join("12/fd")).unwrap();
        fs::write(directory.join("12/comm"), "whydrop\n").unwrap();
        std::os::unix::fs::symlink("/memfd:else (deleted)", directory.join("12/fd/3")).unwrap();
        assert_eq!(find(&directory), Err(RecordingError::NotRunning));
        std::os::unix::fs::symlink(format!("/memfd:{NAME} (deleted)"), directory.join("12/fd/4")).unwrap();
        assert_eq!(find(&directory), Ok(vec![Found { pid: 12, files: vec![directory.join("12/fd/4")] }]));
        fs::remove_dir_all(&directory).unwrap();
        assert!(matches!(find(&directory), Err(RecordingError::NoProc { .. })));
    }
}
