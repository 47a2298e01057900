//! `fromEntities` and `toEntities`.

use std::net::IpAddr;

use super::super::fields::short;
use super::super::question::{Party, Question};
use super::super::truth::Truth;

/// Whether the peer is an entity (pkg/policy/api/entity.go).
pub(super) fn is(question: &Question<'_>, name: &str) -> Truth {
    match name {
        "all" => Truth::Yes,
        "none" => Truth::No,
        "cluster" | "host" | "remote-node" | "world" | "world-ipv4" | "world-ipv6" | "kube-apiserver" | "init"
        | "health" | "unmanaged" | "ingress" => match question.peer {
            Party::Pod(_) => of_pod(name),
            // The address of a cache on the node: which identity it has hangs on where the address is.
            Party::Node(_) | Party::Outside if is_on_link(question.address) => {
                Truth::Unknown("whether an address on the link is the node's or the world's".into())
            }
            Party::Node(node) => of_node(question, name, node),
            Party::Outside => of_world(name, question.address),
        },
        other => Truth::Unknown(format!("the entity {} is not known", short(other))),
    }
}

fn of_pod(name: &str) -> Truth {
    match name {
        "cluster" => Truth::Yes,
        "init" | "health" | "unmanaged" | "ingress" => {
            Truth::Unknown(format!("whether the pod is one of the entity {name}"))
        }
        _ => Truth::No,
    }
}

fn of_node(question: &Question<'_>, name: &str, node: Option<&str>) -> Truth {
    match name {
        "cluster" => Truth::Yes,
        "host" | "remote-node" => host(question, node, name == "host"),
        "kube-apiserver" => api_server(),
        _ => Truth::No,
    }
}

fn of_world(name: &str, address: IpAddr) -> Truth {
    match name {
        "world" => Truth::Yes,
        "world-ipv4" => Truth::of(address.is_ipv4()),
        "world-ipv6" => Truth::of(address.is_ipv6()),
        "kube-apiserver" => api_server(),
        _ => Truth::No,
    }
}

fn api_server() -> Truth {
    Truth::Unknown("whether the peer is a server of the Kubernetes API".into())
}

/// `host` is the pod's own node, `remote-node` each other.
fn host(question: &Question<'_>, node: Option<&str>, is_own: bool) -> Truth {
    match (node, question.subject.node.as_deref()) {
        (Some(peer), Some(own)) => Truth::of((peer == own) == is_own),
        _ => Truth::Unknown("whether the node is the pod's own".into()),
    }
}

pub(super) fn is_on_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
