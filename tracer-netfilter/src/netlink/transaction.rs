//! Netlink that changes something: attributes put together and taken apart, a transaction, and events as they come.
//!
//! Rules: a connection belongs to the namespace in which it was opened, wherever it is used. Whatever the kernel sends is
//! checked length by length; what does not fit ends the reading of that message.

use std::io;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use netlink_sys::{Socket, SocketAddr};

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;
/// `NLA_F_NESTED` (uapi/linux/netlink.h).
const NESTED: u16 = 1 << 15;
/// Flags above the type of an attribute: nested, and in network order.
const TYPE_MASK: u16 = 0x3fff;
/// Datagrams read for the answers to one transaction, each of which is one small message.
const MOST_ANSWERS: usize = 64;
/// One datagram of the kernel: NLMSG_GOODSIZE is at most 8 KiB, a dump up to 32 KiB.
const BUFFER: usize = 32 * 1024;

/// A fixed part and attributes behind it; also the inside of an attribute.
#[must_use]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(Vec<u8>);

impl Body {
    /// `fixed` is a multiple of four bytes, as all such structs are.
    pub fn new(fixed: &[u8]) -> Self {
        Self(fixed.to_vec())
    }

    pub fn put(mut self, kind: u16, value: &[u8]) -> Self {
        // Nothing that is said comes near the 64 KiB of an attribute.
        let length = value.len().saturating_add(4) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A number in network order, as nf_tables wants all of them.
    pub fn number(self, kind: u16, number: u32) -> Self {
        self.put(kind, &number.to_be_bytes())
    }

    /// A name as the kernel wants it, with a NUL at its end.
    pub fn text(self, kind: u16, text: &str) -> Self {
        self.put(kind, &[text.as_bytes(), &[0]].concat())
    }

    pub fn nest(self, kind: u16, inside: &Self) -> Self {
        self.put(kind | NESTED, &inside.0)
    }

    /// These attributes behind what is there.
    pub fn and(mut self, attributes: &Self) -> Self {
        self.0.extend(&attributes.0);
        self
    }

    /// As it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One message to the kernel; `flags` besides `NLM_F_REQUEST`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub kind: u16,
    pub flags: u16,
    pub body: Body,
}

/// All requests of a transaction as one datagram, and how many of them ask for an answer. Numbered from 1.
pub fn datagram(requests: &[Request]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    let mut awaited = 0_usize;
    for (number, request) in (1_u32..).zip(requests) {
        let length = HEADER.saturating_add(request.body.0.len()) as u32;
        let flags = request.flags | libc::NLM_F_REQUEST as u16;
        bytes.extend(length.to_ne_bytes());
        bytes.extend(request.kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(number.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(&request.body.0);
        awaited = awaited.saturating_add(usize::from(flags & libc::NLM_F_ACK as u16 != 0));
    }
    (bytes, awaited)
}

/// A netlink socket of the namespace in which it was opened.
#[derive(Debug)]
pub struct Connection {
    pub(crate) socket: Socket,
    buffer: Vec<u8>,
}

impl Connection {
    /// In the calling thread's namespace, to `NETLINK_NETFILTER`, `NETLINK_ROUTE`, …
    pub fn open(protocol: libc::c_int) -> io::Result<Self> {
        let mut socket = Socket::new(protocol as isize)?;
        socket.bind_auto()?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Sends `requests` as one transaction; the first refusal is the error. The kernel answers while it is asked, so
    /// nothing waits.
    pub fn transact(&mut self, requests: &[Request]) -> io::Result<()> {
        let (bytes, mut awaited) = datagram(requests);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT)?;
        for _ in 0..MOST_ANSWERS {
            if awaited == 0 {
                return Ok(());
            }
            let Some(answers) = self.read()? else { continue };
            for answer in messages(answers) {
                if answer.kind != libc::NLMSG_ERROR as u16 {
                    continue;
                }
                let code = answer.body.first_chunk().map_or(-libc::EBADMSG, |code| i32::from_ne_bytes(*code));
                if code != 0 {
                    return Err(io::Error::from_raw_os_error(code.saturating_neg()));
                }
                awaited = awaited.saturating_sub(1);
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBADMSG))
    }

    /// What lies ready; `None` if it is not the kernel's.
    fn read(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.clear();
        let (length, sender) = self.socket.recv_from(&mut self.buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC)?;
        let is_whole = length <= self.buffer.len();
        Ok(self.buffer.get(..length).filter(|_| is_whole && sender.port_number() == 0))
    }

    /// The kernel's next datagram, or `None` when the time is over.
    pub fn receive(&mut self, deadline: Instant) -> io::Result<Option<&[u8]>> {
        loop {
            if !readable(&self.socket, deadline.saturating_duration_since(Instant::now()))? {
                return Ok(None);
            }
            match self.read() {
                Ok(Some(_)) => return Ok(Some(&self.buffer)),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for something to read, at most so long. A signal that comes in between ends the waiting early, as if the time were
/// over: the caller knows best whether to go on.
fn readable(socket: &Socket, within: Duration) -> io::Result<bool> {
    let mut asked = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // Rounded up: 0 would not wait at all.
    let milliseconds = i32::try_from(within.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    // SAFETY: one valid `pollfd`, which outlives the call.
    let ready = unsafe { libc::poll(&raw mut asked, 1, milliseconds) };
    if ready >= 0 {
        return Ok(ready > 0);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        error => Err(error),
    }
}

/// A message of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u16,
    pub body: &'a [u8],
}

/// The messages of a datagram, up to the first that lies about its length.
pub fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*datagram.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*datagram.get(4..)?.first_chunk()?);
        let body = datagram.get(HEADER..length)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Message { kind, body })
    })
}

/// Attributes with their types, up to the first that lies about its length.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?) & TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_is_taken_apart_the_same() {
        let inside = Body::default().number(1, 7);
        let body = Body::default().text(3, "eth0").nest(5, &inside);
        let parts: Vec<_> = attributes(body.bytes()).collect();
        assert_eq!(parts, [(3, &b"eth0\0"[..]), (5, inside.bytes())]);
    }

    #[test]
    fn only_requests_that_ask_for_it_are_waited_for() {
        let request = |flags| Request { kind: 16, flags, body: Body::new(&[0; 4]) };
        let (bytes, awaited) = datagram(&[request(0), request(libc::NLM_F_ACK as u16)]);
        assert_eq!(awaited, 1);
        assert_eq!(bytes[..12], [20, 0, 0, 0, 16, 0, 1, 0, 1, 0, 0, 0]);
        assert_eq!(bytes[20..32], [20, 0, 0, 0, 16, 0, 5, 0, 2, 0, 0, 0]);
        assert_eq!(messages(&bytes).count(), 2);
    }

    #[test]
    fn lengths_that_lie_end_the_reading() {
        for length in [0_u32, 1, 15, 21, u32::MAX] {
            let mut bytes = datagram(&[Request { kind: 16, flags: 0, body: Body::new(&[0; 4]) }]).0;
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bytes).count(), 0, "{length}");
        }
        for length in [0_u16, 3, 13, u16::MAX] {
            let mut bytes = Body::default().number(1, 7).bytes().to_vec();
            bytes[..2].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(attributes(&bytes).count(), 0, "{length}");
        }
    }
}
