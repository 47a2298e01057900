//! Which BPF program or tc filter dropped a packet.
//!
//! Rule: one at the place is derived to be it; of several the likeliest is named, all are told, and it is inferred. What
//! a program decides is not known, and a socket's own filter cannot be listed: both are said.

mod cilium;
mod evidence;
mod remedy;
#[cfg(test)]
mod tests;

pub(in crate::explain) use cilium::reason as cilium_reason;

use crate::event::{Confidence, Explanation, Program as Named};
use crate::explain::{Observation, fill};
use crate::node::program::{Attached, Direction, Hold, Place, Program, Programs};

/// Says what is attached where it was dropped.
pub(super) fn refine(explanation: &mut Explanation, facts: &Programs, drop: &Observation<'_>) {
    let Some(place) = facts.place else { return };
    let ranked = ranked(&facts.attached);
    let Some(first) = ranked.first() else {
        nothing_there(explanation, facts, place, drop);
        return;
    };
    let why = cilium::why(facts);
    let summary = summary(&ranked, first, facts, place, drop);
    explanation.summary = match &why {
        Some(why) => format!("{summary}: {why}"),
        None => summary,
    };
    // Where the kernel gives no reason, the place may not be sure either.
    explanation.confidence = explanation.confidence.max(confidence(&ranked, facts, place));
    explanation.evidence.extend(evidence::of(&ranked, facts));
    explanation.remedy = remedy::of(first, facts, place, drop);
    explanation.owner = first.program.as_ref().and_then(owner);
    explanation.program = first.program.as_ref().map(|program| Named {
        id: program.id,
        name: program.name.clone(),
        kind: program.kind.clone(),
        attach: attach(first, facts),
        owner: owner(program),
    });
    let mut open = explanation.unknown.take().into_iter().collect::<Vec<_>>();
    if place == Place::Cgroup(Direction::Ingress) {
        open.push("whether the socket has a filter of its own as well: the kernel does not list those".to_owned());
    }
    if why.is_none() && facts.cilium.as_ref().is_some_and(|metrics| metrics.since.is_none()) {
        open.push(
            "Cilium's reason: its counters were not read before this drop, the next one shows which moves".to_owned(),
        );
    }
    explanation.unknown = (!open.is_empty()).then(|| open.join("; "));
}

fn summary(ranked: &[&Attached], first: &Attached, facts: &Programs, place: Place, drop: &Observation<'_>) -> String {
    let did = match place {
        Place::Cgroup(Direction::Ingress) => "kept it from its socket".to_owned(),
        Place::Cgroup(Direction::Egress) => "refused what its socket sent".to_owned(),
        Place::Redirect => {
            format!("sent it to {}, which does not take it", drop.interface.unwrap_or("an interface"))
        }
        Place::Tc(_) | Place::Xdp | Place::Netkit => "dropped it".to_owned(),
    };
    let what = subject(first);
    match ranked.len() {
        1 if matches!(first.hold, Hold::Cgroup(_)) => format!("{what} of {} {did}", attach(first, facts)),
        1 => format!("{what} at {} {did}", attach(first, facts)),
        several => format!("one of {several} {} {did}, likeliest {what}", crowd(place, facts)),
    }
}

/// The likeliest first: what belongs to somebody who drops on purpose, then the unknown, then those who only look.
fn ranked(attached: &[Attached]) -> Vec<&Attached> {
    let mut ranked = attached.iter().collect::<Vec<_>>();
    ranked.sort_by_key(|at| match at.program.as_ref().and_then(|program| program.owner) {
        Some(owner) if owner.enforces => 0,
        None => 1,
        Some(_) => 2,
    });
    ranked
}

fn confidence(ranked: &[&Attached], facts: &Programs, place: Place) -> Confidence {
    let told_apart = match place {
        // A packet to a cgroup's socket may also have met the socket's own filter, one to netkit a peer that is down.
        Place::Cgroup(Direction::Ingress) | Place::Netkit | Place::Redirect => false,
        Place::Cgroup(Direction::Egress) => facts.cgroup.is_some(),
        Place::Tc(_) | Place::Xdp => true,
    };
    if ranked.len() == 1 && facts.complete && told_apart { Confidence::Derived } else { Confidence::Inferred }
}

/// `the tc program cil_from_container (id 77)`.
fn subject(at: &Attached) -> String {
    let kind = match (&at.hold, &at.program) {
        (Hold::Filter(filter), None) => return format!("the tc {filter}"),
        (Hold::Tcx | Hold::Filter(_), _) => "tc",
        (Hold::Netkit, _) => "netkit",
        (Hold::Xdp(_), _) => "XDP",
        (Hold::Cgroup(_), _) => "cgroup",
    };
    at.program
        .as_ref()
        .map_or_else(|| format!("a {kind} program"), |program| format!("the {kind} program {}", named(program)))
}

/// `cil_from_container (id 77)`.
fn named(program: &Program) -> String {
    if program.name.is_empty() { format!("id {}", program.id) } else { format!("{} (id {})", program.name, program.id) }
}

/// Several at one place.
fn crowd(place: Place, facts: &Programs) -> String {
    let device = device(facts);
    match place {
        Place::Tc(direction) => format!("programs and filters at {device} {}", direction.as_str()),
        Place::Cgroup(_) => match &facts.cgroup {
            Some(path) => format!("programs of cgroup {path} and those above it"),
            None => "programs of the cgroups of this node".to_owned(),
        },
        Place::Xdp | Place::Netkit | Place::Redirect => format!("programs at {device}"),
    }
}

/// Where it is attached: `eth0 ingress`, `eth0 xdpdrv`, `/sys/fs/cgroup/system.slice`.
fn attach(at: &Attached, facts: &Programs) -> String {
    match (&at.hold, facts.place) {
        (Hold::Cgroup(path), _) if path.is_empty() => "its cgroup".to_owned(),
        (Hold::Cgroup(path), _) => path.clone(),
        (Hold::Xdp(mode), _) => format!("{} {mode}", device(facts)),
        (Hold::Netkit, _) => format!("{} netkit", device(facts)),
        (_, Some(Place::Tc(direction))) => format!("{} {}", device(facts), direction.as_str()),
        _ => format!("{} ingress", device(facts)),
    }
}

fn device(facts: &Programs) -> &str {
    facts.device.as_deref().unwrap_or("the interface")
}

fn owner(program: &Program) -> Option<String> {
    program.owner.map(|owner| owner.name.to_owned())
}

/// Nothing that can drop is there: what the event says stands.
fn nothing_there(explanation: &mut Explanation, facts: &Programs, place: Place, drop: &Observation<'_>) {
    if !facts.complete {
        return;
    }
    if let (Place::Cgroup(Direction::Ingress), Some(path)) = (place, &facts.cgroup) {
        let says = "a filter that the program behind {to} put on its own socket refused it";
        explanation.summary = fill::sentence(says, drop);
        explanation.evidence.push(format!(
            "neither cgroup {path} of the socket nor one above it has a BPF program for received packets"
        ));
        explanation.remedy = remedy::of_socket(drop);
        explanation.unknown = Some("which filter it is: the kernel does not list the filters of sockets".to_owned());
        return;
    }
    let at = match place {
        Place::Cgroup(_) => facts.cgroup.clone().unwrap_or_else(|| "any cgroup".to_owned()),
        Place::Tc(direction) => format!("{} {}", device(facts), direction.as_str()),
        Place::Xdp => format!("{} (XDP)", device(facts)),
        Place::Netkit | Place::Redirect => device(facts).to_owned(),
    };
    explanation.unknown = Some(format!("which program: none that was there at the drop is attached at {at} now"));
}
