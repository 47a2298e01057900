//! The world that is asked: the cluster as it is now, or manifests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tracer_policy::World;
use tracer_policy::read::Object;

use super::{PolicyError, manifests};
use crate::kubernetes::{self, Plan};

/// How long the first lists of a cluster may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// Objects of files.
#[derive(Clone, Debug, Default)]
pub struct Objects(pub(super) Vec<Object>);

impl Objects {
    /// # Errors
    /// [`PolicyError`] if a file can't be read, or holds what is no manifest.
    pub fn read(path: &Path) -> Result<Self, PolicyError> {
        Ok(Self(manifests::objects(path)?))
    }

    pub fn add(&mut self, more: Self) {
        self.0.extend(more.0);
    }
}

/// The world of these manifests, or that of the cluster if there are none.
///
/// # Errors
/// [`PolicyError`] if a manifest can't be read, or the cluster does not tell its policies.
pub fn world(manifests: &[PathBuf], cluster: Plan) -> Result<World, PolicyError> {
    if manifests.is_empty() {
        return of_cluster(cluster);
    }
    let mut world = World::default();
    for path in manifests {
        Objects::read(path)?.0.into_iter().for_each(|object| world.add(object));
    }
    world.set_knows_policies(true);
    Ok(world)
}

fn of_cluster(plan: Plan) -> Result<World, PolicyError> {
    let directory = kubernetes::spawn(plan).map_err(|error| PolicyError::Cluster(error.to_string()))?;
    directory.wait_for_first_listing(PATIENCE);
    let world = directory.read().world().clone();
    if world.knows_policies() {
        return Ok(world);
    }
    let gaps = directory.gaps();
    let why = if gaps.is_empty() {
        "no Kubernetes API is known here (KUBECONFIG, a service account, ~/.kube/config or --kubeconfig)".to_owned()
    } else {
        gaps.join("; ")
    };
    Err(PolicyError::Cluster(why))
}
