//! The numbers by which a network namespace knows others (`IFLA_LINK_NETNSID`).
//!
//! Rule: such a number means something only in the namespace that gave it.

use std::fs::File;
use std::os::fd::AsRawFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use super::rtnetlink;

/// By which id the calling thread's namespace knows another.
pub fn of(door: &File) -> Option<i32> {
    let mut request = NsidMessage::default();
    request.attributes.push(NsidAttribute::Fd(u32::try_from(door.as_raw_fd()).ok()?));
    let answer = rtnetlink::get(&RouteNetlinkMessage::GetNsId(request)).ok()?;
    answer.into_iter().find_map(|message| match message {
        RouteNetlinkMessage::NewNsId(found) => found.attributes.into_iter().find_map(|attribute| match attribute {
            NsidAttribute::Id(id) if id >= 0 => Some(id),
            _ => None,
        }),
        _ => None,
    })
}
