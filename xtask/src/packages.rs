//! Debian and Ubuntu packages: what they provide, and installing them.
//!
//! Rule: a program that is there is never installed again, and nothing is ever removed to make room. Where `xtask` may not
//! install, the error holds the command that would.

use std::path::Path;
use std::process::Command;
use std::sync::Once;

use anyhow::{Context, Result, bail};

use crate::process::{self, find, is_root};

/// A program and the Debian package that has it.
pub(crate) struct Provided {
    program: &'static str,
    package: &'static str,
}

/// What the network lab runs.
pub(crate) const LAB: [Provided; 12] = [
    Provided { program: "ip", package: "iproute2" },
    Provided { program: "tc", package: "iproute2" },
    Provided { program: "iptables", package: "iptables" },
    Provided { program: "nft", package: "nftables" },
    Provided { program: "ipset", package: "ipset" },
    Provided { program: "ping", package: "iputils-ping" },
    Provided { program: "dnsmasq", package: "dnsmasq-base" },
    Provided { program: "sysctl", package: "procps" },
    Provided { program: "capsh", package: "libcap2-bin" },
    Provided { program: "unshare", package: "util-linux" },
    Provided { program: "nsenter", package: "util-linux" },
    Provided { program: "bash", package: "bash" },
];

/// What the lab makes real pods of.
pub(crate) const PODS: [Provided; 4] = [
    Provided { program: "containerd", package: "containerd" },
    Provided { program: "runc", package: "runc" },
    Provided { program: "/usr/lib/cni/bridge", package: "containernetworking-plugins" },
    Provided { program: "busybox", package: "busybox-static" },
];

/// What a Kubernetes node runs beside these and its own programs.
pub(crate) const CLUSTER: [Provided; 4] = [
    Provided { program: "etcd", package: "etcd-server" },
    Provided { program: "conntrack", package: "conntrack" },
    Provided { program: "openssl", package: "openssl" },
    Provided { program: "curl", package: "curl" },
];

/// What builds its programs.
pub(crate) const CLUSTER_BUILD: [Provided; 5] = [
    Provided { program: "/usr/lib/go-1.19/bin/go", package: "golang-1.19-go" },
    Provided { program: "make", package: "make" },
    Provided { program: "jq", package: "jq" },
    Provided { program: "rsync", package: "rsync" },
    Provided { program: "dpkg-source", package: "dpkg-dev" },
];

/// What the kernel matrix runs to unpack, boot and fill a virtual machine.
pub(crate) const MATRIX: [Provided; 7] = [
    Provided { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Provided { program: "busybox", package: "busybox-static" },
    Provided { program: "depmod", package: "kmod" },
    Provided { program: "cpio", package: "cpio" },
    Provided { program: "bash", package: "bash" },
    Provided { program: "script", package: "bsdutils" },
    Provided { program: "dpkg-deb", package: "dpkg" },
];

/// What the bench compares with.
pub(crate) const PEERS: [Provided; 1] = [Provided { program: "bpftrace", package: "bpftrace" }];

/// Compilers with the sources of `core`, in the order to try: `-web` is the newer one that Debian keeps for browsers.
pub(crate) const COMPILERS: [[&str; 3]; 2] =
    [["rustc-web", "cargo-web", "rust-web-src"], ["rustc", "cargo", "rust-src"]];

/// The package lists are brought up to date once, and only if something is installed at all.
static UPDATE: Once = Once::new();

/// The programs of a table.
pub(crate) fn programs(table: &[Provided]) -> impl Iterator<Item = &'static str> {
    table.iter().map(|row| row.program)
}

/// Makes sure that every program of a table is there.
pub(crate) fn ensure(table: &[Provided], purpose: &str) -> Result<()> {
    let (programs, packages) = missing(table, |program| find(program).is_some());
    if packages.is_empty() {
        return Ok(());
    }
    let programs = programs.join(", ");
    if !can_install() {
        bail!("{purpose} needs {programs}; run\n  {}", advice(&packages));
    }
    install(&packages).with_context(|| format!("{purpose} needs {programs}"))
}

fn missing(table: &[Provided], present: impl Fn(&str) -> bool) -> (Vec<&'static str>, Vec<&'static str>) {
    let absent: Vec<&Provided> = table.iter().filter(|row| !present(row.program)).collect();
    let mut packages: Vec<_> = absent.iter().map(|row| row.package).collect();
    packages.dedup();
    (absent.iter().map(|row| row.program).collect(), packages)
}

/// Whether `install` may be tried: root on a distribution with apt.
pub(crate) fn can_install() -> bool {
    is_root() && has_apt()
}

fn has_apt() -> bool {
    Path::new("/etc/debian_version").exists() && find("apt-get").is_some()
}

/// Installs packages with apt, as root.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args([
            "-qq",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Dpkg::Use-Pty=0",
        ]);
        apt
    };
    UPDATE.call_once(|| {
        // A source of the user's that is out of order must not stop us; whether the lists are good enough, the install tells.
        if let Err(error) = process::run(apt().arg("update")) {
            eprintln!("warning: {error:#}");
        }
    });
    process::run(apt().args(["install", "-y", "--no-install-recommends", "--no-remove"]).args(packages))
}

/// The command that installs packages, for somebody to type.
pub(crate) fn advice(packages: &[&str]) -> String {
    let packages = packages.join(" ");
    if has_apt() {
        let sudo = if is_root() { "" } else { "sudo " };
        format!("{sudo}apt-get update && {sudo}apt-get install -y --no-install-recommends {packages}")
    } else {
        format!("(with your package manager) install {packages}, as Debian calls them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed_and_each_package_once() {
        assert_eq!(missing(&LAB, |_| true), (vec![], vec![]));
        let (programs, packages) = missing(&LAB, |program| !["ip", "tc", "nft"].contains(&program));
        assert_eq!(programs, ["ip", "tc", "nft"]);
        assert_eq!(packages, ["iproute2", "nftables"]);
    }

    #[test]
    fn rows_of_one_package_stand_together() {
        let mut packages: Vec<_> = LAB.iter().map(|row| row.package).collect();
        packages.dedup();
        let once = packages.len();
        packages.sort_unstable();
        packages.dedup();
        assert_eq!(packages.len(), once, "a package in two places of the table would be named twice");
    }

    #[test]
    fn advice_names_every_package() {
        let advice = advice(&COMPILERS[0]);
        assert!(COMPILERS[0].iter().all(|package| advice.contains(package)), "{advice}");
    }
}
