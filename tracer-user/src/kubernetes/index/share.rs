//! Text that many pods have in common, kept once.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use tracer_policy::model::{Labels, Pod, Text};

/// Nothing is thrown away before there are so many.
const FEW: usize = 1024;

/// Namespaces, nodes, workloads, and labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    texts: HashSet<Text>,
    labels: HashSet<Labels>,
    /// How many there may be before those that no pod has are looked for.
    most: usize,
}

impl Shared {
    /// Puts what other pods have in the place of the pod's own copies.
    pub(super) fn share(&mut self, pod: &mut Pod) {
        if self.texts.len() + self.labels.len() > self.most.max(FEW) {
            self.texts.retain(|text| Arc::strong_count(text) > 1);
            // How many have a set of labels is not told: what is still in use comes back with the next pod.
            self.labels.clear();
            self.most = self.texts.len() * 2;
        }
        let workload = pod.workload.iter_mut().flat_map(|workload| [&mut workload.kind, &mut workload.name]);
        for text in
            [&mut pod.id.namespace].into_iter().chain(&mut pod.node).chain(&mut pod.service_account).chain(workload)
        {
            one(&mut self.texts, text);
        }
        if let Some(known) = self.labels.get(&pod.labels) {
            pod.labels = known.clone();
            return;
        }
        let texts = &mut self.texts;
        let mut text = |text: &str| {
            if let Some(known) = texts.get(text) {
                return Arc::clone(known);
            }
            let new: Text = text.into();
            texts.insert(Arc::clone(&new));
            new
        };
        let labels = Labels::new(pod.labels.iter().map(|(key, value)| (text(key), text(value))).collect::<Vec<_>>());
        self.labels.insert(labels.clone());
        pod.labels = labels;
    }
}

fn one<T: Clone + Eq + Hash>(known: &mut HashSet<T>, value: &mut T) {
    match known.get(value) {
        Some(same) => *value = same.clone(),
        None => {
            known.insert(value.clone());
        }
    }
}
