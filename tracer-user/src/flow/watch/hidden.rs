//! What passes a namespace's devices unseen, as far as it can be told.
//!
//! Rule: only what is found is said, a sentence each. All is read in the calling thread's namespace.

use std::fs;

use aya::programs::{SchedClassifier, TcAttachType};

use super::select::Wanted;
use crate::flow::Role;

/// Pods' ends that are asked for their programs: they all have the same.
const MOST_ASKED: usize = 4;

const CILIUM: &str = "Cilium hands packets over to pods without the host's end of their interface \
    (bpf_redirect_peer): there only what pods send is seen";
const IPVS: &str = "IPVS translates addresses without connection tracking (net.ipv4.vs.conntrack=0): an attempt at a \
    service and the one at its backend are not joined";

/// `devices` are attached to.
pub(super) fn of<'a>(devices: impl Iterator<Item = &'a Wanted>, is_host: bool) -> Vec<String> {
    let devices: Vec<&Wanted> = devices.collect();
    let mut hidden = Vec::new();
    let pods = devices.iter().filter(|wanted| wanted.role == Role::Pod && wanted.peer.is_some()).take(MOST_ASKED);
    if pods.into_iter().any(|pod| is_of_cilium(&pod.name)) {
        hidden.push(CILIUM.to_owned());
    }
    if fs::read_to_string("/proc/thread-self/net/ip_vs").is_ok_and(|text| has_services(&text))
        && fs::read_to_string("/proc/sys/net/ipv4/vs/conntrack").is_ok_and(|text| text.trim() == "0")
    {
        hidden.push(IPVS.to_owned());
    }
    if is_host {
        let cards = devices.iter().filter(|wanted| wanted.kind.is_none());
        hidden.extend(cards.filter_map(|card| virtual_functions(&card.name)));
    }
    hidden
}

/// `cil_from_container` (bpf/bpf_lxc.c; `handle_xgress` before 1.12) is at the end of each of Cilium's pods.
fn is_of_cilium(name: &str) -> bool {
    SchedClassifier::query_tcx(name, TcAttachType::Ingress).is_ok_and(|(_, programs)| {
        programs.iter().any(|program| program.name_as_str().is_some_and(|name| name.starts_with("cil_from_contai")))
    })
}

/// Three lines of `/proc/net/ip_vs` are its head.
fn has_services(text: &str) -> bool {
    text.lines().nth(3).is_some()
}

fn virtual_functions(name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/sys/class/net/{name}/device/sriov_numvfs")).ok()?;
    let number: u32 = text.trim().parse().ok().filter(|number| *number > 0)?;
    Some(format!("{number} virtual functions of {name} (SR-IOV) send past this node's network stack: not seen"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_behind_the_head_are_services() {
        let head = "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port\n";
        assert!(!has_services(head));
        assert!(has_services(&format!("{head}TCP  0A600001:01BB rr\n")));
    }

    #[test]
    fn nothing_is_said_of_devices_that_are_not_there() {
        assert!(virtual_functions("wd-none").is_none() && !is_of_cilium("wd-none"));
    }
}
