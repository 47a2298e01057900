//! Many pods.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use tracer_tests::apiserver::Garbage;
use tracer_tests::{FakeApi, eventually};

use super::{follow, pod, pods, told};

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
