//! The `packet` of an event: from the parsed headers where there was an event, from the flow's key otherwise.

use std::net::{IpAddr, Ipv6Addr};

use tracer_common::{FAMILY_IPV4, FAMILY_IPV6, FlowKey, PORT_IS_SOURCE};

use crate::decode::Dropped;
use crate::decode::protocol;
use crate::event::{Endpoint, Family, Icmp, Packet};

/// What is known of the packets of a flow.
pub fn packet(flow: &FlowKey, dropped: Option<&Dropped>) -> Packet {
    let family = match flow.family & !PORT_IS_SOURCE {
        FAMILY_IPV4 => Family::Ipv4,
        FAMILY_IPV6 => Family::Ipv6,
        _ => Family::Other,
    };
    let mut packet = of_flow(flow, family);
    if let Some(dropped) = dropped {
        refine(&mut packet, family, dropped);
    }
    packet
}

fn of_flow(flow: &FlowKey, family: Family) -> Packet {
    let is_ip = family != Family::Other;
    let end = |words: [u32; 4], is_service: bool| Endpoint {
        address: is_ip.then(|| address(words)),
        port: (is_ip && is_service && has_ports(flow.protocol) && flow.port != 0).then_some(flow.port),
        ..Endpoint::default()
    };
    let port_is_source = flow.family & PORT_IS_SOURCE != 0;
    let [kind, code] = flow.port.to_be_bytes();
    let is_icmp = is_ip && matches!(flow.protocol, protocol::ICMP | protocol::ICMPV6);
    Packet {
        family,
        protocol: if is_ip { protocol::name(flow.protocol) } else { "other".into() },
        length: 0,
        source: end(flow.source, port_is_source),
        destination: end(flow.destination, !port_is_source),
        tcp_flags: None,
        icmp: is_icmp.then_some(Icmp { kind, code }),
        ttl: None,
        mark: None,
        vlan: None,
        tunnel: None,
    }
}

/// Adds what the headers of one packet say. Where the kernel program saw no IP packet, the headers are all there is.
fn refine(packet: &mut Packet, family: Family, dropped: &Dropped) {
    let (event, headers) = (&dropped.event, &dropped.headers);
    packet.length = event.length;
    packet.mark = (event.mark != 0).then_some(event.mark);
    packet.vlan = headers.vlan.or((event.vlan != 0).then_some(event.vlan & 0x0fff));
    packet.ttl = headers.ttl;
    packet.tunnel = headers.tunnel.map(str::to_owned);
    packet.tcp_flags = headers.tcp_flags.map(|flags| flags.to_string());
    if let Some(number) = headers.protocol {
        packet.protocol = protocol::name(number);
    } else if family == Family::Other {
        packet.protocol = ethertype_name(headers.ethertype);
    }
    packet.icmp = headers.icmp.map(|icmp| Icmp { kind: icmp.kind, code: icmp.code }).or(packet.icmp);
    packet.source.address = packet.source.address.or(headers.source);
    packet.destination.address = packet.destination.address.or(headers.destination);
    let known = |port: u16| (port != 0).then_some(port);
    packet.source.port = headers.source_port.or(known(event.source_port)).or(packet.source.port);
    packet.destination.port = headers.destination_port.or(known(event.destination_port)).or(packet.destination.port);
    if headers.unreadable {
        packet.source.unknown_why = Some("the packet's memory could not be read".into());
    }
}

pub(super) fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP | protocol::SCTP | protocol::DCCP | protocol::UDPLITE)
}

/// The address of a flow's key: four words as in the packet, IPv4 mapped.
pub(super) fn address(words: [u32; 4]) -> IpAddr {
    let mut octets = [0u8; 16];
    for (bytes, word) in octets.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
    Ipv6Addr::from(octets).to_canonical()
}

/// What a packet that is not IP is.
fn ethertype_name(ethertype: u16) -> String {
    match ethertype {
        0 => "other".into(),
        0x0806 => "arp".into(),
        // Malformed, or the kernel freed it before it looked.
        0x0800 => "ipv4".into(),
        0x86dd => "ipv6".into(),
        other => format!("{other:#06x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_come_out_as_ipv4() {
        let octets = std::net::Ipv4Addr::new(10, 99, 1, 2).to_ipv6_mapped().octets();
        let mut words = [0u32; 4];
        for (word, bytes) in words.iter_mut().zip(octets.chunks_exact(4)) {
            *word = u32::from_ne_bytes(bytes.try_into().unwrap());
        }
        assert_eq!(address(words).to_string(), "10.99.1.2");
    }
}
