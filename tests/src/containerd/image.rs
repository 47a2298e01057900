//! An image without a registry: a static busybox, as `docker save` would write it.
//!
//! Format: Docker Image Specification v1.2, which containerd imports.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Writes an image of this name whose process sleeps.
pub(super) fn write(path: &Path, busybox: &Path, name: &str) -> Result<()> {
    let program = fs::read(busybox).with_context(|| format!("no {}; install busybox-static", busybox.display()))?;
    let mut layer = Builder::new(Vec::new());
    for folder in ["bin/", "etc/", "tmp/", "proc/", "sys/", "dev/"] {
        add(&mut layer, folder, EntryType::Directory, &[])?;
    }
    add(&mut layer, "bin/sleep", EntryType::Regular, &program)?;
    let layer = layer.into_inner()?;
    let digest = hex(&layer);
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": machine, "os": "linux", "created": "1970-01-01T00:00:00Z",
        "config": { "Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep", "2147483647"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
        "history": [{ "created": "1970-01-01T00:00:00Z" }],
    });
    let config = config.to_string();
    let (config_name, layer_name) = (format!("{}.json", hex(config.as_bytes())), format!("{digest}/layer.tar"));
    let manifest = json!([{ "Config": config_name, "RepoTags": [name], "Layers": [layer_name] }]).to_string();
    let mut image = Builder::new(fs::File::create(path)?);
    add(&mut image, &config_name, EntryType::Regular, config.as_bytes())?;
    add(&mut image, &layer_name, EntryType::Regular, &layer)?;
    add(&mut image, "manifest.json", EntryType::Regular, manifest.as_bytes())?;
    image.into_inner()?;
    Ok(())
}

fn add(archive: &mut Builder<impl std::io::Write>, name: &str, kind: EntryType, content: &[u8]) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    Ok(archive.append_data(&mut header, name, content)?)
}

fn hex(content: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(content).iter().fold(String::new(), |mut text, byte| {
        let _never_fails = write!(text, "{byte:02x}");
        text
    })
}
