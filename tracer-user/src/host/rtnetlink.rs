//! Routes, rules, neighbours, addresses, links and tc objects of the calling thread's network namespace, typed.
//!
//! Rule: a message that this version can't read costs itself, not the list.

use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;

use super::error::NetlinkError;
use super::netlink::{self, Message};

/// A whole list: `GetRoute`, `GetRule`, `GetNeighbour`, `GetAddress`, `GetQueueDiscipline`, `GetTrafficFilter`, ….
///
/// # Errors
/// Why the kernel gave none.
pub fn dump(request: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
    let answer = netlink::dump(libc::NETLINK_ROUTE as isize, &raw(request))?;
    Ok(answer.messages.iter().filter_map(typed).collect())
}

/// One thing; its messages, mostly one.
///
/// # Errors
/// Why the kernel gave none: `ENETUNREACH` and the like for a route that there is not.
pub fn get(request: &RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, NetlinkError> {
    let answer = netlink::get(libc::NETLINK_ROUTE as isize, &raw(request))?;
    Ok(answer.iter().filter_map(typed).collect())
}

/// The same request as bytes, for answers that are read by hand.
pub(crate) fn raw(request: &RouteNetlinkMessage) -> Message {
    let mut payload = vec![0; request.buffer_len()];
    request.serialize(&mut payload);
    Message { kind: request.message_type(), payload }
}

fn typed(message: &Message) -> Option<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = message.kind;
    RouteNetlinkMessage::deserialize(&header, &message.payload).ok()
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::AddressFamily;
    use netlink_packet_route::address::AddressMessage;
    use netlink_packet_route::link::{LinkAttribute, LinkMessage};

    use super::*;

    #[test]
    fn a_list_and_one_thing_are_read() {
        let mut request = AddressMessage::default();
        request.header.family = AddressFamily::Unspec;
        dump(&RouteNetlinkMessage::GetAddress(request)).unwrap();

        let mut request = LinkMessage::default();
        request.header.index = 1;
        let answer = get(&RouteNetlinkMessage::GetLink(request)).unwrap();
        let [RouteNetlinkMessage::NewLink(link)] = &*answer else { panic!("{answer:?}") };
        assert!(link.attributes.contains(&LinkAttribute::IfName("lo".into())));

        let mut missing = LinkMessage::default();
        missing.header.index = 0x7fff_fff0;
        let refused = get(&RouteNetlinkMessage::GetLink(missing));
        assert!(matches!(refused, Err(NetlinkError::Refused(errno)) if errno.0 == libc::ENODEV), "{refused:?}");
    }
}
