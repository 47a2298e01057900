//! Who talks to whom, without the port that the client happened to take: what many attempts have in common.

use std::net::{IpAddr, SocketAddr};

use crate::decode::protocol;
use crate::event::{Affected, Drop, Endpoint, Flow, Packet};

use super::group::Hit;

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// Two ends; `client` began it, so far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Talk {
    /// IP protocol number.
    pub(super) protocol: u8,
    pub(super) client: IpAddr,
    pub(super) server: IpAddr,
    /// 0 for a protocol without ports.
    pub(super) port: u16,
}

impl Talk {
    /// `None` for what is not IP, or has no addresses.
    pub(super) fn new(protocol: &str, client: &Endpoint, server: &Endpoint) -> Option<Self> {
        let protocol = number(protocol)?;
        let (client, address) = (client.address?.to_canonical(), server.address?.to_canonical());
        Some(Self { protocol, client, server: address, port: server.port.unwrap_or(0) })
    }

    pub(super) fn of_flow(flow: &Flow) -> Option<Self> {
        Self::new(&flow.protocol, &flow.source, &flow.destination)
    }

    /// What a dropped packet is of, as its client would say it: before any translation of addresses, so far as that is known.
    pub(super) fn of_drop(drop: &Drop) -> Option<Self> {
        let packet = &drop.packet;
        let original = drop.conntrack.as_ref().and_then(|conntrack| conntrack.original.as_ref());
        let original = original.filter(|original| original.protocol == packet.protocol);
        if let Some((protocol, original)) = original.and_then(|original| Some((number(&original.protocol)?, original)))
        {
            let (client, server) = (original.source, original.destination);
            let (client, address) = (client.address.to_canonical(), server.address.to_canonical());
            return Some(Self { protocol, client, server: address, port: server.port.unwrap_or(0) });
        }
        let (client, server) = if is_answer(packet) {
            (&packet.destination, &packet.source)
        } else {
            (&packet.source, &packet.destination)
        };
        Self::new(&packet.protocol, client, server)
    }

    /// All that the packet itself may be of: it is not sure which end began it.
    pub(super) fn of_either_end(drop: &Drop) -> impl Iterator<Item = Self> {
        let packet = &drop.packet;
        let both = [(&packet.source, &packet.destination), (&packet.destination, &packet.source)];
        both.into_iter().filter_map(|(client, server)| Self::new(&packet.protocol, client, server))
    }

    pub(super) fn server(&self) -> SocketAddr {
        SocketAddr::new(self.server, self.port)
    }

    /// For the event.
    pub(super) fn affected(&self, hit: &Hit) -> Affected {
        let end = |address, port: u16| Endpoint::at(address, (port != 0).then_some(port));
        let with = |end: Endpoint, names: Option<&Endpoint>| match names {
            Some(names) => Endpoint { address: end.address, port: end.port, ..names.clone() },
            None => end,
        };
        let names = hit.names.as_deref();
        Affected {
            source: with(end(self.client, 0), names.map(|names| &names.client)),
            destination: with(end(self.server, self.port), names.map(|names| &names.server)),
            protocol: protocol::name(self.protocol),
            netns: hit.netns.clone(),
            count: hit.count(),
        }
    }
}

/// First port of the range from which Linux clients take theirs (`net.ipv4.ip_local_port_range`).
const EPHEMERAL: u16 = 32_768;

/// Whether a packet looks as if a server sent it.
fn is_answer(packet: &Packet) -> bool {
    if let Some(flags) = packet.tcp_flags.as_deref().filter(|flags| flags.contains('S')) {
        return flags.contains('A');
    }
    let (source, destination) = (packet.source.port.unwrap_or(0), packet.destination.port.unwrap_or(0));
    (1..EPHEMERAL).contains(&source) && destination >= EPHEMERAL
}

/// The number of a protocol that has a name.
fn number(name: &str) -> Option<u8> {
    // Names are few, and most packets have one of the first.
    let known = [TCP, UDP, 1, 58, 132, 33, 136, 2, 47, 50];
    known.into_iter().find(|number| protocol::name(*number) == name).or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_found_by_name_and_number() {
        let found = ["tcp", "udp", "icmpv6", "200", "arp"].map(number);
        assert_eq!(found, [Some(6), Some(17), Some(58), Some(200), None]);
    }
}
