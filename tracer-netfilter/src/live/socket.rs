//! Questions to the kernel's routing (`NETLINK_ROUTE`).
//!
//! Rule: nothing waits, loops are bounded, and what comes back is checked before it is believed. A list is asked for with
//! strict checking, so that the kernel itself leaves out what was not asked for (since Linux 4.20).

use std::io;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::RouteError;
use crate::netlink::{Attributes, Errno};

/// Tries for a list that changes while it is read.
const ATTEMPTS: u32 = 4;
/// The kernel fills a dump answer up to the reader's buffer, at most 32 KiB (`af_netlink.c`, 6.18).
const BUFFER: usize = 64 * 1024;
/// Most messages of one answer, and so most datagrams: a table of all routes of the internet is larger and not read.
pub(super) const MAX_MESSAGES: usize = 500_000;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A question: `RTM_GET…`, its fixed structure, its attributes.
#[derive(Clone, Debug)]
pub(super) struct Request {
    kind: u16,
    payload: Vec<u8>,
}

impl Request {
    pub(super) fn new(kind: u16, header: &[u8]) -> Self {
        let mut payload = header.to_vec();
        payload.resize(payload.len().next_multiple_of(4), 0);
        Self { kind, payload }
    }

    /// Adds an attribute; one that is longer than an attribute can be is left out.
    #[must_use]
    pub(super) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        if let Ok(length) = u16::try_from(value.len().saturating_add(4)) {
            self.payload.extend(length.to_ne_bytes());
            self.payload.extend(kind.to_ne_bytes());
            self.payload.extend(value);
            self.payload.resize(self.payload.len().next_multiple_of(4), 0);
        }
        self
    }

    fn bytes(&self, flags: u16) -> Vec<u8> {
        let length = u32::try_from(self.payload.len().saturating_add(16)).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(length as usize);
        bytes.extend(length.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        // A socket asks once: number and port are of no use.
        bytes.extend([0; 8]);
        bytes.extend(&self.payload);
        bytes
    }
}

/// Asks for one thing.
pub(super) fn get<T>(request: &Request, read: impl Fn(&[u8]) -> Option<T>) -> Result<T, RouteError> {
    let mut answer = None;
    converse(request, NLM_F_REQUEST, |payload| answer = Some(read(payload)))?;
    answer.flatten().ok_or(RouteError::Malformed)
}

/// Asks for a list. What `read` makes nothing of ends it: with a rule or route missing, the answer would be another one.
pub(super) fn dump<T>(request: &Request, read: impl Fn(&[u8]) -> Option<T>) -> Result<Vec<T>, RouteError> {
    for _ in 0..ATTEMPTS {
        let mut list = Some(Vec::new());
        let is_whole = converse(request, NLM_F_REQUEST | NLM_F_DUMP, |payload| {
            list = list.take().zip(read(payload)).map(|(mut list, entry)| {
                list.push(entry);
                list
            });
        })?;
        if is_whole {
            return list.ok_or(RouteError::Malformed);
        }
    }
    Err(RouteError::Changing)
}

/// Sends a question and gives each message of the answer to `each`; false if the list changed meanwhile.
fn converse(request: &Request, flags: u16, mut each: impl FnMut(&[u8])) -> Result<bool, RouteError> {
    let failed = |error: io::Error| RouteError::Socket(Errno::of(&error));
    let mut socket = Socket::new(NETLINK_ROUTE).map_err(failed)?;
    socket.set_netlink_get_strict_chk(true).map_err(failed)?;
    socket.bind_auto().map_err(failed)?;
    // Connected to the kernel: messages of other processes don't come in.
    socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
    socket.send(&request.bytes(flags), libc::MSG_DONTWAIT).map_err(failed)?;

    let mut buffer = Vec::with_capacity(BUFFER);
    let mut progress = Progress { is_list: flags & NLM_F_DUMP != 0, is_whole: true, messages: 0 };
    loop {
        buffer.clear();
        let length = socket.recv(&mut buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC).map_err(failed)?;
        if length > buffer.len() {
            return Err(RouteError::Malformed);
        }
        // Each datagram has at least one message, and those are counted.
        if progress.take(&buffer, &mut each)? {
            return Ok(progress.is_whole);
        }
    }
}

struct Progress {
    is_list: bool,
    is_whole: bool,
    messages: usize,
}

impl Progress {
    /// Goes through one datagram; true when the answer is complete.
    fn take(&mut self, mut datagram: &[u8], each: &mut impl FnMut(&[u8])) -> Result<bool, RouteError> {
        loop {
            let message = NetlinkBuffer::new_checked(datagram).map_err(|_| RouteError::Malformed)?;
            self.messages = self.messages.saturating_add(1);
            if self.messages > MAX_MESSAGES {
                return Err(RouteError::TooMany(MAX_MESSAGES));
            }
            self.is_whole &= message.flags() & NLM_F_DUMP_INTR == 0;
            let payload = message.payload();
            match message.message_type() {
                NLMSG_DONE | NLMSG_ERROR => {
                    let code = payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
                    let code = code.ok_or(RouteError::Malformed)?;
                    let refused = || RouteError::Refused(Errno(code.saturating_neg()));
                    return if code < 0 { Err(refused()) } else { Ok(true) };
                }
                _ => each(payload),
            }
            if !self.is_list {
                return Ok(true);
            }
            datagram = datagram.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
            if datagram.is_empty() {
                return Ok(false);
            }
        }
    }
}

/// A fixed structure and the attributes behind it.
pub(super) fn split<const N: usize>(payload: &[u8]) -> Option<(&[u8; N], Attributes<'_>)> {
    let (header, attributes) = payload.split_first_chunk::<N>()?;
    Some((header, Attributes::new(attributes)))
}

/// A number in the host's order, as routing sends them.
pub(super) fn word(attributes: Attributes<'_>, kind: u16) -> Option<u32> {
    attributes.get(kind)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Request::new(kind, payload).bytes(flags);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn take(bytes: &[u8], is_list: bool) -> Result<(bool, bool, usize), RouteError> {
        let mut progress = Progress { is_list, is_whole: true, messages: 0 };
        let mut count = 0;
        let is_complete = progress.take(bytes, &mut |_| count += 1)?;
        Ok((is_complete, progress.is_whole, count))
    }

    #[test]
    fn a_list_ends_with_done_and_one_answer_by_itself() {
        let entries = [message(24, 2, &[0; 12]), message(24, 2, &[0; 12])].concat();
        let done = message(NLMSG_DONE, 2, &[0; 4]);
        assert_eq!(take(&entries, true), Ok((false, true, 2)));
        assert_eq!(take(&[entries.clone(), done].concat(), true), Ok((true, true, 2)));
        assert_eq!(take(&entries, false), Ok((true, true, 1)));
        assert_eq!(take(&message(24, 0x10, &[0; 12]), true), Ok((false, false, 1)), "it changed");
        let refused = message(NLMSG_ERROR, 0, &(-libc::EACCES).to_ne_bytes());
        assert_eq!(take(&refused, false), Err(RouteError::Refused(Errno(libc::EACCES))));
    }

    #[test]
    fn hostile_bytes_never_panic() {
        let good = [message(24, 2, &[7; 28]), message(24, 2, &[7; 12]), message(NLMSG_DONE, 2, &[0; 4])].concat();
        let mut state = 0x2545_f491_4f6c_dd1du64;
        for _ in 0..50_000 {
            let mut bytes = good.clone();
            for _ in 0..3 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state >> 32) as usize % bytes.len();
                bytes[at] = state as u8;
            }
            bytes.truncate(good.len() - (state >> 8) as usize % 20);
            let _ = (take(&bytes, true), take(&bytes, false));
        }
    }
}
