//! The part of a sandbox's verbose status that each runtime writes in its own way.
//!
//! Rule: nothing in it is needed. containerd and CRI-O both have the OCI runtime specification and a process in it; cri-dockerd has
//! neither.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;

/// Bytes of JSON that are read; a sandbox's are 10 to 30 KB.
const MOST: usize = 1024 * 1024;

/// The way to a sandbox's network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// Of its first process, as the runtime's own PID namespace numbers it.
    pub(super) pid: Option<u32>,
    /// Where its network namespace is bound, as the runtime's own mount namespace has it.
    pub(super) netns: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    pid: Option<i64>,
    runtime_spec: Option<Spec>,
}

#[derive(Deserialize)]
struct Spec {
    linux: Option<Linux>,
}

#[derive(Deserialize)]
struct Linux {
    #[serde(default)]
    namespaces: Vec<Namespace>,
}

#[derive(Deserialize)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    path: Option<PathBuf>,
}

impl Info {
    /// From the map of a status; what is not understood is not there.
    pub(super) fn read(info: &HashMap<String, String>) -> Self {
        let text = info.get("info").filter(|text| text.len() <= MOST);
        let Some(written) = text.and_then(|text| serde_json::from_str::<Written>(text).ok()) else {
            return Self::default();
        };
        let pid = written.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        let namespaces = written.runtime_spec.and_then(|spec| spec.linux).map(|linux| linux.namespaces);
        let network = namespaces.unwrap_or_default().into_iter().find(|namespace| namespace.kind == "network");
        let netns = network.and_then(|namespace| namespace.path).filter(|path| path.is_absolute());
        Self { pid, netns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Info {
        Info::read(&HashMap::from([("info".to_owned(), text.to_owned())]))
    }

    #[test]
    fn containerd_and_crio() {
        let containerd = r#"{"pid":4711,"processStatus":"running","netNamespaceClosed":false,"image":"pause:3.9","cniResult":{},
            "runtimeSpec":{"ociVersion":"1.1.0","linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/netns/cni-1"}],
            "cgroupsPath":"kubepods-pod1.slice:cri-containerd:4f"}}}"#;
        let found = Info { pid: Some(4711), netns: Some("/run/netns/cni-1".into()) };
        assert_eq!(read(containerd), found);
        let crio = r#"{"image":"pause","pid":12,"runtimeSpec":{"linux":{"namespaces":[{"type":"network","path":"/var/run/netns/7"}]}}}"#;
        assert_eq!(read(crio), Info { pid: Some(12), netns: Some("/var/run/netns/7".into()) });
    }

    #[test]
    fn what_is_missing_or_strange_is_not_there() {
        for text in ["", "x", "[]", "null", r#"{"pid":-1}"#, r#"{"pid":"1"}"#, r#"{"pid":0,"runtimeSpec":null}"#] {
            assert_eq!(read(text), Info::default(), "{text}");
        }
        let relative = r#"{"runtimeSpec":{"linux":{"namespaces":[{"type":"network","path":"../x"},{"type":"ipc"}]}}}"#;
        assert_eq!(read(relative), Info::default());
        assert_eq!(Info::read(&HashMap::new()), Info::default());
        assert_eq!(read(&format!(r#"{{"pid":1,"x":"{}"}}"#, "y".repeat(MOST))), Info::default());
    }
}
