//! Cilium's drop reasons, by the codes of its metrics and of its published API (`DropReason` of api/v1/flow/flow.proto,
//! 1.18).

use crate::node::program::{Metrics, Programs, Why};

/// From code [`FIRST`] on; empty where there is none.
const REASONS: [&str; 78] = [
    "Invalid source mac",
    "Invalid destination mac",
    "Invalid source ip",
    "Policy denied",
    "Invalid packet",
    "CT: Truncated or invalid header",
    "CT: Missing TCP ACK flag",
    "CT: Unknown L4 protocol",
    "CT: Can't create entry from packet",
    "Unsupported L3 protocol",
    "Missed tail call",
    "Error writing to packet",
    "Unknown L4 protocol",
    "Unknown ICMPv4 code",
    "Unknown ICMPv4 type",
    "Unknown ICMPv6 code",
    "Unknown ICMPv6 type",
    "Error retrieving tunnel key",
    "Error retrieving tunnel options",
    "Invalid Geneve option",
    "Unknown L3 target address",
    "Stale or unroutable IP",
    "No matching local container found",
    "Error while correcting L3 checksum",
    "Error while correcting L4 checksum",
    "CT: Map insertion failed",
    "Invalid IPv6 extension header",
    "IP fragmentation not supported",
    "Service backend not found",
    "",
    "No tunnel/encapsulation endpoint",
    "Failed to insert into proxymap",
    "Reached EDT rate-limiting drop horizon",
    "Unknown connection tracking state",
    "Local host is unreachable",
    "No configuration available to perform policy decision",
    "Unsupported L2 protocol",
    "No mapping for NAT masquerade",
    "Unsupported protocol for NAT masquerade",
    "FIB lookup failed",
    "Encapsulation traffic is prohibited",
    "Invalid identity",
    "Unknown sender",
    "NAT not needed",
    "Is a ClusterIP",
    "First logical datagram fragment not found",
    "Forbidden ICMPv6 message",
    "Denied by LB src range check",
    "Socket lookup failed",
    "Socket assign failed",
    "Proxy redirection not supported for protocol",
    "Policy denied by denylist",
    "VLAN traffic disallowed by VLAN filter",
    "Incorrect VNI from VTEP",
    "Failed to update or lookup TC buffer",
    "No SID was found for the IP address",
    "SRv6 state was removed during tail call",
    "L3 translation from IPv4 to IPv6 failed (NAT46)",
    "L3 translation from IPv6 to IPv4 failed (NAT64)",
    "Authentication required",
    "No conntrack map found",
    "No nat map found",
    "Invalid ClusterID",
    "Unsupported packet protocol for DSR encapsulation",
    "No egress gateway found",
    "Traffic is unencrypted",
    "TTL exceeded",
    "No node ID found",
    "Rate limited",
    "IGMP handled",
    "IGMP subscribed",
    "Multicast handled",
    "Host datapath not ready",
    "Endpoint policy program not available",
    "No Egress IP configured",
    "Punt to proxy",
    "No device",
    "First logical datagram fragment not found from world",
];
const FIRST: u8 = 130;
/// Reasons told in one sentence.
const MOST: usize = 3;

/// `Policy denied`.
pub(in crate::explain) fn reason(code: u32) -> String {
    let at = code.checked_sub(FIRST.into()).and_then(|at| usize::try_from(at).ok());
    let name = at.and_then(|at| REASONS.get(at)).filter(|name| !name.is_empty());
    name.map_or_else(|| format!("drop code {code}"), |name| (*name).to_owned())
}

/// `Policy denied (ingress)`.
fn named(why: Why) -> String {
    let name = reason(why.reason.into());
    match why.direction {
        1 => format!("{name} (ingress)"),
        2 => format!("{name} (egress)"),
        3 => format!("{name} (service)"),
        _ => name,
    }
}

/// Why Cilium dropped it, if its counters tell: exactly one of them rose.
pub(super) fn why(facts: &Programs) -> Option<String> {
    match facts.cilium.as_ref()?.rose[..] {
        [(why, _)] => Some(named(why)),
        _ => None,
    }
}

/// What the counters say, in a sentence.
pub(super) fn evidence(metrics: &Metrics) -> Option<String> {
    let told = |counts: &[(Why, u64)], verb: &str| {
        let parts = counts.iter().take(MOST).map(|(why, count)| format!("{} {verb}{count}", named(*why)));
        parts.collect::<Vec<_>>().join(", ")
    };
    match metrics.since {
        Some(since) if !metrics.rose.is_empty() => {
            let since = humantime::format_rfc3339_seconds(since);
            Some(format!("Cilium's metrics map: {} since {since}", told(&metrics.rose, "rose by ")))
        }
        Some(since) => {
            let since = humantime::format_rfc3339_seconds(since);
            Some(format!("Cilium's metrics map: no drop counter rose since {since}"))
        }
        None if metrics.sums.is_empty() => None,
        None => Some(format!("Cilium's metrics map, since Cilium started: {}", told(&metrics.sums, ""))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_the_api() {
        let name = |reason, direction| named(Why { reason, direction });
        assert_eq!(name(133, 1), "Policy denied (ingress)");
        assert_eq!(name(181, 2), "Policy denied by denylist (egress)");
        assert_eq!(name(158, 3), "Service backend not found (service)");
        assert_eq!(name(194, 2), "No egress gateway found (egress)");
        assert_eq!(name(203, 1), "Endpoint policy program not available (ingress)");
        assert_eq!((name(159, 0), name(255, 0)), ("drop code 159".to_owned(), "drop code 255".to_owned()));
    }
}
