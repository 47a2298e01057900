//! Literal manifests of each kind, and of each mistake.

mod errors;
mod mutation;
mod objects;
mod policies;
mod tiers;

use super::{Object, file};
use crate::model::{NetworkPolicy, Pod, Policy, TieredPolicy};

/// The objects of a manifest that is right.
fn read(text: &str) -> Vec<Object> {
    file("test.yaml", text).unwrap()
}

fn only(text: &str) -> Object {
    let mut objects = read(text);
    assert_eq!(objects.len(), 1, "{objects:?}");
    objects.remove(0)
}

fn pods(text: &str) -> Vec<Pod> {
    let pod = |object| if let Object::Pod(pod) = object { Some(pod) } else { None };
    read(text).into_iter().filter_map(pod).collect()
}

fn network(text: &str) -> NetworkPolicy {
    match only(text) {
        Object::Policy(policy) => match &*policy {
            Policy::Network(policy) => policy.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn tiered(text: &str) -> TieredPolicy {
    match only(text) {
        Object::Policy(policy) => match &*policy {
            Policy::Tiered(policy) => policy.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// What is told of a manifest with a mistake.
fn mistake(text: &str) -> String {
    file("test.yaml", text).unwrap_err().to_string()
}
