//! Names and policies from an API server, as the index has them. No root is needed.

mod access;
mod fault;
mod follow;
mod scale;

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tracer_tests::cri::FakeCri;
use tracer_tests::{FakeApi, eventually, patience};
use whydrop::kubernetes::{Directory, Pace, Plan, spawn};

use tracer_policy::model::{ObjectName, PolicyId, PolicyKind};

/// As the default one, but nobody has to wait.
fn pace() -> Pace {
    let ms = Duration::from_millis;
    Pace { patience: ms(2000), retry: (ms(10), ms(100)), discovery: ms(50), pulse: ms(300) }
}

/// A container runtime without pods: what is missing is the API's.
fn runtime() -> PathBuf {
    static RUNTIME: OnceLock<FakeCri> = OnceLock::new();
    RUNTIME.get_or_init(|| FakeCri::new().unwrap_or_else(|error| panic!("{error:#}"))).path().into()
}

fn plan(api: &FakeApi) -> Plan {
    Plan { cri: vec![runtime()], kubeconfig: Some(api.kubeconfig().to_owned()), pace: pace(), ..Plan::default() }
}

/// Follows the server; what it had is listed, or was said to be missing.
fn follow(api: &FakeApi) -> Result<Directory> {
    follow_as(plan(api))
}

fn follow_as(plan: Plan) -> Result<Directory> {
    let directory = spawn(plan)?;
    directory.wait_for_first_listing(patience());
    Ok(directory)
}

fn pod(name: &str, node: &str, address: &str, labels: &Value) -> Value {
    json!({
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": labels},
        "spec": {"nodeName": node, "containers": [{"name": "main"}]},
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": "2026-01-01T00:00:00Z",
        },
    })
}

fn policy(name: &str) -> Value {
    json!({
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []},
    })
}

fn label(directory: &Directory, pod: &str, key: &str) -> Option<String> {
    let index = directory.read();
    index.world().pod(&ObjectName::new("shop", pod))?.labels.get(key).map(str::to_owned)
}

fn has_pod(directory: &Directory, pod: &str) -> bool {
    directory.read().world().pod(&ObjectName::new("shop", pod)).is_some()
}

fn pods(directory: &Directory) -> usize {
    directory.read().world().pods().filter(|pod| *pod.id.namespace == *"shop").count()
}

fn has_policy(directory: &Directory, kind: PolicyKind, name: &str) -> bool {
    let id = PolicyId { kind, id: ObjectName::new("shop", name) };
    directory.read().world().policy(&id).is_some()
}

fn knows_policies(directory: &Directory) -> bool {
    directory.read().world().knows_policies()
}

/// Waits until one sentence of what is missing has all these words.
fn told(directory: &Directory, words: &[&str]) -> Result<()> {
    let is_told = || directory.gaps().iter().any(|gap| words.iter().all(|word| gap.contains(word)));
    let found = eventually(&format!("a sentence with {words:?}"), || Ok(is_told()));
    found.map_err(|error| error.context(format!("{:#?}", directory.gaps())))
}

/// Waits until nothing is missing.
fn silent(directory: &Directory) -> Result<()> {
    let found = eventually("nothing is missing", || Ok(directory.gaps().is_empty()));
    found.map_err(|error| error.context(format!("{:#?}", directory.gaps())))
}

/// The name that a kubelet would give this machine.
fn hostname() -> Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned())
}
