//! What a container runtime says of one pod.
//!
//! Rule: names are as Kubernetes allows them, addresses are addresses, a namespace is one and not the host's; what is not is left
//! out and said. Labels that kubelet adds are not the pod's.

use std::net::IpAddr;
use std::path::Path;

use tracer_grpc::cri::{NamespaceMode, PodSandboxMetadata, PodSandboxStatus, PodSandboxStatusResponse};
use tracer_policy::model::{Labels, Pod, Text};

use super::info::Info;
use crate::host::{Clock, netns, root};
use crate::kubernetes::{Origin, PodSeen};

/// Labels and addresses of one pod.
const MOST_LABELS: usize = 256;
const MOST_ADDRESSES: usize = 8;
/// Labels that kubelet and runtimes add for themselves.
const NOT_THE_PODS: [&str; 4] =
    ["io.kubernetes.pod.", "io.kubernetes.container.", "io.kubernetes.docker.", "io.kubernetes.sandbox."];

/// A pod, and what of it was not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) seen: PodSeen,
    pub(super) wrong: Option<String>,
}

impl Read {
    /// Whether all is known that there can be.
    pub(super) fn is_complete(&self) -> bool {
        let pod = &self.seen.pod;
        pod.host_network || self.seen.netns.is_some() && !pod.addresses.is_empty()
    }
}

/// Reads a status; `host` is the inode of the host's network namespace.
pub(super) fn read(response: &PodSandboxStatusResponse, clock: &Clock, host: Option<u32>) -> Result<Read, String> {
    let status = response.status.as_ref().ok_or("a status without a status")?;
    let mut pod = named(status.metadata.as_ref().ok_or("a sandbox without a name")?)?;
    pod.labels = labels(status);
    pod.host_network = is_host_network(status);
    let mut wrong = None;
    let mut say = |what: String| wrong = wrong.take().or_else(|| Some(format!("{what} (pod {})", pod.id)));
    let addresses = addresses(status, &mut say);
    let netns =
        if pod.host_network { None } else { namespace(&Info::read(&response.info), &status.id, host, &mut say) };
    pod.addresses = addresses;
    let since = clock.monotonic(status.created_at);
    Ok(Read { seen: PodSeen { origin: Origin::Runtime, pod, since, netns, containers: Vec::new() }, wrong })
}

/// A pod of this name, if it is one.
pub(in crate::kubernetes) fn named(metadata: &PodSandboxMetadata) -> Result<Pod, String> {
    let PodSandboxMetadata { name, uid, namespace, .. } = metadata;
    let parts = [("namespace", namespace, 63), ("name", name, 253), ("uid", uid, 63)];
    for (what, text, most) in parts {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || text.len() > most || !text.bytes().all(is_plain) {
            let start: String = text.chars().take(40).collect();
            return Err(format!("a pod's {what} can't be {start:?}"));
        }
    }
    Ok(Pod::new(&**namespace, &**name, &**uid))
}

fn labels(status: &PodSandboxStatus) -> Labels {
    let own = |key: &str| !NOT_THE_PODS.iter().any(|prefix| key.starts_with(prefix));
    // A key is a DNS name, `/` and 63 characters; a value has 63.
    let fits = |key: &str, value: &str| key.len() <= 253 + 1 + 63 && value.len() <= 63;
    let kept = status.labels.iter().filter(|(key, value)| own(key) && fits(key, value));
    Labels::new(kept.take(MOST_LABELS).map(|(key, value)| (Text::from(&**key), Text::from(&**value))))
}

fn is_host_network(status: &PodSandboxStatus) -> bool {
    let options = status.linux.as_ref().and_then(|linux| linux.namespaces?.options);
    options.is_some_and(|options| options.network() == NamespaceMode::Node)
}

fn addresses(status: &PodSandboxStatus, say: &mut impl FnMut(String)) -> Box<[IpAddr]> {
    let Some(network) = &status.network else { return Box::default() };
    let all = std::iter::once(&network.ip).chain(network.additional_ips.iter().map(|more| &more.ip));
    let mut found = Vec::new();
    for text in all.filter(|text| !text.is_empty()).take(MOST_ADDRESSES) {
        match text.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() => {
                say(format!("{ip} can't be a pod's address"));
            }
            Ok(ip) if !found.contains(&ip) => found.push(ip),
            Ok(_) => {}
            Err(_) => say(format!("{:?} is no address", text.chars().take(40).collect::<String>())),
        }
    }
    found.into()
}

/// By the path that the runtime names, here or below the root of the node; else by the sandbox's process.
fn namespace(info: &Info, sandbox: &str, host: Option<u32>, say: &mut impl FnMut(String)) -> Option<u32> {
    let bound = info.netns.as_deref().and_then(|path| {
        let found = root::places(path).find_map(|place| netns::at(&place).ok());
        if found == Some(None) {
            say(format!("{} is no network namespace", path.display()));
        }
        found.flatten()
    });
    let found = bound.or_else(|| of_process(info.pid?, sandbox))?;
    if Some(found) == host {
        say("it is said to have the host's network namespace, but not hostNetwork".to_owned());
        return None;
    }
    Some(found)
}

/// The namespace of a process that is in the sandbox's cgroup: in a PID namespace of our own, the number means another.
fn of_process(pid: u32, sandbox: &str) -> Option<u32> {
    let process = Path::new("/proc").join(pid.to_string());
    let cgroup = std::fs::read_to_string(process.join("cgroup")).ok()?;
    let is_its = !sandbox.is_empty() && cgroup.contains(sandbox);
    netns::link(&process.join("ns/net")).ok().flatten().filter(|_| is_its)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tracer_grpc::cri::{LinuxPodSandboxStatus, Namespace, NamespaceOption, PodIp, PodSandboxNetworkStatus};

    use super::*;

    fn status(netns: &str, ip: &str, more: &[&str]) -> PodSandboxStatusResponse {
        let metadata =
            PodSandboxMetadata { name: "web-0".into(), uid: "u-1".into(), namespace: "shop".into(), attempt: 0 };
        let additional_ips = more.iter().map(|ip| PodIp { ip: (*ip).to_owned() }).collect();
        let labels = [("app", "web"), ("io.kubernetes.pod.uid", "u-1"), ("io.kubernetes.container.name", "POD")];
        let status = PodSandboxStatus {
            id: "4f".into(),
            metadata: Some(metadata),
            network: Some(PodSandboxNetworkStatus { ip: ip.to_owned(), additional_ips }),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..PodSandboxStatus::default()
        };
        let info = format!(r#"{{"runtimeSpec":{{"linux":{{"namespaces":[{{"type":"network","path":"{netns}"}}]}}}}}}"#);
        PodSandboxStatusResponse { status: Some(status), info: HashMap::from([("info".to_owned(), info)]) }
    }

    fn own() -> u32 {
        netns::at(Path::new("/proc/self/ns/net")).unwrap().unwrap()
    }

    #[test]
    fn a_pod_has_its_labels_addresses_and_namespace() {
        let response = status("/proc/self/ns/net", "10.244.1.2", &["fd00::2", "10.244.1.2"]);
        let read = read(&response, &Clock::measure(), None).unwrap();
        let pod = &read.seen.pod;
        assert_eq!((pod.id.to_string().as_str(), &*pod.uid), ("shop/web-0", "u-1"));
        assert_eq!(pod.labels.to_string(), "app=web", "what kubelet adds is not the pod's");
        assert_eq!(*pod.addresses, ["10.244.1.2".parse::<IpAddr>().unwrap(), "fd00::2".parse().unwrap()]);
        assert_eq!((read.seen.netns, &read.wrong, read.is_complete()), (Some(own()), &None, true));
    }

    #[test]
    fn a_pod_with_host_network_has_no_namespace_of_its_own() {
        let mut response = status("/proc/self/ns/net", "", &[]);
        let options = NamespaceOption { network: NamespaceMode::Node.into() };
        let namespaces = Some(Namespace { options: Some(options) });
        response.status.as_mut().unwrap().linux = Some(LinuxPodSandboxStatus { namespaces });
        let read = read(&response, &Clock::measure(), Some(own())).unwrap();
        assert_eq!((read.seen.pod.host_network, read.seen.netns, read.wrong.as_deref()), (true, None, None));
        assert!(read.is_complete());
    }

    #[test]
    fn lies_are_left_out_and_said() {
        let clock = Clock::measure();
        let elsewhere = read(&status("/etc/passwd", "10.0.0.1", &[]), &clock, None).unwrap();
        assert_eq!(elsewhere.seen.netns, None);
        assert!(elsewhere.wrong.unwrap().contains("/etc/passwd is no network namespace (pod shop/web-0)"));
        let host = read(&status("/proc/self/ns/net", "10.0.0.1", &[]), &clock, Some(own())).unwrap();
        assert_eq!(host.seen.netns, None);
        assert!(host.wrong.unwrap().contains("the host's network namespace"));
        for address in ["127.0.0.1", "0.0.0.0", "ff02::1", "1.2.3", "\u{1b}[2J"] {
            let read = read(&status("/nonexistent", address, &["10.0.0.9"]), &clock, None).unwrap();
            assert_eq!(read.seen.pod.addresses.len(), 1, "{address}");
            assert!(read.wrong.is_some() && !read.is_complete(), "{address}");
        }
    }

    #[test]
    fn what_can_not_be_a_name_is_no_pod() {
        let metadata = |name: &str| PodSandboxMetadata {
            name: name.to_owned(),
            uid: "u".to_owned(),
            namespace: "n".to_owned(),
            attempt: 0,
        };
        for name in ["", "a b", "../x", "a\nb", &"x".repeat(254)] {
            assert!(named(&metadata(name)).unwrap_err().len() < 100, "{name}");
        }
        assert!(named(&metadata("web-0.x")).is_ok());
        let nothing = PodSandboxStatusResponse::default();
        assert!(read(&nothing, &Clock::measure(), None).is_err());
    }
}
