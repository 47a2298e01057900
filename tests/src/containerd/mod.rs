//! A real container runtime with real CNI plugins, as a node of its own: containerd in a network namespace, and pods that it made.
//!
//! ```text
//! let node = Containerd::start()?;
//! let web = node.pod("shop", "web-0", &[("app", "web")])?;
//! web.exec("iptables -A INPUT -p udp --dport 9 -j DROP")?;
//! let tracer = Tracer::start(&["--cri", node.socket()])?;
//! ```
//!
//! Rule: everything it makes bears the test's own name: folder, namespaces, cgroups. All of it is removed when the guard is dropped,
//! also what containerd's shims hold. The machine's own containerd, if there is one, is not touched.

mod api;
mod image;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use tonic::transport::{Channel, Endpoint};
use tracer_grpc::cri::runtime_service_client::RuntimeServiceClient;
use tracer_grpc::cri::{
    NamespaceMode, NamespaceOption, PodSandboxMetadata, PodSandboxStatusRequest, PodSandboxStatusResponse,
};

use crate::netns::run;
use crate::{NetNs, cri, eventually};

/// The programs that a node is made of, and the Debian package of each.
const PROGRAMS: [(&str, &str); 5] = [
    ("/usr/bin/containerd", "containerd"),
    ("/usr/bin/ctr", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/bin/busybox", "busybox-static"),
];
const IMAGE: &str = "localhost/whydrop-pause:1";

/// A node; its pods and its runtime end on drop.
#[derive(Debug)]
pub struct Containerd {
    name: String,
    folder: PathBuf,
    socket: String,
    process: Child,
    runtime: tokio::runtime::Runtime,
    channel: Channel,
    /// Last: it goes after everything in it.
    namespace: NetNs,
}

/// A pod that runs; it stays when this is dropped, until its node ends or [`Containerd::stop`].
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub sandbox: String,
    /// IPv4, then IPv6; none with `hostNetwork`.
    pub addresses: Vec<String>,
    /// Where its network namespace is bound; the node's for one with `hostNetwork`.
    pub netns: PathBuf,
}

impl Pod {
    /// Runs a shell command in its network namespace, with the machine's programs.
    pub fn exec(&self, command: &str) -> Result<String> {
        let netns = format!("--net={}", self.netns.display());
        run("nsenter", &[&netns, "sh", "-c", command]).with_context(|| format!("in the pod {}", self.name))
    }

    pub fn inode(&self) -> Result<u64> {
        use std::os::unix::fs::MetadataExt;
        Ok(fs::metadata(&self.netns)?.ino())
    }
}

impl Containerd {
    /// # Errors
    /// Also where containerd is not installed: the error has the command.
    pub fn start() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        installed()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("wd-node-{}-{number}", std::process::id());
        let namespace = NetNs::new("node")?;
        namespace.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")?;
        let folder = std::env::temp_dir().join(&name);
        fs::create_dir_all(folder.join("cni"))?;
        let socket = folder.join("containerd.sock").display().to_string();
        fs::write(folder.join("config.toml"), config(&folder))?;
        fs::write(folder.join("cni/10-lab.conflist"), network(&folder, number))?;
        image::write(&folder.join("image.tar"), Path::new("/bin/busybox"), IMAGE)?;
        let log = fs::File::create(folder.join("log"))?;
        let process = Command::new("nsenter")
            .arg(format!("--net={}", namespace.path().display()))
            .args(["/usr/bin/containerd", "-c"])
            .arg(folder.join("config.toml"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start containerd")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let channel = {
            let _within = runtime.enter();
            let path = socket.clone();
            Endpoint::from_static("http://localhost").connect_with_connector_lazy(tower::service_fn(move |_| {
                let path = path.clone();
                async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
            }))
        };
        let node = Self { name, folder, socket, process, runtime, channel, namespace };
        eventually("containerd answers", || Ok(node.ctr("version").is_ok())).with_context(|| node.log())?;
        node.ctr(&format!("-n k8s.io images import {}", node.folder.join("image.tar").display()))?;
        Ok(node)
    }

    /// For `--cri`.
    pub fn socket(&self) -> &str {
        &self.socket
    }

    /// The node's own network namespace.
    pub fn namespace(&self) -> &NetNs {
        &self.namespace
    }

    /// Makes a pod with addresses of both families and returns when it runs.
    pub fn pod(&self, namespace: &str, name: &str, labels: &[(&str, &str)]) -> Result<Pod> {
        self.make(namespace, name, labels, NamespaceMode::Pod)
    }

    /// The same with `hostNetwork`: it is in the node's namespace.
    pub fn host_pod(&self, namespace: &str, name: &str) -> Result<Pod> {
        self.make(namespace, name, &[], NamespaceMode::Node)
    }

    /// Ends a pod.
    pub fn stop(&self, pod: &Pod) -> Result<()> {
        self.remove(&pod.sandbox)
    }

    fn make(&self, namespace: &str, name: &str, labels: &[(&str, &str)], network: NamespaceMode) -> Result<Pod> {
        let uid = cri::uid(namespace, name);
        let (own, plain) = (|key: &str| format!("io.kubernetes.pod.{key}"), |text: &str| text.to_owned());
        let kubelets = [(own("name"), plain(name)), (own("namespace"), plain(namespace)), (own("uid"), uid.clone())];
        let labels = labels.iter().map(|(key, value)| (plain(key), plain(value))).chain(kubelets).collect();
        let metadata =
            PodSandboxMetadata { name: plain(name), uid: uid.clone(), namespace: plain(namespace), attempt: 0 };
        let options = NamespaceOption { network: network.into() };
        let config = api::PodSandboxConfig {
            metadata: Some(metadata),
            // The node's own name is not to be changed.
            hostname: if network == NamespaceMode::Node { String::new() } else { plain(name) },
            log_directory: self.folder.join("logs").join(&uid).display().to_string(),
            labels,
            linux: Some(api::LinuxPodSandboxConfig {
                cgroup_parent: format!("/{}/pod{uid}", self.name),
                security_context: Some(api::SecurityContext { namespace_options: Some(options) }),
            }),
        };
        let request = api::RunPodSandboxRequest { config: Some(config) };
        let made: api::RunPodSandboxResponse = self
            .runtime
            .block_on(api::call(&self.channel, "/runtime.v1.RuntimeService/RunPodSandbox", request))
            .with_context(|| self.log())?;
        let status = self.status(&made.pod_sandbox_id)?;
        let network = status.status.and_then(|status| status.network).unwrap_or_default();
        let addresses = std::iter::once(network.ip).chain(network.additional_ips.into_iter().map(|more| more.ip));
        let netns = netns_of(&status.info).unwrap_or_else(|| self.namespace.path());
        Ok(Pod {
            namespace: plain(namespace),
            name: plain(name),
            uid,
            sandbox: made.pod_sandbox_id,
            addresses: addresses.filter(|address| !address.is_empty()).collect(),
            netns,
        })
    }

    fn status(&self, sandbox: &str) -> Result<PodSandboxStatusResponse> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: sandbox.to_owned(), verbose: true };
        let mut client = RuntimeServiceClient::new(self.channel.clone());
        Ok(self.runtime.block_on(client.pod_sandbox_status(request))?.into_inner())
    }

    fn remove(&self, sandbox: &str) -> Result<()> {
        for method in ["/runtime.v1.RuntimeService/StopPodSandbox", "/runtime.v1.RuntimeService/RemovePodSandbox"] {
            let request = api::SandboxRequest { pod_sandbox_id: sandbox.to_owned() };
            self.runtime.block_on(api::call::<_, api::Nothing>(&self.channel, method, request))?;
        }
        Ok(())
    }

    fn ctr(&self, command: &str) -> Result<String> {
        run("sh", &["-c", &format!("/usr/bin/ctr -a {} {command}", self.socket)])
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        text.lines().rev().take(5).collect::<Vec<_>>().join("\n")
    }

    /// Ends the pods, then the runtime.
    fn end(&mut self) -> Result<()> {
        let mut client = RuntimeServiceClient::new(self.channel.clone());
        let list = self.runtime.block_on(client.list_pod_sandbox(tracer_grpc::cri::ListPodSandboxRequest::default()));
        for sandbox in list.map(|list| list.into_inner().items).unwrap_or_default() {
            self.remove(&sandbox.id)?;
        }
        Ok(())
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("pods of {} may be left behind: {error:#}", self.name);
        }
        let _gone = self.process.kill();
        let _gone = self.process.wait();
        unmount(&self.folder);
        remove_cgroups(&self.name);
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            eprintln!("{} is left behind: {error}", self.folder.display());
        }
    }
}

fn installed() -> Result<()> {
    let missing = PROGRAMS.iter().filter(|(program, _)| !Path::new(program).exists());
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    packages.dedup();
    let packages = packages.join(" ");
    ensure!(
        packages.is_empty(),
        "pods of a real runtime need {packages}; run\n  apt-get update && apt-get install -y --no-install-recommends {packages}"
    );
    Ok(())
}

/// containerd 1.6 and 1.7.
fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        r#"version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{IMAGE}"
  restrict_oom_score_adj = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"#
    )
}

/// A bridge with addresses of both families, as the plugins of containernetworking make it.
fn network(folder: &Path, number: u32) -> String {
    let pods = serde_json::json!([[{ "subnet": "10.244.1.0/24" }], [{ "subnet": "fd00:10:244:1::/64" }]]);
    let routes = serde_json::json!([{ "dst": "0.0.0.0/0" }, { "dst": "::/0" }]);
    let addresses =
        serde_json::json!({ "type": "host-local", "dataDir": folder.join("ipam"), "ranges": pods, "routes": routes });
    let bridge = serde_json::json!({ "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true, "ipam": addresses });
    let name = format!("wd-{}-{number}", std::process::id());
    serde_json::json!({ "cniVersion": "0.4.0", "name": name, "plugins": [bridge] }).to_string()
}

fn netns_of(info: &std::collections::HashMap<String, String>) -> Option<PathBuf> {
    let info: serde_json::Value = serde_json::from_str(info.get("info")?).ok()?;
    let namespaces = info.pointer("/runtimeSpec/linux/namespaces")?.as_array()?;
    let network = namespaces.iter().find(|namespace| namespace["type"] == "network")?;
    network["path"].as_str().filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The innermost first.
fn unmount(folder: &Path) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let ours =
        mounts.lines().filter_map(|line| line.split(' ').nth(1)).filter(|path| Path::new(path).starts_with(folder));
    for path in ours.collect::<Vec<_>>().into_iter().rev() {
        let _left = run("umount", &["-l", path]);
    }
}

/// Of every hierarchy, the innermost first.
fn remove_cgroups(name: &str) {
    let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    for root in hierarchies.chain([PathBuf::from("/sys/fs/cgroup")]) {
        remove_folders(&root.join(name));
    }
}

fn remove_folders(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_folders(&entry.path());
    }
    if let Err(error) = fs::remove_dir(folder) {
        eprintln!("{} is left behind: {error}", folder.display());
    }
}
