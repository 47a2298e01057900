//! Manifests in files and folders.
//!
//! Rule: every file is read or told; nothing is followed out of the folder.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tracer_policy::read::{self, Object};

use super::PolicyError;

/// Bytes of one file: `kubectl get pods -A -o yaml` of a large cluster has tens of MiB.
const MOST_BYTES: u64 = 256 << 20;
/// Files of all folders together.
const MOST_FILES: usize = 10_000;
/// Folders in folders.
const MOST_DEPTH: usize = 16;

/// All objects of a file, of a folder with all below it, or (`-`) of standard input.
pub(super) fn objects(path: &Path) -> Result<Vec<Object>, PolicyError> {
    if path == Path::new("-") {
        return parsed("standard input", &text("standard input", io::stdin().lock())?);
    }
    if !path.is_dir() {
        return of_file(path);
    }
    let mut files = Vec::new();
    gather(path, 0, &mut files)?;
    if files.is_empty() {
        return Err(PolicyError::NoManifest { path: path.display().to_string() });
    }
    files.sort();
    let mut objects = Vec::new();
    for file in files {
        objects.extend(of_file(&file)?);
    }
    Ok(objects)
}

fn gather(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), PolicyError> {
    let failed = |problem: String| PolicyError::File { path: folder.display().to_string(), problem };
    if depth > MOST_DEPTH {
        return Err(failed(format!("more than {MOST_DEPTH} folders in one another")));
    }
    for entry in fs::read_dir(folder).map_err(|error| failed(error.to_string()))? {
        let entry = entry.map_err(|error| failed(error.to_string()))?;
        let path = entry.path();
        // Links may lead anywhere, or in a circle.
        let kind = entry.file_type().map_err(|error| failed(error.to_string()))?;
        if kind.is_dir() {
            gather(&path, depth + 1, files)?;
        } else if path.is_file() && is_manifest(&path) {
            files.push(path);
        }
        if files.len() > MOST_FILES {
            return Err(failed(format!("more than {MOST_FILES} manifests")));
        }
    }
    Ok(())
}

fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

fn of_file(path: &Path) -> Result<Vec<Object>, PolicyError> {
    let name = path.display().to_string();
    let file =
        fs::File::open(path).map_err(|error| PolicyError::File { path: name.clone(), problem: error.to_string() })?;
    parsed(&name, &text(&name, file)?)
}

fn text(name: &str, from: impl Read) -> Result<String, PolicyError> {
    let failed = |problem: String| PolicyError::File { path: name.to_owned(), problem };
    let mut text = String::new();
    let read = from.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(error.to_string()))?;
    if read as u64 > MOST_BYTES {
        return Err(failed(format!("larger than {} MiB", MOST_BYTES >> 20)));
    }
    Ok(text)
}

fn parsed(name: &str, text: &str) -> Result<Vec<Object>, PolicyError> {
    Ok(read::file(name, text)?)
}
