//! `whydrop policy matrix`: every pod to every other.

use std::fmt::Write;
use std::sync::Arc;

use tracer_policy::World;
use tracer_policy::evaluate::{Connection, Verdict, evaluate};
use tracer_policy::model::{Pod, Protocol};

use super::Resolved;
use super::report::Line;
use crate::kubernetes::Selection;
use crate::sink::printable;

/// Columns that a table for people may have.
const MOST_COLUMNS: usize = 60;

/// The pods that are asked about, in the order of namespace and name.
#[derive(Clone, Debug)]
pub struct Matrix<'a> {
    world: &'a World,
    pods: Vec<Resolved>,
    protocol: Protocol,
}

/// All pods that are selected; all of the cluster if nothing is.
pub fn matrix<'a>(world: &'a World, selection: &Selection, port: u16, protocol: Protocol) -> Matrix<'a> {
    let is_asked = |pod: &&Arc<Pod>| !pod.is_finished && selection.matches(pod);
    let mut pods: Vec<&Arc<Pod>> = world.pods().filter(is_asked).collect();
    pods.sort_by(|a, b| a.id.cmp(&b.id));
    Matrix { world, pods: pods.into_iter().map(|pod| Resolved::pod(pod, port)).collect(), protocol }
}

impl Matrix<'_> {
    /// Pods in it.
    pub fn len(&self) -> usize {
        self.pods.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Each pair of different pods, one after the other: a large cluster has millions.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let pairs = self.pods.iter().flat_map(|from| self.pods.iter().map(move |to| (from, to)));
        pairs.filter(|(from, to)| from.name != to.name).map(|(from, to)| {
            let connection =
                Connection { source: from.end(), destination: to.end(), protocol: self.protocol, port: to.port };
            Line::new(from, to, self.protocol, &evaluate(self.world, &connection))
        })
    }

    /// A table for people: a row for who begins, a column for whom it is for.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let Some(port) = self.pods.first().map(|pod| pod.port) else {
            return "there is no pod to ask about\n".to_owned();
        };
        let _ = writeln!(
            text,
            "{} {port}: . allowed, X denied, ? not decided; columns are numbered as rows",
            self.protocol
        );
        if self.pods.len() > MOST_COLUMNS {
            let count = self.pods.len();
            let _ = writeln!(
                text,
                "{count} pods are too many for a table: choose with --namespace or --selector, or use -o json"
            );
            return text;
        }
        let width = self.pods.iter().map(|pod| pod.name.chars().count()).max().unwrap_or(0);
        let _ = write!(text, "    {:width$}", "");
        for number in 1..=self.pods.len() {
            let _ = write!(text, "{number:>3}");
        }
        text.push('\n');
        for (number, from) in self.pods.iter().enumerate() {
            let _ = write!(text, "{:>3} {:width$}", number + 1, printable(&from.name));
            for to in &self.pods {
                let _ = write!(text, "{:>3}", self.cell(from, to));
            }
            text.push('\n');
        }
        text
    }

    fn cell(&self, from: &Resolved, to: &Resolved) -> char {
        let connection =
            Connection { source: from.end(), destination: to.end(), protocol: self.protocol, port: to.port };
        match evaluate(self.world, &connection).verdict() {
            Verdict::Allowed => '.',
            Verdict::Denied => 'X',
            Verdict::Unknown => '?',
        }
    }
}
