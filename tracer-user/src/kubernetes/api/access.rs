//! How the Kubernetes API is reached: a kubeconfig, or the pod's service account.
//!
//! Rule: what was asked for by name and can't be used is said; what was only looked for and is not there is not. Files are read again
//! whenever the server does not accept the credentials: kubelet's certificate and tokens are renewed while we run.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use super::plugin;
use crate::kubernetes::KubernetesError;

const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Where `kubectl debug node/…` and most manifests mount the node's root.
const HOST: &str = "/host";
const CONNECT: Duration = Duration::from_secs(10);
/// Links from one file to the next that are followed, as the kernel does (`MAXSYMLINKS` is 40).
const LINKS: usize = 8;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// `--kubeconfig`
    Given(PathBuf),
    /// `KUBECONFIG`: its files are put together, the first has precedence.
    Environment(Vec<PathBuf>),
    ServiceAccount,
    /// `~/.kube/config`
    Home(PathBuf),
}

impl Access {
    /// In this order; nothing is read but whether the files are there.
    pub(crate) fn find(given: Option<&Path>) -> Result<Self, String> {
        if let Some(path) = given {
            return Ok(Self::Given(path.to_owned()));
        }
        let home = std::env::home_dir().map(|home| home.join(".kube/config"));
        Self::among(std::env::var_os("KUBECONFIG"), home.as_deref(), Path::new(SERVICE_ACCOUNT))
    }

    fn among(variable: Option<OsString>, home: Option<&Path>, service_account: &Path) -> Result<Self, String> {
        if let Some(paths) = variable.filter(|paths| !paths.is_empty()) {
            let files: Vec<PathBuf> = std::env::split_paths(&paths).filter(|path| path.is_file()).collect();
            return if files.is_empty() {
                Err(format!("KUBECONFIG names no file that is there: {}", paths.to_string_lossy()))
            } else {
                Ok(Self::Environment(files))
            };
        }
        if service_account.is_file() {
            return Ok(Self::ServiceAccount);
        }
        match home {
            Some(path) if path.is_file() => Ok(Self::Home(path.to_owned())),
            _ => Err("no KUBECONFIG, no service account, no ~/.kube/config".to_owned()),
        }
    }

    /// A client, from the files as they are now.
    pub(super) async fn client(&self) -> Result<Client, KubernetesError> {
        let wrong = |problem: String| KubernetesError::Kubeconfig { file: self.to_string(), problem };
        let mut config = match self {
            Self::ServiceAccount => Config::incluster().map_err(|error| wrong(said(&error)))?,
            Self::Given(file) | Self::Home(file) => read(std::slice::from_ref(file)).await.map_err(wrong)?,
            Self::Environment(files) => read(files).await.map_err(wrong)?,
        };
        plugin::run(&mut config.auth_info).await.map_err(wrong)?;
        config.connect_timeout = Some(CONNECT);
        // Asking again is decided here, where it can be told.
        config.default_retry = false;
        Client::try_from(config).map_err(|error| wrong(said(&error)))
    }
}

/// `KUBECONFIG: /root/kubeconfig`, `the pod's service account`
impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ServiceAccount => f.write_str("the pod's service account"),
            Self::Given(file) | Self::Home(file) => write!(f, "{}", file.display()),
            Self::Environment(files) => {
                let first = files.first().map(|file| file.display().to_string()).unwrap_or_default();
                write!(f, "KUBECONFIG: {first}")
            }
        }
    }
}

/// An error with what caused it: kube's own text often leaves the cause out.
pub(super) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

async fn read(files: &[PathBuf]) -> Result<Config, String> {
    let mut merged = Kubeconfig::default();
    for file in files {
        let mut config = Kubeconfig::read_from(file).map_err(|error| said(&error))?;
        if file.starts_with(HOST) {
            below(Path::new(HOST), &mut config);
        }
        merged = merged.merge(config).map_err(|error| said(&error))?;
    }
    Config::from_custom_kubeconfig(merged, &KubeConfigOptions::default()).await.map_err(|error| said(&error))
}

/// Files that the node's kubeconfig names by their place on the node.
fn below(root: &Path, config: &mut Kubeconfig) {
    for cluster in config.clusters.iter_mut().filter_map(|named| named.cluster.as_mut()) {
        move_below(root, &mut cluster.certificate_authority);
    }
    for user in config.auth_infos.iter_mut().filter_map(|named| named.auth_info.as_mut()) {
        for file in [&mut user.client_certificate, &mut user.client_key, &mut user.token_file] {
            move_below(root, file);
        }
    }
}

fn move_below(root: &Path, file: &mut Option<String>) {
    let Some(path) = file.as_ref().map(Path::new).filter(|path| !path.exists() || path.starts_with(root)) else {
        return;
    };
    let inside = path.strip_prefix(root).unwrap_or(path);
    if let Some(found) = resolve(root, inside).and_then(|found| found.to_str().map(str::to_owned)) {
        *file = Some(found);
    }
}

/// The file that `path` is on a node whose root is `root`. Links are followed there: kubelet's certificate is one, and absolute.
fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    let inside = |path: &Path| {
        let parts = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
        root.join(parts.collect::<PathBuf>())
    };
    let mut place = inside(path);
    for _ in 0..LINKS {
        let Ok(target) = fs::read_link(&place) else {
            return place.is_file().then_some(place);
        };
        place = if target.is_absolute() { inside(&target) } else { place.parent()?.join(target) };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removed when dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("wd-access-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn access_is_looked_for_in_the_order_of_kubectl() {
        let scratch = Scratch::new("order");
        let file = scratch.0.join("config");
        fs::write(&file, "").unwrap();
        let nowhere = scratch.0.join("none");
        let list = Some(std::env::join_paths([&nowhere, &file]).unwrap());
        assert_eq!(Access::among(list, None, &nowhere), Ok(Access::Environment(vec![file.clone()])));
        let wrong = Access::among(Some("/nonexistent".into()), Some(&file), &file);
        assert!(wrong.is_err(), "a wrong KUBECONFIG is not passed over");
        assert_eq!(Access::among(None, Some(&file), &file), Ok(Access::ServiceAccount));
        assert_eq!(Access::among(Some("".into()), Some(&file), &nowhere), Ok(Access::Home(file.clone())));
        assert!(Access::among(None, None, &nowhere).is_err());
        assert_eq!(Access::find(Some(&nowhere)), Ok(Access::Given(nowhere.clone())), "it is said later what is wrong");
    }

    #[test]
    fn kubelets_certificate_is_found_below_the_mounted_root_although_it_is_an_absolute_link() {
        let scratch = Scratch::new("host");
        let pki = scratch.0.join("var/lib/wd-kubelet/pki");
        fs::create_dir_all(&pki).unwrap();
        let real = pki.join("client-2026.pem");
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink("/var/lib/wd-kubelet/pki/client-2026.pem", pki.join("current.pem")).unwrap();
        let mut file = Some("/var/lib/wd-kubelet/pki/current.pem".to_owned());
        move_below(&scratch.0, &mut file);
        assert_eq!(file.as_deref(), real.to_str());
        let mut missing = Some("/var/lib/wd-kubelet/none.pem".to_owned());
        move_below(&scratch.0, &mut missing);
        assert_eq!(missing.as_deref(), Some("/var/lib/wd-kubelet/none.pem"), "the error names what the file names");
        std::os::unix::fs::symlink("loop.pem", pki.join("loop.pem")).unwrap();
        assert_eq!(resolve(&scratch.0, Path::new("/var/lib/wd-kubelet/pki/loop.pem")), None);
    }

    #[tokio::test]
    async fn a_file_that_is_no_kubeconfig_is_named() {
        let scratch = Scratch::new("wrong");
        let file = scratch.0.join("config");
        fs::write(&file, "clusters: 5").unwrap();
        let error = Access::Given(file.clone()).client().await.err().unwrap().to_string();
        assert!(error.starts_with(&format!("can't use {} for the Kubernetes API: ", file.display())), "{error}");
        let error = Access::Given(scratch.0.join("none")).client().await.err().unwrap().to_string();
        assert!(error.contains("No such file"), "{error}");
    }
}
