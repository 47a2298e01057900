//! Finds the object of the kernel programs for the loader to embed.
//!
//! Rule: user space always compiles. Without an object an empty one is embedded, which the loader reports, so that `cargo check`
//! and the unit tests need no BPF compiler.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Path of the object, given by whoever builds a binary that must have one.
const GIVEN: &str = "WHYDROP_EBPF_OBJECT";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={GIVEN}");
    println!("cargo::rerun-if-env-changed=CARGO_TARGET_DIR");
    println!("cargo::rerun-if-changed=build.rs");
    let object = match env::var_os(GIVEN) {
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            fs::read(&path)
                .map_err(|error| format!("{GIVEN} names `{}`, which cannot be read: {error}", path.display()))?
        }
        None => fs::read(default_place()?.join("whydrop.o")).unwrap_or_default(),
    };
    let copy = PathBuf::from(variable("OUT_DIR")?).join("whydrop.o");
    fs::write(&copy, object)?;
    println!("cargo::rustc-env=WHYDROP_OBJECT={}", copy.display());
    Ok(())
}

/// The directory that `cargo xtask build` writes the object to. Cargo watches the directory, not the file: it takes a watched
/// file that is absent for a change, and would compile the crate every time.
fn default_place() -> Result<PathBuf, Box<dyn Error>> {
    let manifest = variable("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&manifest).parent().ok_or("tracer-user lies in no workspace")?;
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    let directory = target.join("ebpf").join("object");
    if fs::create_dir_all(&directory).is_ok() {
        println!("cargo::rerun-if-changed={}", directory.display());
    }
    Ok(directory)
}

fn variable(name: &str) -> Result<std::ffi::OsString, String> {
    env::var_os(name).ok_or_else(|| format!("cargo does not set {name}"))
}
