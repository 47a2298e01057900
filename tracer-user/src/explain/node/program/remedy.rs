//! What to try about a program that drops: look, ask its owner, and last of all detach it.

use super::{attach, device};
use crate::explain::fill::quoted;
use crate::explain::node::command;
use crate::explain::observation::{Observation, TCP};
use crate::node::program::{Attached, Direction, Hold, Place, Programs};

/// Safest first; each is a complete command or a sentence.
pub(super) fn of(at: &Attached, facts: &Programs, place: Place, drop: &Observation<'_>) -> Vec<String> {
    let mut remedy = look(at, facts, place, drop);
    let owner = at.program.as_ref().and_then(|program| program.owner);
    remedy.extend(owner.map(|owner| ask(owner.name, at, place, drop)).unwrap_or_default());
    if let Some(detach) = detach(at, facts, drop) {
        remedy.push(match owner {
            Some(owner) => format!(
                "detach it only to find out, and not for long: nothing of what {0} does at {1} is done then, its rules \
                 included, and {0} may put it back",
                owner.name,
                attach(at, facts)
            ),
            None => format!("detach it if nobody needs it: what it does at {} is not done then", attach(at, facts)),
        });
        remedy.push(detach);
    }
    remedy
}

/// A socket's own filter.
pub(super) fn of_socket(drop: &Observation<'_>) -> Vec<String> {
    let mut remedy = Vec::new();
    if let Some(port) = drop.destination_port {
        let kind = if drop.protocol == Some(TCP) { "t" } else { "u" };
        remedy.push(command(drop, &format!("ss -l{kind}np 'sport = :{port}'")));
    }
    remedy.push(
        "look in that program for SO_ATTACH_FILTER or SO_ATTACH_BPF: it chooses itself what it receives".to_owned(),
    );
    remedy
}

fn look(at: &Attached, facts: &Programs, place: Place, drop: &Observation<'_>) -> Vec<String> {
    let mut remedy = Vec::new();
    let quoted_device = facts.device.as_deref().map(quoted);
    match (&at.hold, &quoted_device) {
        (Hold::Filter(_), Some(device)) => {
            let direction = direction(place);
            remedy.push(command(drop, &format!("tc -s filter show dev {device} {direction}")));
        }
        (Hold::Tcx | Hold::Netkit, Some(device)) => {
            remedy.push(command(drop, &format!("bpftool net show dev {device}")));
        }
        (Hold::Xdp(_), Some(device)) => remedy.push(command(drop, &format!("ip -d link show dev {device}"))),
        (Hold::Cgroup(path), _) if !path.is_empty() => remedy.push(format!("bpftool cgroup show {}", quoted(path))),
        (Hold::Cgroup(_), _) => remedy.push("bpftool cgroup tree".to_owned()),
        _ => {}
    }
    if let Some(program) = &at.program {
        remedy.push(format!("bpftool prog show id {}", program.id));
        remedy.push(format!("bpftool prog dump xlated id {}", program.id));
    }
    remedy
}

/// What the owner's own tools say.
fn ask(owner: &str, at: &Attached, place: Place, drop: &Observation<'_>) -> Vec<String> {
    let lines: &[&str] = match owner {
        "cilium" => &[
            "cilium-dbg monitor --type drop",
            "hubble observe --verdict DROPPED",
            "kubectl get ciliumnetworkpolicies,ciliumclusterwidenetworkpolicies,networkpolicies -A",
        ],
        "calico" => &["calico-node -bpf counters dump", "kubectl get networkpolicies,globalnetworkpolicies -A"],
        "aws-network-policy-agent" => {
            &["/opt/cni/bin/aws-eks-na-cli ebpf loaded-ebpfdata", "kubectl get policyendpoints,networkpolicies -A"]
        }
        "systemd" => return systemd(at, place, drop),
        _ => &[],
    };
    lines.iter().map(|line| (*line).to_owned()).collect()
}

/// `IPAddressDeny=` of the unit whose cgroup has the program.
fn systemd(at: &Attached, place: Place, drop: &Observation<'_>) -> Vec<String> {
    let Hold::Cgroup(path) = &at.hold else { return Vec::new() };
    let unit =
        path.rsplit('/').next().filter(|unit| [".service", ".slice", ".scope"].iter().any(|end| unit.ends_with(end)));
    let Some(unit) = unit.map(quoted) else { return Vec::new() };
    let mut remedy = vec![format!("systemctl show -p IPAddressAllow,IPAddressDeny {unit}")];
    let other_end = if place == Place::Cgroup(Direction::Egress) { drop.destination } else { drop.source };
    if let Some(address) = other_end {
        remedy.push(format!("systemctl set-property --runtime {unit} IPAddressAllow={address}"));
    }
    remedy
}

/// The command that takes it away; none if it is not known how.
fn detach(at: &Attached, facts: &Programs, drop: &Observation<'_>) -> Option<String> {
    if let Some(link) = at.link {
        return Some(format!("bpftool link detach id {link}"));
    }
    let place = facts.place?;
    let id = at.program.as_ref().map(|program| program.id);
    match &at.hold {
        Hold::Cgroup(path) if path.is_empty() => None,
        Hold::Cgroup(path) => Some(format!("bpftool cgroup detach {} {} id {}", quoted(path), direction(place), id?)),
        Hold::Netkit => None,
        _ if facts.device.is_none() => None,
        Hold::Filter(filter) => {
            let place = format!("dev {} {}", quoted(device(facts)), direction(place));
            Some(command(drop, &format!("tc filter del {place} {}", selector(&filter.selector()))))
        }
        Hold::Tcx => {
            let what = format!("tcx_{} dev {}", direction(place), quoted(device(facts)));
            Some(command(drop, &format!("bpftool net detach {what}")))
        }
        Hold::Xdp(mode) => Some(command(drop, &format!("ip link set dev {} {mode} off", quoted(device(facts))))),
    }
}

/// The kind of a classifier is a word of the kernel; quoted all the same, word by word.
fn selector(words: &str) -> String {
    words.split(' ').map(quoted).collect::<Vec<_>>().join(" ")
}

fn direction(place: Place) -> &'static str {
    match place {
        Place::Tc(direction) | Place::Cgroup(direction) => direction.as_str(),
        Place::Xdp | Place::Redirect | Place::Netkit => Direction::Ingress.as_str(),
    }
}
