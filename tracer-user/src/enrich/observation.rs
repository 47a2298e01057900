//! What the explainers are told of a packet.

use tracer_common::{FAMILY_OTHER, FlowKey, PORT_IS_SOURCE};

use super::packet::address;
use crate::decode::Dropped;
use crate::explain::Observation;

/// The packet's part of an observation: its headers, or what the flow's key holds of them.
pub fn observation<'a>(flow: &FlowKey, dropped: Option<&Dropped>) -> Observation<'a> {
    let is_ip = flow.family & !PORT_IS_SOURCE != FAMILY_OTHER;
    let port_is_source = flow.family & PORT_IS_SOURCE != 0;
    let of_flow = Observation {
        protocol: is_ip.then_some(flow.protocol),
        source: is_ip.then(|| address(flow.source)),
        destination: is_ip.then(|| address(flow.destination)),
        source_port: (port_is_source && flow.port != 0).then_some(flow.port),
        destination_port: (!port_is_source && flow.port != 0).then_some(flow.port),
        ..Observation::default()
    };
    let Some(dropped) = dropped else { return of_flow };
    let headers = &dropped.headers;
    Observation {
        ethertype: headers.ethertype,
        protocol: headers.protocol.or(of_flow.protocol),
        source: of_flow.source.or(headers.source),
        destination: of_flow.destination.or(headers.destination),
        source_port: headers.source_port.or(of_flow.source_port),
        destination_port: headers.destination_port.or(of_flow.destination_port),
        tcp_flags: headers.tcp_flags.map(|flags| flags.0),
        icmp_type: headers.icmp.map(|icmp| icmp.kind),
        ttl: headers.ttl,
        length: Some(dropped.event.length),
        packet_type: dropped.event.packet_type,
        ..of_flow
    }
}
