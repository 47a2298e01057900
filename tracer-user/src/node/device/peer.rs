//! The other end of a virtual cable, which may be in another network namespace.
//!
//! Rule: an identifier of a namespace means what the namespace says that it was read in, so the namespaces that are
//! known are asked for theirs there; an index alone proves nothing.

use std::os::fd::AsRawFd;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};

use super::Link;
use crate::host::{Netns, enter, rtnetlink};
use crate::node::Scene;

/// Namespaces that are asked: as many as a node has pods, and then some.
const MOST: usize = 1024;

/// The other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub link: Link,
    /// The name of its namespace, if that is another one.
    pub netns: Option<String>,
    /// How a command is run there: `nsenter --net=…`; none if it needs nothing.
    pub entry: Option<String>,
}

/// The other end of a veth; `None` for other devices, and where it is not found.
pub(super) fn read(scene: &Scene<'_>, link: &Link) -> Option<Peer> {
    let index = link.link.filter(|_| link.kind.as_deref() == Some("veth"))?;
    let netns = match link.link_netns {
        None => &scene.question.netns,
        Some(id) => namespace(scene, link, id)?,
    };
    let peer = scene.inside_of(netns, || Link::read(index)).ok()?.ok()??;
    let is_other = netns.inode != scene.question.netns.inode;
    Some(Peer { link: peer, netns: is_other.then(|| netns.name.to_string()), entry: netns.entry_command() })
}

/// The namespace that is called `id` in the packet's.
fn namespace<'a>(scene: &Scene<'a>, link: &Link, id: i32) -> Option<&'a Netns> {
    let mut candidates = scene.host.namespaces().collect::<Vec<_>>();
    // Where an interface is known that could be it, is asked first.
    candidates.sort_by_key(|netns| {
        let there = scene.host.interface(netns.inode, link.link.unwrap_or_default());
        let fits = there.and_then(|interface| interface.link).is_some_and(|back| back.index == link.index);
        (!fits, netns.inode)
    });
    candidates.truncate(MOST);
    let found = scene.inside(|| candidates.iter().position(|netns| identifier(netns) == Some(id))).ok()??;
    candidates.get(found).copied()
}

/// What a namespace is called in that of this thread.
fn identifier(netns: &Netns) -> Option<i32> {
    let door = enter::open(netns).ok()?;
    let mut request = NsidMessage::default();
    request.attributes = vec![NsidAttribute::Fd(door.as_raw_fd().cast_unsigned())];
    let answer = rtnetlink::get(&RouteNetlinkMessage::GetNsId(request)).ok()?;
    answer.iter().find_map(|message| match message {
        RouteNetlinkMessage::NewNsId(message) => message.attributes.iter().find_map(|attribute| match attribute {
            NsidAttribute::Id(id) => Some(*id),
            _ => None,
        }),
        _ => None,
    })
}
