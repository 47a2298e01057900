//! One connection, asked of connection tracking in the calling thread's namespace by the tuple of its answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::diag::each_attribute;
use crate::decode::Tuple;
use crate::host::error::{Errno, NetlinkError};
use crate::host::netlink::{self, Message, attribute};

/// `NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET` (include/uapi/linux/netfilter/{nfnetlink,nfnetlink_conntrack}.h).
const GET: u16 = 1 << 8 | 1;
/// `struct nfgenmsg`.
const GENERIC: usize = 4;
const NLA_F_NESTED: u16 = 1 << 15;
/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`; inside them `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`.
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
/// `CTA_IP_V4_SRC`, `_V4_DST`, `_V6_SRC`, `_V6_DST`; `CTA_PROTO_NUM`, `_SRC_PORT`, `_DST_PORT`.
const V4: [u16; 2] = [1, 2];
const V6: [u16; 2] = [3, 4];
const NUMBER: u16 = 1;
const PORTS: [u16; 2] = [2, 3];

/// The first packet's tuple of the connection whose answers look so; `None` if there is none.
///
/// # Errors
/// Why the kernel does not tell.
pub(super) fn find(reply: &Tuple) -> Result<Option<Tuple>, NetlinkError> {
    let Some(request) = request(reply) else { return Ok(None) };
    match netlink::get(libc::NETLINK_NETFILTER as isize, &request) {
        Ok(messages) => Ok(messages.iter().find_map(|message| original(&message.payload))),
        Err(NetlinkError::Refused(Errno(libc::ENOENT))) => Ok(None),
        Err(error) => Err(error),
    }
}

fn request(reply: &Tuple) -> Option<Message> {
    let (family, addresses) = match (reply.source, reply.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (libc::AF_INET as u8, [attribute(V4[0], &source.octets()), attribute(V4[1], &destination.octets())])
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            (libc::AF_INET6 as u8, [attribute(V6[0], &source.octets()), attribute(V6[1], &destination.octets())])
        }
        _ => return None,
    };
    let protocol = [
        attribute(NUMBER, &[reply.protocol]),
        attribute(PORTS[0], &reply.source_port.to_be_bytes()),
        attribute(PORTS[1], &reply.destination_port.to_be_bytes()),
    ];
    let tuple = [
        attribute(TUPLE_IP | NLA_F_NESTED, &addresses.concat()),
        attribute(TUPLE_PROTO | NLA_F_NESTED, &protocol.concat()),
    ];
    let mut payload = vec![family, 0, 0, 0];
    payload.extend(attribute(TUPLE_REPLY | NLA_F_NESTED, &tuple.concat()));
    Some(Message { kind: GET, payload })
}

fn original(payload: &[u8]) -> Option<Tuple> {
    let tuple = nested(payload.get(GENERIC..)?, TUPLE_ORIG)?;
    let (addresses, protocol) = (nested(tuple, TUPLE_IP)?, nested(tuple, TUPLE_PROTO)?);
    let ip = |end: usize| {
        let v4 = nested(addresses, V4[end]).and_then(|bytes| bytes.first_chunk::<4>());
        let v6 = nested(addresses, V6[end]).and_then(|bytes| bytes.first_chunk::<16>());
        v4.map(|bytes| Ipv4Addr::from(*bytes).into()).or(v6.map(|bytes| IpAddr::from(Ipv6Addr::from(*bytes))))
    };
    let port = |end: usize| Some(u16::from_be_bytes(*nested(protocol, PORTS[end])?.first_chunk()?));
    Some(Tuple {
        source: ip(0)?,
        destination: ip(1)?,
        protocol: *nested(protocol, NUMBER)?.first()?,
        source_port: port(0)?,
        destination_port: port(1)?,
    })
}

/// The value of the first attribute of a type.
fn nested(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut found = None;
    each_attribute(bytes, |kind, value| {
        if kind == wanted && found.is_none() {
            found = Some(value);
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(source: &str, destination: &str) -> Tuple {
        Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: 17,
            source_port: 53,
            destination_port: 4000,
        }
    }

    #[test]
    fn what_is_asked_is_what_is_answered() {
        for asked in [tuple("10.0.0.1", "10.0.0.2"), tuple("fd00::1", "fd00::2")] {
            let mut message = request(&asked).unwrap();
            // The kernel answers with the same layout, and the first packet's tuple in front.
            let kind = TUPLE_ORIG | NLA_F_NESTED;
            message.payload[6..8].copy_from_slice(&kind.to_ne_bytes());
            assert_eq!(original(&message.payload), Some(asked));
            for cut in 0..message.payload.len() {
                let _ = original(&message.payload[..cut]);
            }
        }
        assert!(request(&Tuple { destination: "::1".parse().unwrap(), ..tuple("10.0.0.1", "10.0.0.2") }).is_none());
    }

    #[test]
    fn an_unknown_connection_is_none() {
        // Without CAP_NET_ADMIN the kernel refuses.
        let answer = find(&tuple("192.0.2.1", "192.0.2.2"));
        assert!(matches!(answer, Ok(None) | Err(NetlinkError::Refused(_))), "{answer:?}");
    }
}
