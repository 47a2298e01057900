//! A netlink socket to the kernel's netfilter: whole lists (dumps) and single answers.
//!
//! Rule: a list that changed while it was read is asked for again, [`ATTEMPTS`] times in all; what was collected before
//! is forgotten then.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer};
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{Errno, Message, NetlinkError, Request};

/// Tries for a list that is interrupted by a change (`NLM_F_DUMP_INTR`) or by a full buffer (`ENOBUFS`).
const ATTEMPTS: u32 = 4;
/// The kernel fills a dump answer up to the reader's buffer, at most 32 KiB (`af_netlink.c`, `netlink_recvmsg`, 6.18);
/// a single larger entry is sent whole.
const BUFFER: usize = 64 * 1024;
/// Most datagrams of one list: ipset sends at least one a set, of which there can be 65,536; 8 GiB of rules else.
const MAX_DATAGRAMS: u32 = 256 * 1024;
/// Control messages (`NLMSG_`, `include/uapi/linux/netlink.h`).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
/// Smallest type that is not a control message.
const NLMSG_MIN_TYPE: u16 = 0x10;

/// A list, as the kernel gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dump<T> {
    pub answer: T,
    /// The list changed while it was read: entries are right, but some may be missing or be there twice.
    pub is_partial: bool,
}

/// How an answer stands after a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    More,
    Complete,
}

/// A socket in the network namespace in which it was opened.
pub struct Socket {
    inner: netlink_sys::Socket,
    buffer: Vec<u8>,
    sequence: u32,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        let failed = |error: std::io::Error| NetlinkError::socket(&error);
        let mut socket = netlink_sys::Socket::new(NETLINK_NETFILTER).map_err(failed)?;
        socket.bind_auto().map_err(failed)?;
        // Connected to the kernel (port 0): messages of other processes don't come in.
        socket.connect(&SocketAddr::new(0, 0)).map_err(failed)?;
        Ok(Self { inner: socket, buffer: Vec::with_capacity(BUFFER), sequence: 0 })
    }

    /// Asks for a whole list; `each` collects its messages. Begins anew, with an empty `T`, when it must be read again.
    pub fn dump<T: Default>(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&mut T, Message<'_>),
    ) -> Result<Dump<T>, NetlinkError> {
        let mut attempt = 1;
        loop {
            let got = self.dump_once(request, &mut each);
            let again = match &got {
                Ok(dump) => dump.is_partial,
                Err(error) => error.is_passing(),
            };
            if !again || attempt == ATTEMPTS {
                return got;
            }
            attempt += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks for a whole list, once: for callers that notice changes themselves.
    pub fn dump_once<T: Default>(
        &mut self,
        request: &Request,
        each: impl FnMut(&mut T, Message<'_>),
    ) -> Result<Dump<T>, NetlinkError> {
        let dump = self.whole(request, each);
        if dump.is_err() {
            self.drain();
        }
        dump
    }

    /// Asks for a list and takes only the beginning of it: until `each` says that it is enough, or the deadline is over.
    /// Whether it was all. The socket ends with it, because the kernel is still in the middle of the list.
    pub fn begin(
        mut self,
        request: &Request,
        deadline: Instant,
        mut each: impl FnMut(Message<'_>) -> ControlFlow<()>,
    ) -> Result<bool, NetlinkError> {
        self.send(request, NLM_F_REQUEST | NLM_F_DUMP)?;
        for _ in 0..MAX_DATAGRAMS {
            self.receive()?;
            let mut wants_more = ControlFlow::Continue(());
            let progress = take(&self.buffer, self.sequence, &mut false, |message| {
                if wants_more.is_continue() {
                    wants_more = each(message);
                }
            })?;
            if progress == Progress::Complete {
                return Ok(wants_more.is_continue());
            }
            if wants_more.is_break() || Instant::now() >= deadline {
                return Ok(false);
            }
        }
        Err(NetlinkError::Endless)
    }

    fn whole<T: Default>(
        &mut self,
        request: &Request,
        mut each: impl FnMut(&mut T, Message<'_>),
    ) -> Result<Dump<T>, NetlinkError> {
        self.send(request, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut dump = Dump::default();
        for _ in 0..MAX_DATAGRAMS {
            self.receive()?;
            let Dump { answer, is_partial } = &mut dump;
            if take(&self.buffer, self.sequence, is_partial, |message| each(answer, message))? == Progress::Complete {
                return Ok(dump);
            }
        }
        Err(NetlinkError::Endless)
    }

    /// Takes the rest of a list that was given up: until then the kernel refuses to begin another (`EBUSY`).
    fn drain(&mut self) {
        for _ in 0..MAX_DATAGRAMS {
            match self.receive() {
                Ok(()) | Err(NetlinkError::Truncated(_) | NetlinkError::Socket(Errno(libc::ENOBUFS))) => {}
                Err(_) => return,
            }
        }
    }

    /// Asks for one thing. What the kernel refuses is an error ([`NetlinkError::is_absent`] if there is no such thing).
    pub fn get<T>(
        &mut self,
        request: &Request,
        mut read: impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<T, NetlinkError> {
        let mut last = NetlinkError::NoAnswer;
        for _ in 0..ATTEMPTS {
            match self.get_once(request, &mut read) {
                Err(error) if error.is_passing() => last = error,
                answer => return answer,
            }
        }
        Err(last)
    }

    fn get_once<T>(
        &mut self,
        request: &Request,
        read: &mut impl FnMut(Message<'_>) -> Option<T>,
    ) -> Result<T, NetlinkError> {
        self.send(request, NLM_F_REQUEST)?;
        // Left-overs of a broken-off answer carry other sequence numbers and are passed over.
        for _ in 0..MAX_DATAGRAMS {
            self.receive()?;
            let mut found = None;
            take(&self.buffer, self.sequence, &mut false, |message| found = Some(read(message)))?;
            if let Some(answer) = found {
                return answer.ok_or(NetlinkError::Malformed);
            }
        }
        Err(NetlinkError::Endless)
    }

    fn send(&mut self, request: &Request, flags: u16) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        let bytes = request.bytes(flags, self.sequence);
        self.inner.send(&bytes, libc::MSG_DONTWAIT).map_err(|error| NetlinkError::socket(&error))?;
        Ok(())
    }

    /// Fills the buffer with the next datagram.
    fn receive(&mut self) -> Result<(), NetlinkError> {
        self.buffer.clear();
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let length = self.inner.recv(&mut self.buffer, flags).map_err(|error| NetlinkError::socket(&error))?;
        if length > self.buffer.len() { Err(NetlinkError::Truncated(BUFFER)) } else { Ok(()) }
    }
}

/// Goes through the messages of one datagram that answer `sequence`.
fn take(
    mut datagram: &[u8],
    sequence: u32,
    is_partial: &mut bool,
    mut each: impl FnMut(Message<'_>),
) -> Result<Progress, NetlinkError> {
    while !datagram.is_empty() {
        let message = NetlinkBuffer::new_checked(datagram).map_err(|_| NetlinkError::Malformed)?;
        let (kind, payload) = (message.message_type(), message.payload());
        // At least a header long: checked by `new_checked`.
        datagram = datagram.get((message.length() as usize).next_multiple_of(4)..).unwrap_or_default();
        if message.sequence_number() != sequence {
            continue;
        }
        *is_partial |= message.flags() & NLM_F_DUMP_INTR != 0;
        match kind {
            NLMSG_DONE | NLMSG_ERROR => {
                // `NLMSG_DONE` may come without a number; an error never does.
                let code = payload.first_chunk().map_or(0, |bytes| i32::from_ne_bytes(*bytes));
                if kind == NLMSG_ERROR && payload.len() < 4 {
                    return Err(NetlinkError::Malformed);
                }
                return if code < 0 {
                    Err(NetlinkError::refused(code.saturating_neg()))
                } else {
                    Ok(Progress::Complete)
                };
            }
            NLMSG_OVERRUN => return Err(NetlinkError::refused(libc::ENOBUFS)),
            NLMSG_MIN_TYPE.. => each(Message::parse(kind, payload).ok_or(NetlinkError::Malformed)?),
            _ => {}
        }
    }
    Ok(Progress::More)
}

#[cfg(test)]
mod tests;
