//! Which pods a run is about: `--pod`, `--namespace`, `--selector`.
//!
//! Rule: what is selected follows the pods: one that comes later with the label is in, one that goes is out.

mod follow;
mod parse;
mod syntax;

use std::collections::HashSet;
use std::fmt::{self, Display, Write};
use std::net::IpAddr;

use tracer_policy::model::{ObjectName, Pod, Selector};

use super::{Index, KubernetesError};
use crate::settings::shortened;

pub use follow::{Changes, Following, Key};

/// Pods that are asked for; a pod is in if each of the conditions that are given holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub pods: Vec<ObjectName>,
    pub namespaces: Vec<String>,
    pub selector: Option<Selector>,
    /// The selector, as it was typed.
    typed: String,
}

/// Where their packets are seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Network namespaces of those of this node.
    pub netns: HashSet<u32>,
    /// Addresses of those of this node.
    pub local: HashSet<IpAddr>,
    /// Addresses of all of them.
    pub addresses: HashSet<IpAddr>,
    /// Those that use their node's network: nothing tells their packets from the node's own.
    pub on_host_network: Vec<ObjectName>,
}

impl Selection {
    /// From the flags; a selector is written as for kubectl.
    ///
    /// # Errors
    /// [`KubernetesError`] for the first value that can't be meant.
    pub fn parse(pods: &[String], namespaces: &[String], selector: Option<&str>) -> Result<Self, KubernetesError> {
        let wrong = |name: &&String| !syntax::is_object_name(name);
        if let Some(name) = namespaces.iter().find(wrong) {
            return Err(KubernetesError::Namespace(shortened(name)));
        }
        let problem =
            |problem| KubernetesError::Selector { selector: selector.map(shortened).unwrap_or_default(), problem };
        Ok(Self {
            pods: pods.iter().map(|pod| named(pod, namespaces)).collect::<Result<_, _>>()?,
            namespaces: namespaces.to_vec(),
            selector: selector.map(parse::selector).transpose().map_err(problem)?,
            typed: selector.map(shortened).unwrap_or_default(),
        })
    }

    /// Nothing is asked for: everything is in.
    pub fn is_empty(&self) -> bool {
        self.pods.is_empty() && self.namespaces.is_empty() && self.selector.is_none()
    }

    pub fn matches(&self, pod: &Pod) -> bool {
        self.has_name(&pod.id.namespace, &pod.id.name)
            && self.selector.as_ref().is_none_or(|selector| selector.matches(&pod.labels))
    }

    /// Whether the name is one of those that are asked for, whatever the labels.
    pub fn has_name(&self, namespace: &str, name: &str) -> bool {
        let is_it = |pod: &ObjectName| (&*pod.namespace, &*pod.name) == (namespace, name);
        (self.pods.is_empty() || self.pods.iter().any(is_it))
            && (self.namespaces.is_empty() || self.namespaces.iter().any(|wanted| wanted == namespace))
    }

    /// Where the selected pods are now. One that has ended has no address any more.
    pub fn reach(&self, index: &Index) -> Reached {
        let mut reached = Reached::default();
        for pod in index.world().pods().filter(|pod| self.matches(pod) && !pod.is_finished) {
            if pod.host_network {
                reached.on_host_network.push(pod.id.clone());
                continue;
            }
            let netns = index.netns_of(&pod.id);
            reached.netns.extend(netns);
            reached.addresses.extend(&pod.addresses);
            if netns.is_some() {
                reached.local.extend(&pod.addresses);
            }
        }
        reached.on_host_network.sort();
        reached
    }
}

/// A pod as it was typed.
fn named(pod: &str, namespaces: &[String]) -> Result<ObjectName, KubernetesError> {
    let (namespace, name) = match (pod.split_once('/'), namespaces) {
        (Some(names), _) => names,
        (None, [namespace]) => (namespace.as_str(), pod),
        (None, _) => return Err(KubernetesError::Pod(shortened(pod))),
    };
    if syntax::is_object_name(namespace) && syntax::is_object_name(name) {
        Ok(ObjectName::new(namespace, name))
    } else {
        Err(KubernetesError::Pod(shortened(pod)))
    }
}

/// The flags that say the same.
impl Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut flags = Vec::new();
        let mut list = |flag: &str, values: String| {
            if !values.is_empty() {
                flags.push(format!("--{flag} {values}"));
            }
        };
        list("pod", joined(&self.pods));
        list("namespace", joined(&self.namespaces));
        if self.selector.is_some() {
            list("selector", format!("'{}'", self.typed));
        }
        f.write_str(&flags.join(" "))
    }
}

/// The first few of them, with commas.
fn joined(values: &[impl Display]) -> String {
    const MOST: usize = 4;
    let mut text = String::new();
    for (number, value) in values.iter().take(MOST).enumerate() {
        let _infallible = write!(text, "{}{value}", if number == 0 { "" } else { "," });
    }
    if values.len() > MOST {
        text.push_str(",…");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(pods: &[&str], namespaces: &[&str], selector: Option<&str>) -> Result<Selection, String> {
        let owned = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect::<Vec<_>>();
        Selection::parse(&owned(pods), &owned(namespaces), selector).map_err(|error| error.to_string())
    }

    fn pod(namespace: &str, name: &str, labels: &[(&str, &str)]) -> Pod {
        Pod { labels: labels.iter().copied().collect(), ..Pod::new(namespace, name, "u") }
    }

    #[test]
    fn each_condition_that_is_given_holds() {
        let (web, db) = (pod("shop", "web-0", &[("app", "web")]), pod("shop", "db-0", &[("app", "db")]));
        let other = pod("other", "web-0", &[("app", "web")]);
        let chosen = |selection: Result<Selection, String>| {
            let selection = selection.unwrap();
            [&web, &db, &other].map(|pod| selection.matches(pod))
        };
        assert_eq!(chosen(selection(&[], &[], None)), [true; 3]);
        assert_eq!(chosen(selection(&["shop/web-0"], &[], None)), [true, false, false]);
        assert_eq!(chosen(selection(&["web-0", "db-0"], &["shop"], None)), [true, true, false]);
        assert_eq!(chosen(selection(&[], &["shop"], Some("app=web"))), [true, false, false]);
        assert_eq!(chosen(selection(&[], &["shop", "other"], Some("app!=db"))), [true, false, true]);
        assert_eq!(chosen(selection(&[], &[], Some(""))), [true; 3]);
    }

    #[test]
    fn what_can_t_be_meant_is_refused_with_its_name() {
        for pod in ["web-0", "shop/", "/web-0", "shop/web/0", "shop/Web", ""] {
            assert_eq!(selection(&[pod], &[], None).unwrap_err(), KubernetesError::Pod(pod.to_owned()).to_string());
        }
        assert!(selection(&["web-0"], &["shop", "other"], None).unwrap_err().contains("with one --namespace"));
        assert!(selection(&[], &["Shop"], None).unwrap_err().starts_with("--namespace Shop: "));
        let refused = selection(&[], &[], Some("app=web=x")).unwrap_err();
        assert!(refused.starts_with("--selector app=web=x: `=` stands where a comma"), "{refused}");
        let long = "x".repeat(4 << 20);
        for refused in
            [selection(&[&long], &[], None), selection(&[], &[&long], None), selection(&[], &[], Some(&long))]
        {
            assert!(refused.unwrap_err().len() < 500);
        }
    }

    #[test]
    fn it_is_shown_as_the_flags_that_were_given() {
        let shown = selection(&["web-0"], &["shop"], Some("app = web")).unwrap().to_string();
        assert_eq!(shown, "--pod shop/web-0 --namespace shop --selector 'app = web'");
        let many = selection(&["a", "b", "c", "d", "e"], &["n"], None).unwrap().to_string();
        assert_eq!(many, "--pod n/a,n/b,n/c,n/d,… --namespace n");
    }
}
