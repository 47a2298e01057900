//! Too many packets waited for the next hop's answer.

use super::{counts, entry, looks, questions, state};
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::node::command;
use crate::explain::{Observation, quoted};
use crate::node::neighbour::Neighbours;
use crate::node::neighbour::hop::NextHop;

/// What kernels allow without a setting (`SK_WMEM_DEFAULT`, `net/core/sock.c`, since 4.15), bytes.
const USUAL: u32 = 212_992;

pub(super) fn refine(explanation: &mut Explanation, facts: &Neighbours, hop: &NextHop, drop: &Observation<'_>) {
    let NextHop { address, device_name: name, .. } = hop;
    let waits = format!("too many packets wait for {address} on {name} to answer {}", questions(hop));
    explanation.remedy = looks(hop, drop);
    if let Some(asking) = facts.asking {
        let setting = setting(hop);
        let bytes = asking.queue_bytes;
        explanation.summary = format!("{waits}{}: {setting} is {bytes}", state(&facts.entry));
        explanation.evidence.push(format!("{setting} is {bytes} bytes: so much may wait for one next hop"));
        let value = bytes.to_string();
        explanation.sysctl = Some(vec![Sysctl { name: setting.clone(), value: value.clone(), effective: value }]);
        explanation.confidence = Confidence::Certain;
        let more = bytes.saturating_mul(2).clamp(USUAL, i32::MAX.cast_unsigned());
        explanation.remedy.push(command(drop, &format!("sysctl -w {}={more}", quoted(&setting))));
    } else {
        explanation.summary = format!("{waits}{}", state(&facts.entry));
    }
    entry(explanation, facts, hop);
    counts(explanation, facts, hop);
    explanation.remedy.push(format!("see why {address} answers late or not at all: the queue only bridges the wait"));
}

/// `net.ipv4.neigh.eth0.unres_qlen_bytes`; sysctl(8) writes a dot in a name as a slash.
fn setting(hop: &NextHop) -> String {
    let family = if hop.address.is_ipv4() { "ipv4" } else { "ipv6" };
    format!("net.{family}.neigh.{}.unres_qlen_bytes", hop.device_name.replace('.', "/"))
}
