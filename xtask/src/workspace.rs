//! Where things lie: the sources, and every place under the target directory that `xtask` writes to.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub(crate) struct Workspace {
    /// Directory of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target directory, wherever the user put it.
    pub(crate) target: PathBuf,
}

impl Workspace {
    pub(crate) fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in no workspace")?;
        // Cargo put this very program at <target>/<profile>/xtask.
        let program = env::current_exe().context("cannot tell where xtask itself lies")?;
        let target =
            program.ancestors().nth(2).context("xtask lies outside a target directory; start it as `cargo xtask`")?;
        Ok(Self { root: root.to_owned(), target: target.to_owned() })
    }

    /// The crate of the kernel programs, which is no member of the workspace.
    pub(crate) fn ebpf_crate(&self) -> PathBuf {
        self.root.join("tracer-ebpf")
    }

    /// Target directory of the kernel programs: another compiler writes there.
    pub(crate) fn ebpf_target(&self) -> PathBuf {
        self.target.join("ebpf")
    }

    /// The kernel programs as `tracer-user/build.rs` looks for them. The directory holds nothing else, because that script
    /// watches it.
    pub(crate) fn ebpf_object(&self) -> PathBuf {
        self.ebpf_target().join("object").join("whydrop.o")
    }

    /// Programs that `xtask` built for its own use.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Kernels, initramfs and package lists of the matrix.
    pub(crate) fn matrix(&self) -> PathBuf {
        self.target.join("matrix")
    }

    /// The programs of a Kubernetes node.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.target.join("cluster")
    }

    /// The user-space binary of a profile (`debug` or `release`).
    pub(crate) fn binary(&self, profile: &str) -> PathBuf {
        self.target.join(profile).join("whydrop")
    }
}
