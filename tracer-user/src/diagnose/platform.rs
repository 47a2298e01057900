//! Where the node runs, by what its firmware and its files say: for the places to look beyond it.
//!
//! Rule: nothing is asked over the network, as that may be what is broken.

use std::fs;
use std::path::Path;

use crate::explain::flow::Platform;

/// Where a container sees the node's files: on the node itself, below a mount of its root, or behind process 1.
const ROOTS: [&str; 3] = ["", "host", "proc/1/root"];

/// Azure's asset tag, the same on all of its machines; Hyper-V elsewhere has the same vendor but not the tag.
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// Reads below `root` (`/`).
pub fn platform(root: &Path) -> Platform {
    let dmi = |name: &str| fs::read_to_string(root.join("sys/class/dmi/id").join(name)).unwrap_or_default();
    let has = |path: &str| ROOTS.iter().any(|below| root.join(below).join(path).exists());
    if dmi("chassis_asset_tag").trim() == AZURE_TAG {
        // Written by AKS for the cloud provider, and by the agent baker.
        let is_aks = has("etc/kubernetes/azure.json") || has("opt/azure/containers");
        return if is_aks { Platform::Aks } else { Platform::Azure };
    }
    let vendor = dmi("sys_vendor") + &dmi("bios_vendor");
    if vendor.contains("Amazon EC2") {
        return if has("etc/eks") { Platform::Eks } else { Platform::Aws };
    }
    if dmi("product_name").starts_with("Google") {
        return if has("home/kubernetes/kube-env") { Platform::Gke } else { Platform::Gcp };
    }
    Platform::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files, removed when dropped.
    struct Root(std::path::PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Self {
            let root = std::env::temp_dir().join(format!("wd-platform-{name}-{}", std::process::id()));
            for (file, text) in files {
                let path = root.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Self(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn firmware_tells_the_cloud_and_files_tell_the_service() {
        let azure = ("sys/class/dmi/id/chassis_asset_tag", "7783-7084-3265-9085-8269-3286-77\n");
        let amazon = ("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
        let google = ("sys/class/dmi/id/product_name", "Google Compute Engine\n");
        let of = |name: &str, files: &[(&str, &str)]| platform(&Root::new(name, files).0);
        assert_eq!(of("azure", &[azure]), Platform::Azure);
        assert_eq!(of("aks", &[azure, ("host/etc/kubernetes/azure.json", "{}")]), Platform::Aks);
        assert_eq!(of("aws", &[amazon]), Platform::Aws);
        assert_eq!(of("eks", &[amazon, ("etc/eks/bootstrap.sh", "")]), Platform::Eks);
        assert_eq!(of("gcp", &[google]), Platform::Gcp);
        assert_eq!(of("hyper-v", &[("sys/class/dmi/id/sys_vendor", "Microsoft Corporation")]), Platform::Other);
        assert_eq!(platform(Path::new("/nonexistent")), Platform::Other);
    }
}
