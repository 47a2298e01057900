//! A flow of Hubble's, taken apart.
//!
//! Rule: what is no dropped packet of two addresses is none; a policy's name must be one that Kubernetes allows.

use std::net::{IpAddr, SocketAddr};

use tracer_grpc::hubble::flow::layer4::Protocol;
use tracer_grpc::hubble::flow::{Endpoint, Flow, Policy, Time, TrafficDirection, Verdict};

use super::{Dropped, End, Key};
use crate::event::{PolicyDirection, PolicyName};
use crate::host::Clock;

/// Policies kept of one flow.
const MOST_POLICIES: usize = 8;
/// Characters of a name, and of a namespace (RFC 1123 as the API has it).
const MOST_NAME: usize = 253;

/// `None` for what is no dropped packet between two addresses.
pub fn dropped(flow: &Flow, clock: &Clock) -> Option<Dropped> {
    if flow.verdict() != Verdict::Dropped {
        return None;
    }
    let ip = flow.ip.as_ref()?;
    let (protocol, from, to) = layer4(flow.l4.as_ref()?.protocol.as_ref()?)?;
    let end = |address: &str, port, endpoint: Option<&Endpoint>| {
        let address = SocketAddr::new(address.parse::<IpAddr>().ok()?.to_canonical(), port);
        Some(End { address, identity: endpoint.map_or(0, |endpoint| endpoint.identity) })
    };
    let source = end(&ip.source, from, flow.source.as_ref())?;
    let destination = end(&ip.destination, to, flow.destination.as_ref())?;
    let direction = match flow.traffic_direction() {
        TrafficDirection::Ingress => Some(PolicyDirection::Ingress),
        TrafficDirection::Egress => Some(PolicyDirection::Egress),
        TrafficDirection::Unknown => None,
    };
    let policies = match direction {
        Some(PolicyDirection::Ingress) => &*flow.ingress_denied_by,
        Some(PolicyDirection::Egress) => &*flow.egress_denied_by,
        None => &[],
    };
    Some(Dropped {
        time: clock.monotonic(nanoseconds(flow.time.as_ref()?)?),
        key: Key::new(protocol, source.address, destination.address),
        source,
        destination,
        reason: reason(flow),
        direction,
        denied_by: policies.iter().take(MOST_POLICIES).filter_map(name).collect(),
    })
}

fn layer4(protocol: &Protocol) -> Option<(&'static str, u16, u16)> {
    let port = |port: u32| u16::try_from(port).ok();
    let (name, ports) = match protocol {
        Protocol::Tcp(ports) => ("tcp", ports),
        Protocol::Udp(ports) => ("udp", ports),
        Protocol::Sctp(ports) => ("sctp", ports),
        Protocol::Icmp(_) => return Some(("icmp", 0, 0)),
        Protocol::Icmpv6(_) => return Some(("icmpv6", 0, 0)),
    };
    Some((name, port(ports.source_port)?, port(ports.destination_port)?))
}

/// Before Cilium 1.10 only the older field has it.
fn reason(flow: &Flow) -> u32 {
    u32::try_from(flow.drop_reason_desc).ok().filter(|reason| *reason != 0).unwrap_or(flow.drop_reason)
}

fn nanoseconds(time: &Time) -> Option<i64> {
    time.seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(time.nanos))
}

fn name(policy: &Policy) -> Option<PolicyName> {
    let is_name = |text: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        (1..=MOST_NAME).contains(&text.len()) && text.bytes().all(is_plain)
    };
    // A policy of the API itself has no kind in events. Before 1.16 only a label tells it.
    let label = || {
        let label = policy.labels.iter().find_map(|label| label.split_once("io.cilium.k8s.policy.derived-from="));
        label.map(|(_, kind)| kind)
    };
    let kind = Some(&*policy.kind).filter(|kind| !kind.is_empty()).or_else(label).unwrap_or("NetworkPolicy");
    let namespace = Some(&policy.namespace).filter(|namespace| !namespace.is_empty()).cloned();
    let is_sound = is_name(&policy.name) && is_name(kind) && namespace.as_deref().is_none_or(is_name);
    let kind = (kind != "NetworkPolicy").then(|| kind.to_owned());
    is_sound.then(|| PolicyName { kind, namespace, name: policy.name.clone() })
}

#[cfg(test)]
mod tests {
    use tracer_grpc::hubble::flow::{Icmp, Ip, Layer4, Ports};

    use super::*;

    fn flow() -> Flow {
        let ports = Ports { source_port: 40_000, destination_port: 8080 };
        let policy = |name: &str, kind: &str| Policy {
            name: name.to_owned(),
            namespace: "shop".to_owned(),
            kind: kind.to_owned(),
            ..Policy::default()
        };
        Flow {
            time: Some(Time { seconds: 1, nanos: 0 }),
            verdict: Verdict::Dropped.into(),
            ip: Some(Ip { source: "10.0.0.5".to_owned(), destination: "10.0.0.9".to_owned() }),
            l4: Some(Layer4 { protocol: Some(Protocol::Tcp(ports)) }),
            source: Some(Endpoint { identity: 2, ..Endpoint::default() }),
            traffic_direction: TrafficDirection::Ingress.into(),
            drop_reason_desc: 181,
            ingress_denied_by: vec![
                policy("deny", "CiliumNetworkPolicy"),
                policy("no\u{1b}name", ""),
                policy("old", ""),
            ],
            egress_denied_by: vec![policy("other", "")],
            ..Flow::default()
        }
    }

    #[test]
    fn a_dropped_packet_has_its_ends_reason_and_policies() {
        let read = dropped(&flow(), &Clock::measure()).unwrap();
        assert_eq!((read.source.address.to_string(), read.source.identity), ("10.0.0.5:40000".to_owned(), 2));
        assert_eq!((read.reason, read.direction, read.key.protocol()), (181, Some(PolicyDirection::Ingress), "tcp"));
        let policy = |kind: Option<&str>, name: &str| PolicyName {
            kind: kind.map(str::to_owned),
            namespace: Some("shop".to_owned()),
            name: name.to_owned(),
        };
        assert_eq!(read.denied_by, [policy(Some("CiliumNetworkPolicy"), "deny"), policy(None, "old")]);
        let old = Flow { drop_reason: 133, drop_reason_desc: 0, ..flow() };
        assert_eq!(dropped(&old, &Clock::measure()).unwrap().reason, 133);
        let ping = Some(Layer4 { protocol: Some(Protocol::Icmp(Icmp::default())) });
        let read = dropped(&Flow { l4: ping, ..flow() }, &Clock::measure()).unwrap();
        assert_eq!((read.key.protocol(), read.source.address.port()), ("icmp", 0));
    }

    #[test]
    fn what_is_no_dropped_packet_is_left_out() {
        let clock = Clock::measure();
        let ports = Ports { source_port: 70_000, destination_port: 1 };
        let wrong = [
            Flow { verdict: Verdict::Forwarded.into(), ..flow() },
            Flow { verdict: -1, ..flow() },
            Flow { time: None, ..flow() },
            Flow { time: Some(Time { seconds: i64::MAX, nanos: -1 }), ..flow() },
            Flow { ip: Some(Ip { source: "pod".to_owned(), destination: "10.0.0.9".to_owned() }), ..flow() },
            Flow { l4: None, ..flow() },
            Flow { l4: Some(Layer4 { protocol: Some(Protocol::Udp(ports)) }), ..flow() },
        ];
        for flow in wrong {
            assert_eq!(dropped(&flow, &clock), None, "{flow:?}");
        }
        let odd = Flow { drop_reason_desc: -5, traffic_direction: 99, ..flow() };
        let read = dropped(&odd, &clock).unwrap();
        assert_eq!((read.reason, read.direction, read.denied_by), (0, None, Vec::new()));
    }
}
