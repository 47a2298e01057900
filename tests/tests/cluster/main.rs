//! A whole Kubernetes node: names, policies and verdicts as its own API server, runtime and kube-proxy tell them.

mod names;
mod policies;
mod services;
mod shop;

use anyhow::{Context, Result, ensure};
use tracer_tests::cluster::Cluster;

/// One after the other: the node takes half a minute to start.
#[test]
fn a_real_node() -> Result<()> {
    let Some(cluster) = Cluster::start()? else { return Ok(()) };
    let node = cluster.api().get("/api/v1/nodes/node1")?;
    ensure!(node["metadata"]["name"] == "node1", "{node}");
    let shop = shop::Shop::open(&cluster)?;
    let mut failed = Vec::new();
    for (name, scenario) in [
        ("names", names::by_both_and_by_each_alone as fn(&shop::Shop<'_>) -> Result<()>),
        ("no rights", names::without_rights),
        ("no endpoints", services::without_endpoints),
        ("outage", names::through_an_outage),
        // Last: nothing but what its policy allows reaches web-0 from here on.
        ("policies", policies::denied_until_the_label_is_there),
    ] {
        failed.extend(scenario(&shop).with_context(|| name).err().map(|error| format!("{error:#}")));
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}
