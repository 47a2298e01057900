//! A whole Kubernetes node in a network namespace of its own, with an outside world: the programs that `cargo xtask test --cluster`
//! has built (`WHYDROP_CLUSTER`).
//!
//! Rule: the node ends with its guard, and with the test's process if that is killed; it takes half a minute to start, so one test
//! program has one.

mod api;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::netns::NetNs;
use crate::require::skip;
pub use api::Api;

const NODE: &str = include_str!("node.sh");
/// Where the programs are.
const PROGRAMS: &str = "WHYDROP_CLUSTER";

/// A running node, called `node1`, 10.0.0.1.
#[derive(Debug)]
pub struct Cluster {
    script: Child,
    directory: PathBuf,
    pub node: NetNs,
    /// 10.0.0.254, the node's gateway.
    pub outside: NetNs,
}

impl Cluster {
    /// Starts it; `None` where it was not asked for.
    pub fn start() -> Result<Option<Self>> {
        let Some(programs) = std::env::var_os(PROGRAMS) else {
            skip("a whole Kubernetes node is tested by `cargo xtask test --cluster`")?;
            return Ok(None);
        };
        let (node, outside) = (NetNs::new("node1")?, NetNs::new("outside")?);
        outside.exec(&format!(
            "ip link add node1 type veth peer name eth0 netns {} && ip addr add 10.0.0.254/24 dev node1 && ip link set node1 up",
            node.name()
        ))?;
        node.exec("ip addr add 10.0.0.1/24 dev eth0 && ip link set eth0 up && ip route add default via 10.0.0.254")?;
        let directory = std::env::temp_dir().join(format!("{}-cluster", node.name()));
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let mut script = Command::new("unshare");
        script.args(["--mount", "--propagation", "private", "bash", "-c", NODE, "node.sh"]);
        script.arg(node.name()).arg(&directory).arg(programs).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A Ctrl-C in the terminal is for the test; the script ends when the test has.
        let script = script.process_group(0).spawn().context("cannot start the node")?;
        let mut cluster = Self { script, directory, node, outside };
        cluster.wait()?;
        Ok(Some(cluster))
    }

    fn wait(&mut self) -> Result<()> {
        let out = self.script.stdout.take().context("no pipe from the node")?;
        let mut said = String::new();
        for line in BufReader::new(out).lines() {
            let line = line?;
            if line == "ready" {
                return Ok(());
            }
            said.push_str(&line);
            said.push('\n');
        }
        ensure!(said.is_empty(), "the node did not start: {said}");
        anyhow::bail!("the node ended before it was ready")
    }

    /// The kubeconfig of `admin`, who may do everything, or of `reader`, whom nobody has given any right.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        self.directory.join(format!("{user}.kubeconfig"))
    }

    /// The container runtime's socket.
    pub fn cri(&self) -> PathBuf {
        self.directory.join("containerd.sock")
    }

    pub fn api(&self) -> Api<'_> {
        Api::new(&self.node, self.directory.join("tls.crt"))
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The script reads from it, and ends with it.
        drop(self.script.stdin.take());
        let _ = self.script.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}
