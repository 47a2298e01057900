//! What a runtime says reaches the index: pods that are there, that come and that go.

use std::time::Duration;

use anyhow::{Result, ensure};
use tracer_policy::model::ObjectName;
use tracer_tests::cri::Manner;
use tracer_tests::{FakeCri, NetNs, eventually};
use whydrop::kubernetes::{Directory, Plan, Reach, spawn};

/// Follows one runtime and nothing else, once it has been listed.
pub(crate) fn follow(socket: &str) -> Result<Directory> {
    let plan = Plan { cri: vec![socket.into()], reach: Reach::Off, ..Plan::default() };
    let directory = spawn(plan)?;
    directory.wait_for_first_listing(Duration::from_mins(1));
    Ok(directory)
}

pub(crate) fn knows(directory: &Directory, namespace: &str, name: &str) -> bool {
    directory.read().world().pod(&ObjectName::new(namespace, name)).is_some()
}

#[test]
fn a_pod_has_its_name_labels_addresses_and_namespace() -> Result<()> {
    let (cri, netns) = (FakeCri::new()?, NetNs::new("pod")?);
    let web = cri.pod("shop", "web-0").labels(&[("app", "web")]).address("10.0.0.2").address("fd00::2");
    let uid = web.its_uid();
    web.netns(&netns.path()).container(&"4f".repeat(32), "web").run();
    cri.pod("kube-system", "proxy").host_network().run();
    let directory = follow(cri.path())?;
    let index = directory.read();
    let id = ObjectName::new("shop", "web-0");
    let pod = index.world().pod(&id).cloned();
    let Some(pod) = pod else { anyhow::bail!("no pod; {:?}", directory.gaps()) };
    assert_eq!((&*pod.uid, pod.labels.to_string().as_str(), pod.addresses.len()), (&*uid, "app=web", 2));
    assert_eq!(index.netns_of(&id).map(u64::from), Some(netns.inode()?));
    assert!(index.pod_of_container(&"4f".repeat(32)).pod().is_some());
    let proxy = ObjectName::new("kube-system", "proxy");
    assert!(index.world().pod(&proxy).is_some_and(|pod| pod.host_network));
    assert_eq!(index.netns_of(&proxy), None, "the host's namespace is nobody's");
    assert_eq!(directory.gaps(), Vec::<String>::new());
    Ok(())
}

#[test]
fn pods_come_and_go_with_and_without_events() -> Result<()> {
    for manner in [Manner::Answers, Manner::HasNoEvents] {
        let cri = FakeCri::new()?;
        cri.behave(manner);
        let directory = follow(cri.path())?;
        cri.pod("shop", "late").address("10.0.0.3").run();
        eventually("a pod that came later is known", || Ok(knows(&directory, "shop", "late")))?;
        cri.stop("shop", "late");
        eventually("a pod that went is gone", || Ok(!knows(&directory, "shop", "late")))?;
        ensure!(directory.gaps().is_empty(), "{:?}", directory.gaps());
    }
    Ok(())
}

#[test]
fn a_pod_is_asked_for_once() -> Result<()> {
    let (cri, netns) = (FakeCri::new()?, NetNs::new("pod")?);
    cri.behave(Manner::HasNoEvents);
    cri.pod("shop", "web-0").address("10.0.0.2").netns(&netns.path()).run();
    let _directory = follow(cri.path())?;
    eventually("it is listed again", || Ok(cri.requests("ListPodSandbox") >= 4))?;
    assert_eq!(cri.requests("PodSandboxStatus"), 1);
    Ok(())
}
