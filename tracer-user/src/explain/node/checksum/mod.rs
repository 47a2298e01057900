//! A checksum or header that is wrong.
//!
//! Rule: the fault that stands first in the packet's bytes and fits the drop is named; where the bytes show none, what the
//! event says stands.

#[cfg(test)]
mod tests;

use super::{command, doubt};
use crate::event::{Confidence, Explanation};
use crate::explain::{Observation, quoted};
use crate::node::checksum::{Checksum, Fault};

/// Devices whose frames are made by software beside or above this kernel, so that a checksum left to hardware is never
/// filled in.
const VIRTUAL: &[&str] = &["veth", "tun", "vxlan", "geneve", "ipvlan", "macvlan", "virtio_net", "vmxnet3", "bridge"];

/// Says what the state of the node adds to what the kernel's event says.
pub(super) fn refine(explanation: &mut Explanation, state: &Checksum, drop: &Observation<'_>) {
    let is_sum = |fault: &Fault| matches!(fault, Fault::Checksum { .. });
    // The checksum of a packet that never left this machine may be left to hardware that there is not: it is wrong only
    // where the kernel says so.
    let is_checksum = match drop.reason {
        Some(reason) => reason.contains("CSUM"),
        None => state.faults.iter().all(is_sum),
    };
    let mut faults = state.faults.iter().filter(|fault| is_sum(fault) == is_checksum);
    let fault = faults.next();
    let Some(fault) = fault else {
        if is_checksum {
            let open = "which checksum it has and should have: the event does not hold all bytes that it covers";
            doubt(explanation, open.to_owned());
        }
        device(explanation, state);
        explanation.remedy.extend(offload(state, drop, is_checksum));
        return;
    };
    let from = drop.source.map(|source| format!(" (sent by {source})")).unwrap_or_default();
    explanation.summary = match fault {
        Fault::Checksum { of, found, right } => {
            format!("its {of} checksum is {found:#06x}, it should be {right:#06x}{from}")
        }
        Fault::Header(text) => format!("{text}{from}"),
    };
    explanation.confidence = Confidence::Certain;
    explanation.evidence.push(format!("its first bytes: {}", said(fault)));
    explanation.evidence.extend(faults.take(3).map(|other| format!("also: {}", said(other))));
    device(explanation, state);
    explanation.remedy.extend(offload(state, drop, is_checksum));
    explanation.remedy.push(match drop.source {
        Some(source) => {
            format!("find what sends or changes it: capture at {source} and on the way; a right packet passes")
        }
        None => "find what sends or changes it: capture on the way; a right packet passes".to_owned(),
    });
}

fn said(fault: &Fault) -> String {
    match fault {
        Fault::Checksum { of, found, right } => {
            format!("{of} checksum {found:#06x}, computed over the packet {right:#06x}")
        }
        Fault::Header(text) => text.clone(),
    }
}

fn device(explanation: &mut Explanation, state: &Checksum) {
    let Some(device) = &state.device else { return };
    let offload = &state.offload;
    let driver = offload.driver.as_deref().or(device.kind.as_deref());
    let driver = driver.map(|driver| format!(" (driver {driver})")).unwrap_or_default();
    let on = |state: Option<bool>| match state {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    let errors = offload.errors.map(|errors| format!(", {errors} receive errors")).unwrap_or_default();
    explanation.evidence.push(format!(
        "{}{driver}: rx-checksumming {}, tx-checksumming {}{errors}",
        device.name,
        on(offload.receive),
        on(offload.transmit)
    ));
    if let Some(peer) = &state.peer {
        explanation.evidence.push(format!("its other end is {}", peer.place()));
    }
}

/// Switching offload off where software makes the frames: a checksum that was left to hardware is a usual fault there.
fn offload(state: &Checksum, drop: &Observation<'_>, is_checksum: bool) -> Vec<String> {
    let Some(device) = state.device.as_ref().filter(|_| is_checksum) else { return Vec::new() };
    let mut remedy = vec![command(drop, &format!("ethtool -k {}", quoted(&device.name)))];
    if let Some(peer) = &state.peer {
        remedy.push(peer.command(&format!("ethtool -K {} tx off", quoted(&peer.interface.name))));
    }
    let driver = state.offload.driver.as_deref().or(device.kind.as_deref());
    match driver {
        Some(driver) if VIRTUAL.contains(&driver) => {}
        // A card that says "good" or "bad" wrongly shows itself when the kernel sums by itself.
        _ if state.offload.receive == Some(true) => {
            remedy.push(command(drop, &format!("ethtool -K {} rx off", quoted(&device.name))));
        }
        _ => {}
    }
    remedy
}
