//! The container runtime and the cluster, as far as names come from them.
//!
//! Rule: a machine that is no Kubernetes node lacks nothing. Access is looked for, not used: no request is sent.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use super::check::Finding;
use super::context::Context;
use super::fix;
use crate::kubernetes::api::access::Access;

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
    match Access::find(None) {
        Ok(how) => Finding::ok(how.to_string()),
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
}
