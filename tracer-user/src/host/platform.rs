//! Where the node runs: a cloud, and its Kubernetes, by what the machine's firmware and files say.
//!
//! Rule: it only decides which places are shown to look at; nothing that is explained depends on it. No metadata service is
//! asked.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::netns::shares_host_pids;

/// Bytes read of one value of the firmware.
const MOST: u64 = 256;

/// Where the node runs, so far as the node itself tells: for the places to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Platform {
    Azure,
    Aks,
    Aws,
    Eks,
    Gcp,
    Gke,
    /// A virtual or real machine of nobody known.
    #[default]
    Other,
}

/// What the machine says of itself. What can't be read is empty or absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// `/sys/class/dmi/id/sys_vendor`: `Microsoft Corporation`, `Amazon EC2`, `Google`.
    pub vendor: String,
    /// `product_name`: `Virtual Machine`, `m5.large`, `Google Compute Engine`.
    pub product: String,
    /// `chassis_asset_tag`: Azure's machines have `7783-7084-3265-9085-8269-3286-77`, EC2's Nitro machines `Amazon EC2`.
    pub chassis: String,
    /// `bios_vendor`: `Amazon EC2`, `Google`, `Xen`.
    pub bios: String,
    /// `bios_version` of EC2's older machines ends in `.amazon`.
    pub bios_version: String,
    /// Files and folders of [`FILES`] that there are.
    pub files: Vec<&'static str>,
}

/// The tag that Hyper-V gives to machines of Azure, and to none elsewhere (ASCII of "MSFT AZURE VM").
const AZURE_TAG: &str = "7783-7084-3265-9085-8269-3286-77";

/// What the images of managed Kubernetes have: AKS (AgentBaker), EKS (amazon-eks-ami, Bottlerocket), GKE (COS).
const FILES: [(&str, Platform); 6] = [
    ("etc/kubernetes/azure.json", Platform::Aks),
    ("opt/azure/containers", Platform::Aks),
    ("etc/eks", Platform::Eks),
    ("usr/share/amazon-eks", Platform::Eks),
    ("home/kubernetes/bin", Platform::Gke),
    ("home/kubernetes/kube-env", Platform::Gke),
];

/// Reads it.
pub fn read() -> Platform {
    of(&signs(Path::new("/proc"), Path::new("/sys/class/dmi/id"), Path::new("/host")))
}

/// What the signs say.
pub fn of(signs: &Signs) -> Platform {
    let has = |text: &str, word: &str| text.to_ascii_lowercase().contains(word);
    let any =
        |word: &str| [&signs.vendor, &signs.product, &signs.chassis, &signs.bios].iter().any(|text| has(text, word));
    let cloud = if signs.chassis.trim() == AZURE_TAG {
        Some(Platform::Azure)
    } else if any("amazon") || has(&signs.bios_version, "amazon") {
        Some(Platform::Aws)
    } else if any("google") {
        Some(Platform::Gcp)
    } else {
        None
    };
    let managed = |platform| signs.files.iter().any(|file| FILES.contains(&(*file, platform)));
    let kubernetes = [(Platform::Azure, Platform::Aks), (Platform::Aws, Platform::Eks), (Platform::Gcp, Platform::Gke)];
    let found = kubernetes.into_iter().find(|(host, managed_by)| match cloud {
        Some(cloud) => cloud == *host && managed(*managed_by),
        // Firmware that can't be read, or is of an unknown maker: the files of one Kubernetes alone tell.
        None => managed(*managed_by) && kubernetes.iter().filter(|(_, other)| managed(*other)).count() == 1,
    });
    found.map(|(_, managed)| managed).or(cloud).unwrap_or_default()
}

fn signs(proc: &Path, firmware: &Path, mounted: &Path) -> Signs {
    let value = |name: &str| {
        let mut text = Vec::new();
        let read = File::open(firmware.join(name)).and_then(|file| file.take(MOST).read_to_end(&mut text));
        read.map(|_| String::from_utf8_lossy(&text).trim().to_owned()).unwrap_or_default()
    };
    let roots = roots(proc, mounted);
    let is_there = |file: &str| roots.iter().any(|root| fs::symlink_metadata(root.join(file)).is_ok());
    Signs {
        vendor: value("sys_vendor"),
        product: value("product_name"),
        chassis: value("chassis_asset_tag"),
        bios: value("bios_vendor"),
        bios_version: value("bios_version"),
        files: FILES.iter().map(|(file, _)| *file).filter(|file| is_there(file)).collect(),
    }
}

/// Where the host's files may be: a debug pod has them in `/host`.
fn roots(proc: &Path, mounted: &Path) -> Vec<PathBuf> {
    let first = shares_host_pids(proc).then(|| proc.join("1/root"));
    first.into_iter().chain([mounted.to_owned(), PathBuf::from("/")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(vendor: &str, product: &str, chassis: &str, bios: &str) -> Signs {
        let [vendor, product, chassis, bios] = [vendor, product, chassis, bios].map(str::to_owned);
        Signs { vendor, product, chassis, bios, ..Signs::default() }
    }

    #[test]
    fn clouds_are_told_by_their_firmware() {
        let azure = machine("Microsoft Corporation", "Virtual Machine", AZURE_TAG, "American Megatrends Inc.");
        let nitro = machine("Amazon EC2", "m5.large", "Amazon EC2", "Amazon EC2");
        let xen = Signs { bios_version: "4.11.amazon".to_owned(), ..machine("Xen", "HVM domU", "", "Xen") };
        let google = machine("Google", "Google Compute Engine", "", "Google");
        for (signs, wanted) in
            [(azure, Platform::Azure), (nitro, Platform::Aws), (xen, Platform::Aws), (google, Platform::Gcp)]
        {
            assert_eq!(of(&signs), wanted, "{signs:?}");
        }
    }

    #[test]
    fn a_machine_of_hyper_v_alone_is_not_azure() {
        let own = machine("Microsoft Corporation", "Virtual Machine", "1234-5678", "Microsoft Corporation");
        for signs in [own, machine("Dell Inc.", "PowerEdge R740", "", "Dell Inc."), Signs::default()] {
            assert_eq!(of(&signs), Platform::Other, "{signs:?}");
        }
    }

    #[test]
    fn managed_kubernetes_is_told_by_its_files_on_its_cloud_only() {
        let azure = machine("Microsoft Corporation", "Virtual Machine", AZURE_TAG, "");
        let with = |signs: &Signs, files: &[&'static str]| of(&Signs { files: files.to_vec(), ..signs.clone() });
        assert_eq!(with(&azure, &["etc/kubernetes/azure.json"]), Platform::Aks);
        assert_eq!(with(&azure, &["etc/eks"]), Platform::Azure, "files of another cloud");
        assert_eq!(with(&machine("Amazon EC2", "", "", ""), &["etc/eks"]), Platform::Eks);
        assert_eq!(with(&machine("Google", "", "", ""), &["home/kubernetes/bin"]), Platform::Gke);
        assert_eq!(with(&Signs::default(), &["opt/azure/containers"]), Platform::Aks, "firmware that is hidden");
        assert_eq!(with(&Signs::default(), &["etc/eks", "home/kubernetes/bin"]), Platform::Other, "contradiction");
    }

    #[test]
    fn files_are_found_below_the_host_of_a_debug_pod() {
        let root = std::env::temp_dir().join(format!("whydrop-platform-{}", std::process::id()));
        fs::create_dir_all(root.join("host/etc/kubernetes")).unwrap();
        fs::create_dir_all(root.join("dmi")).unwrap();
        fs::write(root.join("host/etc/kubernetes/azure.json"), "{}").unwrap();
        fs::write(root.join("dmi/chassis_asset_tag"), format!("{AZURE_TAG}\n")).unwrap();
        let found = signs(&root.join("proc"), &root.join("dmi"), &root.join("host"));
        assert!(found.files.contains(&"etc/kubernetes/azure.json"), "{found:?}");
        assert_eq!(of(&found), Platform::Aks);
        fs::remove_dir_all(root).unwrap();
    }
}
