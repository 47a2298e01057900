//! Real pods of a real runtime: what is dropped in them and between them bears their names.

use anyhow::Result;
use tracer_policy::model::ObjectName;
use tracer_tests::containerd::Pod;
use tracer_tests::event::key;
use tracer_tests::{Containerd, Expect, Tracer, eventually};

use super::index::{follow, knows};

fn watch(node: &Containerd) -> Result<Tracer> {
    Tracer::start(&["--all", "--interval", "100ms", "--cri", node.socket()])
}

/// One datagram to the discard port.
fn send(from: &Pod, to: &str) -> Result<String> {
    from.exec(&format!("bash -c 'echo x > /dev/udp/{to}/9'"))
}

/// A rule of the pod's own drops it.
fn close(pod: &Pod) -> Result<()> {
    pod.exec("nft 'table inet t { chain i { type filter hook input priority 0; udp dport 9 drop; }; }'").map(drop)
}

fn named(wanted: Expect, at: [&'static str; 2], pod: &Pod) -> Expect {
    let [name, uid] = at;
    wanted.with(name, pod.name.clone()).with(uid, pod.uid.clone())
}

const SOURCE: [&str; 2] = ["/packet/source/pod/name", "/packet/source/pod/uid"];
const DESTINATION: [&str; 2] = ["/packet/destination/pod/name", "/packet/destination/pod/uid"];
const NETNS: [&str; 2] = ["/netns/pod/name", "/netns/pod/uid"];

#[test]
fn the_index_knows_the_pods_of_containerd() -> Result<()> {
    let node = Containerd::start()?;
    let web = node.pod("shop", "web-0", &[("app", "web")])?;
    let agent = node.host_pod("kube-system", "agent")?;
    let directory = follow(node.socket())?;
    let id = ObjectName::new("shop", "web-0");
    {
        let index = directory.read();
        let pod = index.world().pod(&id).cloned();
        let pod = pod.ok_or_else(|| anyhow::anyhow!("web-0 is not known: {:?}", directory.gaps()))?;
        let addresses: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(
            (&*pod.uid, pod.labels.to_string().as_str(), addresses),
            (&*web.uid, "app=web", web.addresses.clone())
        );
        assert_eq!(index.netns_of(&id).map(u64::from), Some(web.inode()?));
        assert!(index.pod_of_container(&web.sandbox).pod().is_some());
        let host = index.world().pod(&ObjectName::new("kube-system", &*agent.name)).cloned();
        assert!(host.is_some_and(|pod| pod.host_network), "hostNetwork is told apart");
    }
    let late = node.pod("shop", "late", &[])?;
    eventually("a pod of now is known", || Ok(knows(&directory, "shop", "late")))?;
    node.stop(&late)?;
    eventually("it is gone", || Ok(!knows(&directory, "shop", "late")))?;
    assert_eq!(directory.gaps(), Vec::<String>::new());
    Ok(())
}

#[test]
fn a_drop_between_two_pods_names_both() -> Result<()> {
    let node = Containerd::start()?;
    let (client, server) = (node.pod("shop", "client", &[])?, node.pod("shop", "server", &[("app", "web")])?);
    close(&server)?;
    let mut tracer = watch(&node)?;
    for address in &server.addresses {
        send(&client, address)?;
        let wanted = Expect::drop("NETFILTER_DROP").with(key::DESTINATION, address.clone());
        let wanted = named(named(named(wanted, SOURCE, &client), DESTINATION, &server), NETNS, &server);
        tracer.wait_for(&wanted)?;
    }
    tracer.stop().map(drop)
}

#[test]
fn a_pod_of_now_is_named_and_one_that_died_keeps_its_name() -> Result<()> {
    let node = Containerd::start()?;
    let client = node.pod("shop", "client", &[])?;
    let mut tracer = watch(&node)?;
    let late = node.pod("shop", "late", &[])?;
    close(&late)?;
    let address = late.addresses.first().cloned().unwrap_or_default();
    let wanted = || named(Expect::drop("NETFILTER_DROP").with(key::DESTINATION, &*address), NETNS, &late);
    // The runtime is asked again within a second.
    eventually("its drops are named", || {
        send(&client, &address)?;
        tracer.take_waiting()?;
        Ok(tracer.events().iter().any(|event| wanted().accepts(event)))
    })?;
    let before = tracer.events().len();
    send(&client, &address)?;
    node.stop(&late)?;
    tracer.wait_until(&wanted(), |events| {
        events.iter().skip(before).any(|event| wanted().accepts(event)).then_some(())
    })?;
    tracer.stop().map(drop)
}
