//! One interface as it is now, and the other end of a veth pair, in whichever namespace that is.
//!
//! Rule: the other end is believed only if its namespace has the very id (`IFLA_LINK_NETNSID`) that our end names and the
//! interface there points back: indices repeat from pod to pod.

use std::ffi::CStr;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkMessage;

use crate::host::error::NetlinkError;
use crate::host::interface::Link;
use crate::host::{Interface, Netns, enter, interface, netlink, nsid, rtnetlink};
use crate::node::Scene;
use crate::node::recent::Recent;

/// Namespaces that are looked at for the other end.
const MOST_NAMESPACES: usize = 1024;

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub netns: Netns,
    pub interface: Interface,
    /// It is in the same namespace.
    pub is_here: bool,
}

impl Peer {
    /// The interface and where it is, if that is elsewhere: `eth0 in cni-1234`.
    pub fn place(&self) -> String {
        if self.is_here {
            self.interface.name.clone()
        } else {
            format!("{} in {}", self.interface.name, self.netns.name)
        }
    }

    /// A complete command: with the namespace of this end entered.
    pub fn command(&self, text: &str) -> String {
        self.netns.entry_command().map_or_else(|| text.to_owned(), |entry| format!("{entry} {text}"))
    }
}

/// What was found a moment ago, so that many questions about one link are one reading.
#[derive(Debug, Default)]
pub(in crate::node) struct Memory {
    /// Where the namespaces with an id are, by the namespace that gave the id.
    namespaces: Recent<(u32, i32), Option<u32>>,
    /// The other end, by namespace and index of this one.
    peers: Recent<(u32, u32), Option<Peer>>,
}

/// The interface of this index in the calling thread's namespace.
///
/// # Errors
/// `ENODEV` when there is none.
pub fn link(index: u32) -> Result<Option<Interface>, NetlinkError> {
    let mut request = LinkMessage::default();
    request.header.index = index;
    let request = RouteNetlinkMessage::GetLink(request);
    let answer = netlink::get(libc::NETLINK_ROUTE as isize, &rtnetlink::raw(&request))?;
    Ok(answer.iter().find_map(interface::parse))
}

/// The name of an index in the calling thread's namespace; `ifN` when it has gone.
pub fn name(index: u32) -> String {
    let mut buffer = [0; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the `IF_NAMESIZE` bytes that the call may write, and outlives it.
    let found = unsafe { libc::if_indextoname(index, buffer.as_mut_ptr()) };
    if found.is_null() {
        return format!("if{index}");
    }
    // SAFETY: the call ended the name within the buffer with a NUL.
    unsafe { CStr::from_ptr(found) }.to_string_lossy().into_owned()
}

/// The other end of `ours`, if it is a veth and its namespace can be seen.
pub(in crate::node) fn peer(scene: &mut Scene<'_>, memory: &mut Memory, ours: &Interface) -> Option<Peer> {
    let theirs = ours.link.filter(|_| ours.kind.as_deref() == Some("veth"))?;
    let Memory { namespaces, peers } = memory;
    let key = (scene.question.netns.inode, ours.index);
    scene.recent(peers, "the other end of the link", key, |scene| find(scene, namespaces, ours.index, theirs)).flatten()
}

fn find(
    scene: &mut Scene<'_>,
    namespaces: &mut Recent<(u32, i32), Option<u32>>,
    ours: u32,
    theirs: Link,
) -> Option<Peer> {
    let (own, facts) = (&scene.question.netns, scene.host);
    let netns = match theirs.nsid {
        None => own,
        Some(id) => {
            let read = |scene: &mut Scene<'_>| namespace_of(scene, id, ours, theirs.index);
            let inode = scene.recent(namespaces, "whose the other end is", (own.inode, id), read);
            facts.netns(inode.flatten()?)?
        }
    };
    let interface = scene.inside_of(netns, || link(theirs.index)).ok()?.ok()??;
    let points_back = interface.link.is_some_and(|link| link.index == ours);
    points_back.then(|| Peer { netns: netns.clone(), interface, is_here: netns.inode == own.inode })
}

/// The namespace that the packet's namespace knows by this id; one where an interface is known that could be the other end
/// is looked at first.
fn namespace_of(scene: &Scene<'_>, id: i32, ours: u32, theirs: u32) -> Option<u32> {
    let own = scene.question.netns.inode;
    let mut others: Vec<&Netns> = scene.host.namespaces().filter(|netns| netns.inode != own).collect();
    others.sort_by_key(|netns| {
        let there = scene.host.interface(netns.inode, theirs).and_then(|interface| interface.link);
        (there.is_none_or(|back| back.index != ours), netns.inode)
    });
    others.truncate(MOST_NAMESPACES);
    let is_it = |netns: &&&Netns| enter::open(netns).ok().and_then(|door| nsid::of(&door)) == Some(id);
    scene.inside(|| others.iter().find(is_it).map(|netns| netns.inode)).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_device_is_read() {
        let lo = link(1).unwrap().unwrap();
        assert_eq!((lo.index, lo.name.as_str(), name(1).as_str()), (1, "lo", "lo"));
        assert!(link(0x7fff_fff0).is_err());
        assert_eq!(name(0x7fff_fff0), "if2147483632");
    }
}
