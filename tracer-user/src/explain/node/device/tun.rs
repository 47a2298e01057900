//! The program behind a tun or tap device.

use super::super::command;
use crate::event::{Confidence, Explanation};
use crate::explain::{Observation, quoted};
use crate::node::device::{Holder, Holders, Link};

/// `txqueuelen` that is proposed at least.
const ENOUGH: u32 = 1000;

pub(super) fn refine(explanation: &mut Explanation, link: &Link, holders: &Holders, drop: &Observation<'_>) {
    explanation.evidence.extend(holders.programs.iter().map(|holder| sentence(&link.name, holder)));
    if holders.programs.is_empty() {
        let why = if holders.partial { "the search was given up or refused" } else { "no process has it open" };
        explanation.unknown = Some(format!("which program serves {}: {why}", link.name));
    }
    if !is_full(drop) {
        return;
    }
    let length = link.queue_length.map_or_else(String::new, |packets| format!(" (txqueuelen {packets} packets)"));
    let reader = match &*holders.programs {
        [one] => format!("{} (pid {}) does not read fast enough", one.comm, one.pid),
        _ => "its program does not read fast enough".to_owned(),
    };
    explanation.summary = format!("the queue of {}{length} is full: {reader}", link.name);
    explanation.confidence = Confidence::Derived;
    let device = quoted(&link.name);
    explanation.remedy = vec![command(drop, &format!("ip -s link show dev {device}"))];
    explanation.remedy.extend(match &*holders.programs {
        [] => None,
        programs => {
            let names = programs.iter().map(|holder| format!("{} (pid {})", holder.comm, holder.pid));
            Some(format!("find out why {} does not read", names.collect::<Vec<_>>().join(" or ")))
        }
    });
    let longer = link.queue_length.unwrap_or_default().saturating_mul(2).max(ENOUGH);
    explanation.remedy.push(command(drop, &format!("ip link set dev {device} txqueuelen {longer}")));
}

fn is_full(drop: &Observation<'_>) -> bool {
    match drop.reason {
        Some(reason) => reason == "FULL_RING" || (reason == "NOT_SPECIFIED" && drop.symbol() == "tun_net_xmit"),
        None => drop.symbol() == "tun_net_xmit",
    }
}

fn sentence(device: &str, holder: &Holder) -> String {
    let Holder { pid, comm, is_there } = holder;
    let place = if *is_there { "" } else { ", from another namespace, where the name may be another device's" };
    format!("{comm} (pid {pid}) has {device} open{place}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Cause;

    fn said(programs: Vec<Holder>, reason: Option<&str>) -> Explanation {
        let link = Link { name: "tun0".into(), queue_length: Some(2), ..Link::default() };
        let mut explanation = Explanation::new(Cause::Device, Confidence::Derived, "before");
        let drop = Observation { reason, location: Some("tun_net_xmit"), ..Observation::default() };
        refine(&mut explanation, &link, &Holders { programs, partial: false }, &drop);
        explanation
    }

    #[test]
    fn the_program_is_named() {
        let holder = Holder { pid: 7, comm: "openvpn".into(), is_there: true };
        for reason in [Some("FULL_RING"), Some("NOT_SPECIFIED"), None] {
            let said = said(vec![holder.clone()], reason);
            assert_eq!(
                said.summary,
                "the queue of tun0 (txqueuelen 2 packets) is full: openvpn (pid 7) does not read fast enough"
            );
            assert_eq!(said.evidence, ["openvpn (pid 7) has tun0 open"]);
            assert_eq!(said.remedy[2], "ip link set dev tun0 txqueuelen 1000");
        }
    }

    #[test]
    fn without_one_it_says_so() {
        let said = said(Vec::new(), Some("FULL_RING"));
        assert!(said.unknown.unwrap().contains("no process has it open"));
        assert!(said.summary.ends_with("its program does not read fast enough"));
    }

    #[test]
    fn another_reason_keeps_its_summary() {
        assert_eq!(said(Vec::new(), Some("DEV_HDR")).summary, "before");
    }
}
