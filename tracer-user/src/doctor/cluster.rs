//! The container runtime and the cluster, as far as names come from them.
//!
//! Rule: a machine that is no Kubernetes node lacks nothing. The runtime is asked for its version and nothing else; access to the
//! cluster is looked for, not used.

use std::path::Path;

use super::check::Finding;
use super::context::Context;
use super::fix;
use crate::kubernetes::api::access::Access;
use crate::kubernetes::cri::socket::{self, Place};
use crate::kubernetes::cri::{self, Fault};

pub(super) fn cri(context: &Context) -> Finding {
    let places = socket::usual();
    let found: Vec<&Path> = places.iter().flat_map(Place::present).collect();
    if found.is_empty() {
        return no_socket(context);
    }
    let mut first = None;
    for path in found {
        match cri::version(path) {
            Ok(version) => return Finding::ok(format!("{version} at {}", path.display())),
            Err(fault) => first = first.or(Some((path, fault))),
        }
    }
    let Some((path, fault)) = first else { return no_socket(context) };
    if !context.kubernetes_node() && matches!(fault, Fault::Other { .. }) {
        return Finding::ok(format!("{fault}; this is no Kubernetes node, so there are no pods to name"));
    }
    let fix = if fault.is_permission() {
        fix::privileges(context)
    } else {
        let unit = if path.ends_with("crio.sock") { "crio" } else { "containerd" };
        vec![format!("systemctl status {unit}")]
    };
    Finding::degraded(fault.to_string(), fix)
}

fn no_socket(context: &Context) -> Finding {
    if !context.kubernetes_node() {
        return Finding::ok("no container runtime here, so there are no pods to name");
    }
    let mut fix = fix::privileges(context);
    fix.push("mount the node's /run at /host/run, or / at /host".to_owned());
    Finding::degraded("no runtime socket in the usual places, here or below /host", fix)
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
    use std::path::PathBuf;

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
        assert!(
            matches!(cri::version(&path).unwrap_err(), Fault::Silent { .. }),
            "it takes connections and says nothing"
        );
        drop(listener);
        let fault = cri::version(&path).unwrap_err();
        assert!(fault.to_string().contains("refused"), "a socket that a dead runtime left: {fault}");
        assert!(cri::version(&scratch.0.join("none")).is_err());
    }
}
