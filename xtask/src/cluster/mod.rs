//! A real Kubernetes node for `cargo xtask test --cluster`: built once from the distribution's own sources and kept.
//!
//! Rule: what is built appears under its final name when it is complete; a build that was broken off is begun again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::matrix::own_mirror;
use crate::packages;
use crate::process::run;
use crate::workspace::Workspace;

const BUILD: &str = include_str!("build.sh");
const PROGRAMS: [&str; 4] = ["kube-apiserver", "kubelet", "kube-proxy", "kube-controller-manager"];

/// The directory of the node's programs, built if they are not there.
pub(crate) fn programs(workspace: &Workspace) -> Result<PathBuf> {
    let cluster = workspace.cluster();
    let (programs, stamp) = (cluster.join("bin"), cluster.join("build.stamp"));
    packages::ensure(&packages::CLUSTER, "the cluster")?;
    let is_there = PROGRAMS.iter().all(|program| programs.join(program).is_file());
    if is_there && fs::read_to_string(&stamp).is_ok_and(|built_by| built_by == BUILD) {
        return Ok(programs);
    }
    packages::ensure(&packages::CLUSTER_BUILD, "building the cluster")?;
    eprintln!("Building kube-apiserver, kubelet, kube-proxy and kube-controller-manager (once, 5 to 10 minutes)");
    let mirror = own_mirror("Debian")
        .context("this machine's apt knows no Debian mirror: the sources are fetched from the one it uses")?;
    let work = cluster.join("work");
    let cannot = || format!("cannot write below `{}`", cluster.display());
    fs::create_dir_all(&programs).with_context(cannot)?;
    run(Command::new("bash").args(["-c", BUILD, "build.sh"]).arg(&work).arg(&mirror).env_remove("MAKEFLAGS"))
        .context("the cluster's programs were not built")?;
    for program in PROGRAMS {
        fs::rename(work.join("source/_output/bin").join(program), programs.join(program))
            .with_context(|| format!("{program} was not built"))?;
    }
    fs::remove_dir_all(&work).with_context(cannot)?;
    fs::write(&stamp, BUILD).with_context(cannot)?;
    Ok(programs)
}
