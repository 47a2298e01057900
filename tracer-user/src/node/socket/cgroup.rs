//! What the path of a process's cgroup says: its container, pod and systemd unit.
//!
//! Rule: paths are chosen by container runtimes and may be hostile; only what has the known form is taken. Forms: the
//! cgroup drivers `systemd` and `cgroupfs` of kubelet, and what containerd, CRI-O, Docker and Podman make of them, on
//! cgroup v1, v2 and both.

/// Where a process belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// 64 hexadecimal digits.
    pub container: Option<String>,
    /// The pod's uid, with dashes.
    pub pod: Option<String>,
    /// Its systemd unit: `nginx.service`; none in a container.
    pub unit: Option<String>,
}

/// Prefixes of a container's scope.
const SCOPES: &[&str] = &["cri-containerd-", "crio-", "docker-", "libpod-", "containerd-", ""];

/// Reads `/proc/PID/cgroup` (`hierarchy:controllers:path`); the line that says most wins.
pub(crate) fn place(text: &str) -> Place {
    let mut best = Place::default();
    for path in text.lines().filter_map(|line| line.splitn(3, ':').nth(2)) {
        let found = of_path(path);
        best = Place {
            container: best.container.or(found.container),
            pod: best.pod.or(found.pod),
            unit: best.unit.or(found.unit),
        };
    }
    if best.container.is_some() {
        best.unit = None;
    }
    best
}

fn of_path(path: &str) -> Place {
    let mut found = Place::default();
    for part in path.split('/') {
        if let Some(pod) = pod(part) {
            found.pod = Some(pod);
        } else if let Some(container) = container(part) {
            found.container = Some(container);
        } else if part.ends_with(".service") && part.len() <= 255 {
            found.unit = Some(part.to_owned());
        }
    }
    found
}

/// `kubepods-burstable-pod1c2d…_….slice` or `pod1c2d…-…`.
fn pod(part: &str) -> Option<String> {
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let (before, uid) = match name.strip_prefix("pod") {
        Some(uid) => ("kubepods-", uid),
        None => name.rsplit_once("-pod")?,
    };
    let uid = uid.replace('_', "-");
    // A static pod's uid is a hash of 32 digits.
    let digits = uid.bytes().filter(u8::is_ascii_hexdigit).count();
    let is_uid = digits == 32 && (uid.len() == 32 || uid.len() == 36) && uid.len() - digits == uid.matches('-').count();
    (is_uid && before.contains("kubepods")).then_some(uid)
}

/// The container of a cgroup's directory: `cri-containerd-4f….scope`, `4f…`, or `kubepods-…slice:cri-containerd:4f…`, as runc writes it without systemd.
pub(crate) fn container(part: &str) -> Option<String> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let name = name.rsplit_once(':').map_or(name, |(_, id)| id);
    let id = SCOPES.iter().filter_map(|scope| name.strip_prefix(scope)).find(|id| is_id(id))?;
    Some(id.to_owned())
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f0c1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7";
    const UID: &str = "1c2d3e4f-0a1b-4c2d-9e3f-405162738495";

    #[test]
    fn containers_and_pods_of_all_runtimes() {
        let flat = UID.replace('-', "_");
        let paths = [
            format!(
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{flat}.slice/cri-containerd-{ID}.scope\n"
            ),
            format!("0::/kubepods.slice/kubepods-pod{flat}.slice/crio-{ID}.scope\n"),
            format!(
                "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort-pod{flat}.slice/cri-containerd-{ID}.scope"
            ),
            format!(
                "12:memory:/kubepods/burstable/pod{UID}/{ID}\n1:name=systemd:/kubepods/burstable/pod{UID}/{ID}\n0::/\n"
            ),
            format!(
                "5:cpu,cpuacct:/system.slice/containerd.service/kubepods-besteffort-pod{flat}.slice:cri-containerd:{ID}\n4:pids:/kubepods/pod{UID}/{ID}\n"
            ),
        ];
        for path in paths {
            let found = place(&path);
            assert_eq!((found.container.as_deref(), found.pod.as_deref()), (Some(ID), Some(UID)), "{path}");
            assert_eq!(found.unit, None, "{path}");
        }
    }

    #[test]
    fn containers_without_pods_units_and_neither() {
        for path in [format!("0::/system.slice/docker-{ID}.scope"), format!("3:cpu:/docker/{ID}\n0::/init.scope")] {
            let expected = Place { container: Some(ID.into()), ..Place::default() };
            assert_eq!(place(&path), expected, "{path}");
        }
        let unit = place("0::/system.slice/nginx.service\n");
        assert_eq!(unit, Place { unit: Some("nginx.service".into()), ..Place::default() });
        let user = place("0::/user.slice/user-0.slice/user@0.service/app.slice/web.service\n");
        assert_eq!(user.unit.as_deref(), Some("web.service"));
        let static_pod = place("0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/x");
        assert_eq!(static_pod.pod.as_deref(), Some("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn other_names_are_not_believed() {
        for path in ["", "0::/", "x", "0::", "0::/pod/../pod$(reboot)", "0::/my-podcast.slice/docker-xyz.scope", "::::"]
        {
            assert_eq!(place(path), Place::default(), "{path}");
        }
    }
}
