//! The names of a node's pods, from the folders in which kubelet has their logs: `/var/log/pods/NAMESPACE_NAME_UID`.
//!
//! Rule: kubelet makes the folder before the pod starts and removes it after (pkg/kubelet/kuberuntime, `BuildPodLogsDirectory`); no
//! part can have an underscore. Static pods have one too.

use std::collections::HashMap;
use std::fs;

use tracer_grpc::cri::PodSandboxMetadata;
use tracer_policy::model::Pod;

use crate::host::root;
use crate::kubernetes::cri;

const LOGS: &str = "/var/log/pods";
/// Folders that are read.
const MOST: usize = 65_536;

/// Pods by uid.
pub(super) fn read() -> HashMap<String, Pod> {
    let folders = root::places(LOGS).filter_map(|place| fs::read_dir(place).ok());
    let names = folders.flat_map(|entries| entries.flatten().take(MOST));
    let pods = names.filter_map(|entry| of_folder(entry.file_name().to_str()?));
    pods.map(|pod| (pod.uid.to_string(), pod)).collect()
}

fn of_folder(folder: &str) -> Option<Pod> {
    let mut parts = folder.split('_');
    let (namespace, name, uid) = (parts.next()?.to_owned(), parts.next()?.to_owned(), parts.next()?.to_owned());
    let metadata = PodSandboxMetadata { name, uid, namespace, attempt: 0 };
    parts.next().is_none().then(|| cri::named(&metadata).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_names_a_pod() {
        let pod = of_folder("shop_web-0_1c2d3e4f-0a1b-4c2d-9e3f-405162738495").unwrap();
        assert_eq!((pod.id.to_string().as_str(), &*pod.uid), ("shop/web-0", "1c2d3e4f-0a1b-4c2d-9e3f-405162738495"));
        let fixed = of_folder("kube-system_etcd-node1_0123456789abcdef0123456789abcdef").unwrap();
        assert_eq!(fixed.id.to_string(), "kube-system/etcd-node1");
        for other in ["", "a_b", "a__c", "a_b_c_d", "a_b c_d", "lost+found", "_b_c"] {
            assert_eq!(of_folder(other), None, "{other}");
        }
    }
}
