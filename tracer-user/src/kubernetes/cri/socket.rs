//! Where container runtimes listen.
//!
//! Rule: one list for all who look: here and in `doctor`.

use std::path::{Path, PathBuf};

use crate::host::root;

/// Where runtimes listen by default: containerd, CRI-O, cri-dockerd, k3s and RKE2, k0s, MicroK8s.
const SOCKETS: [&str; 6] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];

/// One runtime's place: the paths by which its socket may be reached from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    paths: Vec<PathBuf>,
    /// The user named it.
    pub is_given: bool,
}

impl Place {
    /// One that the user named, as a path or as kubelet and crictl have it: `unix:///run/crio/crio.sock`.
    pub fn given(path: &Path) -> Self {
        let plain = path.to_str().and_then(|text| text.strip_prefix("unix://"));
        Self { paths: vec![plain.map_or_else(|| path.to_owned(), PathBuf::from)], is_given: true }
    }

    /// The paths at which there is something now.
    pub fn present(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().map(PathBuf::as_path).filter(|path| path.exists())
    }

    /// The path that sentences name.
    pub fn name(&self) -> &Path {
        self.paths.first().map_or(Path::new(""), PathBuf::as_path)
    }
}

/// The usual places of all runtimes, here and below the root of the node.
pub fn usual() -> Vec<Place> {
    SOCKETS.iter().map(|path| Place { paths: root::places(path).collect(), is_given: false }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_may_be_given_as_kubelet_has_it() {
        let plain = Place::given(Path::new("/run/crio/crio.sock"));
        assert_eq!(Place::given(Path::new("unix:///run/crio/crio.sock")), plain);
        assert_eq!((plain.name(), plain.present().count()), (Path::new("/run/crio/crio.sock"), 0));
        assert_eq!(Place::given(Path::new("/dev/null")).present().count(), 1);
    }

    #[test]
    fn the_usual_places_are_looked_for_below_the_host_as_well() {
        let places = usual();
        assert_eq!((places.len(), places[1].paths.len()), (SOCKETS.len(), 3));
        assert_eq!(places[1].paths[1], Path::new("/host/run/crio/crio.sock"));
        assert!(places.iter().all(|place| !place.is_given));
    }
}
