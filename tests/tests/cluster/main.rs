//! A whole Kubernetes node: names, policies and verdicts as its own API server, runtime and kube-proxy tell them.

use anyhow::{Result, ensure};
use tracer_tests::cluster::Cluster;

#[test]
fn a_real_node() -> Result<()> {
    let Some(cluster) = Cluster::start()? else { return Ok(()) };
    let node = cluster.api().get("/api/v1/nodes/node1")?;
    ensure!(node["metadata"]["name"] == "node1", "{node}");
    Ok(())
}
