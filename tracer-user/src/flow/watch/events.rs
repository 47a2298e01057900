//! Changes of a namespace's interfaces and routes, as the kernel tells them.
//!
//! Rule: an event only says that it is time to look; what is there is read from the lists. But one thing is believed: that an
//! interface was deleted, as the next with its index is another.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use netlink_sys::{Socket, SocketAddr};
use tracer_netfilter::netlink::transaction::messages;

use crate::host::error::{Errno, HostError, NetlinkError};
use crate::host::{Netns, enter};

/// `RTNLGRP_LINK`, `RTNLGRP_IPV4_ROUTE`, `RTNLGRP_IPV6_ROUTE` (uapi/linux/rtnetlink.h).
const LINKS: u32 = 1;
const ROUTES: [u32; 2] = [7, 11];
/// Bytes that wait: thousands of events; when there are more, all is looked at anew.
const BUFFER: libc::c_int = 1 << 20;
/// Datagrams taken at once.
const MOST: usize = 4096;

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) links: bool,
    pub(super) routes: bool,
    /// Indices of interfaces that were deleted or left the namespace.
    pub(super) removed: Vec<u32>,
    /// Events were lost.
    pub(super) lost: bool,
}

/// Open, it keeps its namespace alive.
#[derive(Debug)]
pub(super) struct Events {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Events {
    pub(super) fn open(netns: &Netns) -> Result<Self, HostError> {
        let failed = |error: io::Error| HostError::Interfaces {
            netns: netns.inode,
            error: NetlinkError::Socket(Errno::of(&error)),
        };
        let socket = enter::visit(netns, || {
            let mut socket = Socket::new(libc::NETLINK_ROUTE as isize).map_err(failed)?;
            socket.bind_auto().map_err(failed)?;
            if let Err(error) = socket.set_rx_buf_sz(BUFFER) {
                tracing::debug!("the buffer for events of interfaces stays small: {error}");
            }
            socket.add_membership(LINKS).map_err(failed)?;
            ROUTES.into_iter().try_for_each(|group| socket.add_membership(group)).map_err(failed)?;
            Ok(socket)
        })?;
        Ok(Self { socket, buffer: Vec::with_capacity(64 << 10) })
    }

    pub(super) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Takes what is there.
    pub(super) fn take(&mut self) -> Changes {
        let mut changes = Changes::default();
        for _ in 0..MOST {
            self.buffer.clear();
            match self.socket.recv_from(&mut self.buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
                Ok((length, sender)) if sender == SocketAddr::new(0, sender.multicast_groups()) => {
                    changes.lost |= length > self.buffer.len();
                    changes.add(&self.buffer);
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    changes.lost |= error.raw_os_error() == Some(libc::ENOBUFS);
                    if error.raw_os_error() != Some(libc::ENOBUFS) {
                        break;
                    }
                }
            }
        }
        changes
    }
}

impl Changes {
    fn add(&mut self, datagram: &[u8]) {
        for message in messages(datagram) {
            match message.kind {
                libc::RTM_NEWLINK => self.links = true,
                libc::RTM_DELLINK => {
                    self.links = true;
                    self.removed.extend(removed(message.body));
                }
                libc::RTM_NEWROUTE | libc::RTM_DELROUTE => self.routes = true,
                _ => {}
            }
        }
    }
}

/// The index in `struct ifinfomsg`. A bridge tells with its own family that an interface is no port of it any more.
fn removed(body: &[u8]) -> Option<u32> {
    let is_device = body.first() == Some(&(libc::AF_UNSPEC as u8));
    let index = body.get(4..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes));
    index.filter(|_| is_device)
}

#[cfg(test)]
mod tests {
    use tracer_netfilter::netlink::transaction::{Body, Request, datagram};

    use super::*;
    use crate::host::netlink::noise;

    fn event(kind: u16, family: u8, index: u32) -> Request {
        let mut fixed = [0; 16];
        fixed[0] = family;
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        Request { kind, flags: 0, body: Body::new(&fixed) }
    }

    #[test]
    fn a_port_that_leaves_its_bridge_is_still_there() {
        let bytes = datagram(&[
            event(libc::RTM_DELLINK, libc::AF_BRIDGE as u8, 3),
            event(libc::RTM_NEWROUTE, libc::AF_INET as u8, 0),
            event(libc::RTM_DELLINK, 0, 4),
        ]);
        let mut changes = Changes::default();
        changes.add(&bytes.0);
        assert_eq!(changes, Changes { links: true, routes: true, removed: vec![4], lost: false });
        noise(&bytes.0, |bytes| Changes::default().add(bytes));
    }
}
