//! The container runtime and the cluster, as far as names come from them.
//!
//! Rule: a machine that is no Kubernetes node lacks nothing. The runtime is asked for its version and nothing else; access to the
//! cluster is looked for, not used.

use std::ffi::OsString;
use std::path::Path;

use super::check::Finding;
use super::context::Context;
use super::fix;
use crate::kubernetes::cri::socket::{self, Place};
use crate::kubernetes::cri::{self, Fault};

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

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
