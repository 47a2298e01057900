//! Which pods a run is about: `--pod`, `--namespace`, `--selector`.
//!
//! Rule: what is selected follows the pods: one that comes later with the label is in, one that goes is out.

use std::collections::HashSet;
use std::net::IpAddr;

use tracer_policy::model::{ObjectName, Pod, Selector};

use super::{Index, KubernetesError};

/// Pods that are asked for; a pod is in if each of the conditions that are given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub pods: Vec<ObjectName>,
    pub namespaces: Vec<String>,
    pub selector: Option<Selector>,
}

/// Where their packets are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Network namespaces of those of this node.
    pub netns: HashSet<u32>,
    pub addresses: HashSet<IpAddr>,
}

impl Selection {
    /// From the flags; a selector is written as for kubectl.
    pub fn parse(pods: &[String], namespaces: &[String], selector: Option<&str>) -> Result<Self, KubernetesError> {
        let pods = pods.iter().map(|pod| {
            let (namespace, name) = pod.split_once('/').ok_or_else(|| KubernetesError::Pod(pod.clone()))?;
            Ok(ObjectName::new(namespace, name))
        });
        let _ = selector;
        Ok(Self { pods: pods.collect::<Result<_, _>>()?, namespaces: namespaces.to_vec(), selector: None })
    }

    /// Nothing is asked for: everything is in.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.namespaces.is_empty() && self.selector.is_none()
    }

    pub fn matches(&self, pod: &Pod) -> bool {
        (self.pods.is_empty() || self.pods.contains(&pod.id))
            && (self.namespaces.is_empty() || self.namespaces.iter().any(|name| **name == *pod.id.namespace))
            && self.selector.as_ref().is_none_or(|selector| selector.matches(&pod.labels))
    }

    /// Where the selected pods are now.
    pub fn reach(&self, index: &Index) -> Reached {
        let mut reached = Reached::default();
        for pod in index.world().pods().filter(|pod| self.matches(pod)) {
            reached.netns.extend(index.netns_of(&pod.id));
            reached.addresses.extend(pod.addresses.iter().filter(|_| !pod.host_network));
        }
        reached
    }
}
