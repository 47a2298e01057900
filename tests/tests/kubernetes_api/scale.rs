//! Many pods.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tracer_tests::apiserver::Garbage;
use tracer_tests::{FakeApi, eventually, within};
use whydrop::kubernetes::{Plan, spawn};

use super::{follow, plan, pod, pods, told};

/// As they are in clusters, with what nobody asks for: about 4 KiB of JSON.
fn full(number: usize) -> Value {
    let address = format!("10.{}.{}.{}", number >> 16, (number >> 8) & 255, number & 255);
    let labels = json!({"app": format!("app-{}", number / 30), "pod-template-hash": format!("{:010x}", number / 30)});
    let mut pod = pod(&format!("pod-{number}"), &format!("node-{}", number / 30), &address, &labels);
    let field =
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"main\"}": {"f:env": {}, "f:image": {}, "f:ports": {}}}}});
    let manager = json!({"manager": "kube-controller-manager", "operation": "Update", "fieldsV1": field});
    pod["metadata"]["managedFields"] = vec![manager; 8].into();
    let variable = json!({"name": "SOME_SETTING", "value": "a value of some length that nobody asks for"});
    pod["spec"]["containers"][0]["env"] = vec![variable; 20].into();
    pod
}

#[test]
fn pages_are_put_together_where_the_cache_fails() -> Result<()> {
    let api = FakeApi::start()?;
    api.put_all((0..5000).map(full));
    api.garbage("pods", Some(Garbage::Text("{".to_owned())));
    let directory = follow(&api)?;
    told(&directory, &["nonsense for pods"])?;
    api.take_requests();
    api.garbage("pods", None);
    eventually("all pods come", || Ok(pods(&directory) == 5000))?;
    let requests = api.take_requests();
    let pages = requests.iter().filter(|path| path.starts_with("/api/v1/pods?") && path.contains("continue=")).count();
    ensure!(pages >= 9, "{pages} pages of 500 after the first");
    Ok(())
}

/// Memory of this process, KiB: `VmRSS`, `VmHWM`.
fn memory(key: &str) -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(key)).context("no such line")?;
    Ok(line.trim_matches([':', '\t', ' ', 'k', 'B']).parse()?)
}

/// To be run by hand, alone: `cargo test -p tracer-tests --test kubernetes_api measure -- --ignored --nocapture`. The server and its
/// copy of the pods are in the same process; what is told is what comes on top.
#[test]
#[ignore = "measures, asserts little, and takes a minute"]
fn measure_50_000_pods() -> Result<()> {
    let api = FakeApi::start()?;
    api.put_all((0..50_000).map(full));
    let before = memory("VmRSS")?;
    let began = Instant::now();
    let directory = spawn(Plan { pace: whydrop::kubernetes::Pace::default(), ..plan(&api) })?;
    within(Duration::from_mins(5), "all pods come", || Ok(pods(&directory) == 50_000))?;
    let took = began.elapsed();
    println!(
        "50,000 pods in {took:?}; {before} KiB before, {} KiB after, {} KiB at most",
        memory("VmRSS")?,
        memory("VmHWM")?
    );
    Ok(())
}
