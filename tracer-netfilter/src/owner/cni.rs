//! Network plugins of Kubernetes that are known by names alone: their policies are elsewhere (eBPF, Open vSwitch).

use super::Owner;
use super::case::{Case, kubectl};

/// A plugin: its name, how its chains and tables start, words of its comments, what its rules mean, and where to look.
struct Plugin {
    name: &'static str,
    chains: &'static [&'static str],
    tables: &'static [&'static str],
    comments: &'static [&'static str],
    note: &'static str,
    remedy: &'static [&'static str],
}

const PLUGINS: &[Plugin] = &[
    Plugin {
        name: "cilium",
        chains: &["CILIUM_", "OLD_CILIUM_"],
        tables: &["cilium"],
        comments: &["cilium:"],
        note: "",
        remedy: &[
            "kubectl -n kube-system exec ds/cilium -- cilium-dbg monitor --type drop",
            "kubectl get ciliumnetworkpolicy,ciliumclusterwidenetworkpolicy,networkpolicy -A",
        ],
    },
    Plugin {
        name: "flannel",
        chains: &["FLANNEL-"],
        tables: &["flannel-ipv4", "flannel-ipv6"],
        comments: &["flanneld "],
        note: "",
        remedy: &["kubectl -n kube-flannel get configmap kube-flannel-cfg -o yaml"],
    },
    Plugin {
        name: "antrea",
        chains: &["ANTREA-"],
        tables: &["antrea"],
        comments: &["Antrea:"],
        note: "",
        remedy: &[
            "antctl get networkpolicy",
            "kubectl get antreanetworkpolicies,clusternetworkpolicies,networkpolicy -A",
        ],
    },
    Plugin {
        name: "ovn-kubernetes",
        chains: &["OVN-KUBE-"],
        tables: &["ovn-kubernetes"],
        comments: &["OVN "],
        note: "",
        remedy: &["kubectl get networkpolicy,adminnetworkpolicy -A", "kubectl get egressfirewall,egressip -A"],
    },
    Plugin {
        name: "aws-vpc-cni",
        chains: &["AWS-"],
        tables: &["aws-"],
        comments: &["AWS, "],
        note: "",
        remedy: &["kubectl -n kube-system logs ds/aws-node --tail=100", "kubectl get policyendpoints,networkpolicy -A"],
    },
    Plugin {
        name: "kube-network-policies",
        chains: &["kube-network-policies"],
        tables: &["kube-network-policies", "kindnet-network-policies"],
        comments: &[],
        note: "packets go to a program by a queue, and are dropped while it does not run",
        remedy: &[
            "kubectl -n kube-system get pods -l app=kube-network-policies -o wide",
            "kubectl get networkpolicy -A",
        ],
    },
    Plugin {
        name: "weave",
        chains: &["WEAVE-"],
        tables: &["weave"],
        comments: &[],
        note: "no rule of the NetworkPolicies that select the pod allows it",
        remedy: &["kubectl get networkpolicy -A"],
    },
    Plugin {
        name: "cni-portmap",
        chains: &["CNI-HOSTPORT", "CNI-DN-", "CNI-SN-"],
        tables: &["cni_hostport"],
        comments: &[],
        note: "",
        remedy: &["kubectl get pods -A -o jsonpath='{..hostPort}'"],
    },
    Plugin {
        name: "cni-firewall",
        chains: &["CNI-FORWARD", "CNI-ADMIN", "CNI-ISOLATION-"],
        tables: &[],
        comments: &["CNI firewall plugin"],
        note: "the plugin keeps networks of its own apart from each other",
        remedy: &["put both workloads into the same network, or allow the pair in the chain CNI-ADMIN"],
    },
];

pub(super) fn recognise(case: &Case<'_>) -> Option<Owner> {
    let owner = PLUGINS.iter().find_map(|plugin| plugin.recognise(case))?;
    Some(match owner.name {
        "antrea" => antrea(case, owner),
        "ovn-kubernetes" if case.chain.name == "udn-isolation" => isolated(owner),
        _ => owner,
    })
}

/// A policy for nodes is in iptables: `Antrea: for rule <id>, policy AntreaClusterNetworkPolicy:<name>`.
fn antrea(case: &Case<'_>, mut owner: Owner) -> Owner {
    let named = |comment: &str| Some(comment.split_once(", policy ")?.1.split_once(':')?.1.to_owned());
    if let Some(name) = case.comment(named) {
        owner.note = format!("the policy {name} for nodes denies it");
        owner.remedy.insert(0, kubectl(None, "describe clusternetworkpolicies.crd.antrea.io", &name));
    }
    owner
}

/// The chain `udn-isolation`.
fn isolated(mut owner: Owner) -> Owner {
    "a pod of a user defined network is not to be reached from the host by its address in the default network"
        .clone_into(&mut owner.note);
    let open =
        "open the port with the annotation k8s.ovn.org/open-default-ports of the pod, or ask it inside its network";
    owner.remedy.insert(0, open.to_owned());
    owner
}

impl Plugin {
    fn recognise(&self, case: &Case<'_>) -> Option<Owner> {
        let starts = |text: &str, with: &[&str]| with.iter().any(|start| text.starts_with(start));
        let by_chain = case.chain_on_path(|name| starts(name, self.chains)).map(|chain| format!("the chain {chain}"));
        let by_table = || starts(&case.table.name, self.tables).then(|| format!("the table {}", case.table.name));
        let by_comment = || {
            let found = case.comments.iter().find(|comment| starts(comment, self.comments));
            found.map(|comment| format!("the comment \"{comment}\""))
        };
        let why = by_chain.or_else(by_table).or_else(by_comment)?;
        let mut owner = Owner::new(self.name, why).note(self.note);
        owner.remedy.extend(self.remedy.iter().map(|remedy| (*remedy).to_owned()));
        Some(owner)
    }
}
