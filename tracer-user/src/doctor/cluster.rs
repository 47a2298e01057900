//! The container runtime and the cluster, as far as names come from them.
//!
//! Rule: a machine that is no Kubernetes node lacks nothing. Access is looked for, not used: no request is sent.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::check::Finding;
use super::context::Context;
use super::fix;

/// Where runtimes listen by default: containerd, CRI-O, cri-dockerd, k3s and RKE2, k0s, MicroK8s.
const SOCKETS: [&str; 6] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];
/// A runtime that does not take a connection in this time hangs.
const PATIENCE: Duration = Duration::from_secs(1);
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(super) fn cri(context: &Context) -> Finding {
    let found: Vec<PathBuf> =
        SOCKETS.iter().flat_map(|path| Context::places(path)).filter(|path| path.exists()).collect();
    let Some(first) = found.first() else {
        return no_socket(context);
    };
    let mut first_error = None;
    for path in &found {
        match connect(path) {
            Ok(()) => return Finding::ok(path.display().to_string()),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let error = first_error.unwrap_or_else(|| ErrorKind::NotFound.into());
    let fix = if error.kind() == ErrorKind::PermissionDenied {
        fix::privileges(context)
    } else {
        let unit = if first.ends_with("crio.sock") { "crio" } else { "containerd" };
        vec![format!("systemctl status {unit}")]
    };
    Finding::degraded(format!("{}: {error}", first.display()), fix)
}

fn no_socket(context: &Context) -> Finding {
    if !context.kubernetes_node() {
        return Finding::ok("no container runtime here, so there are no pods to name");
    }
    let mut fix = fix::privileges(context);
    fix.push("mount the node's /run at /host/run, or / at /host".to_owned());
    Finding::degraded("no runtime socket in the usual places, here or below /host", fix)
}

/// On a thread of its own: connecting waits for as long as the other side's queue is full.
fn connect(path: &Path) -> io::Result<()> {
    let (answer, answered) = sync_channel(1);
    let socket = path.to_owned();
    thread::Builder::new().spawn(move || answer.send(UnixStream::connect(socket).map(drop)))?;
    let silent = || io::Error::new(ErrorKind::TimedOut, "does not answer within a second");
    answered.recv_timeout(PATIENCE).unwrap_or_else(|_| Err(silent()))
}

pub(super) fn kubernetes(context: &Context) -> Finding {
    let home = std::env::home_dir().map(|home| home.join(".kube/config"));
    match access(std::env::var_os("KUBECONFIG"), home.as_deref(), Path::new(SERVICE_ACCOUNT)) {
        Ok(how) => Finding::ok(how),
        Err(_) if !context.kubernetes_node() => Finding::ok("not a Kubernetes node"),
        Err(why) => Finding::degraded(
            why,
            vec![
                "export KUBECONFIG=FILE".to_owned(),
                "in the pod: a serviceAccountName that may list pods, services and networkpolicies".to_owned(),
            ],
        ),
    }
}

/// How the API server would be asked; nothing is read but whether the files are there.
fn access(kubeconfig: Option<OsString>, home: Option<&Path>, service_account: &Path) -> Result<String, String> {
    if let Some(paths) = kubeconfig.filter(|paths| !paths.is_empty()) {
        return match std::env::split_paths(&paths).find(|path| path.is_file()) {
            Some(path) => Ok(format!("KUBECONFIG: {}", path.display())),
            None => Err(format!("KUBECONFIG names no file that is there: {}", paths.to_string_lossy())),
        };
    }
    if service_account.is_file() {
        return Ok("the pod's service account".to_owned());
    }
    match home {
        Some(path) if path.is_file() => Ok(path.display().to_string()),
        _ => Err("no KUBECONFIG, no service account, no ~/.kube/config".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Removed when dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wd-doctor-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_socket_counts_only_when_somebody_listens() {
        let scratch = Scratch::new("socket");
        let path = scratch.0.join("containerd.sock");
        let listener = UnixListener::bind(&path).unwrap();
        assert!(connect(&path).is_ok());
        drop(listener);
        let error = connect(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "a socket that a dead runtime left");
        assert!(connect(&scratch.0.join("none")).is_err());
    }

    #[test]
    fn access_is_looked_for_in_the_order_of_kubectl() {
        let scratch = Scratch::new("access");
        let file = scratch.0.join("config");
        std::fs::write(&file, "").unwrap();
        let nowhere = scratch.0.join("none");
        let list = Some(std::env::join_paths([&nowhere, &file]).unwrap());
        assert!(access(list, None, &nowhere).unwrap().ends_with("/config"));
        assert!(
            access(Some("/nonexistent".into()), Some(&file), &file).is_err(),
            "a wrong KUBECONFIG is not passed over"
        );
        assert_eq!(access(None, Some(&file), &file).unwrap(), "the pod's service account");
        assert!(access(Some("".into()), Some(&file), &nowhere).unwrap().ends_with("/config"));
        assert!(access(None, None, &nowhere).is_err());
    }
}
