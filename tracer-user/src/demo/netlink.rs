//! Netlink requests that change something: small message bodies, sent and waited for.
//!
//! Rule: a connection belongs to the namespace in which it was opened, wherever it is used (see
//! [`super::namespace::Namespace::connect`]); the machine's own is never asked for anything here.

use netlink_packet_core::{Emitable, NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_sys::{Socket, SocketAddr};

use crate::host::error::{Errno, NetlinkError};
use crate::host::netlink::Message;

/// Answers read for one transaction: each request has one, and none is larger than a request with a header.
const MOST_ANSWERS: usize = 64;
const BUFFER: usize = 16 * 1024;
/// `NLA_F_NESTED` (uapi/linux/netlink.h).
const NESTED: u16 = 1 << 15;

/// A fixed part and attributes behind it; also the inside of an attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Body(Vec<u8>);

impl Body {
    /// `fixed` is a multiple of four bytes, as all such structs are.
    pub(super) fn new(fixed: &[u8]) -> Self {
        Self(fixed.to_vec())
    }

    pub(super) fn put(mut self, kind: u16, value: &[u8]) -> Self {
        // Nothing that the demo says comes near the 64 KiB of an attribute.
        let length = (4 + value.len()) as u16;
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A name as the kernel wants it, with a NUL at its end.
    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        self.put(kind, &[text.as_bytes(), &[0]].concat())
    }

    pub(super) fn nest(self, kind: u16, inside: &Self) -> Self {
        self.put(kind | NESTED, &inside.0)
    }

    /// These attributes behind what is there.
    pub(super) fn and(mut self, attributes: &Self) -> Self {
        self.0.extend(&attributes.0);
        self
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One message to the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) kind: u16,
    /// Besides `NLM_F_REQUEST`; with `NLM_F_ACK` the answer is waited for.
    pub(super) flags: u16,
    pub(super) body: Body,
}

/// A netlink socket of one namespace.
pub(super) struct Connection {
    socket: Socket,
    sequence: u32,
}

impl Connection {
    /// In the calling thread's namespace.
    pub(super) fn open(protocol: isize) -> Result<Self, NetlinkError> {
        let mut socket = Socket::new(protocol).map_err(|error| failed(&error))?;
        socket.bind_auto().map_err(|error| failed(&error))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends `requests` at once and gives the first refusal. The kernel answers while it is asked, so nothing waits.
    pub(super) fn transact(&mut self, requests: &[Request]) -> Result<(), NetlinkError> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::new();
        let mut awaited = 0;
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            awaited += usize::from(request.flags & NLM_F_ACK != 0);
            datagram.extend(serialize(request, self.sequence));
        }
        self.socket.send_to(&datagram, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT).map_err(|error| failed(&error))?;
        let mut buffer = Vec::with_capacity(BUFFER);
        for _ in 0..MOST_ANSWERS {
            if awaited == 0 {
                return Ok(());
            }
            buffer.clear();
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            let (length, sender) = self.socket.recv_from(&mut buffer, flags).map_err(|error| failed(&error))?;
            if length > buffer.len() {
                return Err(NetlinkError::Truncated);
            }
            if sender.port_number() == 0 {
                awaited = awaited.saturating_sub(acknowledged(&buffer, first..=self.sequence)?);
            }
        }
        Err(NetlinkError::TooMany(MOST_ANSWERS))
    }
}

fn failed(error: &std::io::Error) -> NetlinkError {
    NetlinkError::Socket(Errno::of(error))
}

fn serialize(request: &Request, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | request.flags;
    header.sequence_number = sequence;
    let inner = Message { kind: request.kind, payload: request.body.0.clone() };
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(inner));
    message.finalize();
    let mut bytes = vec![0; Emitable::buffer_len(&message)];
    message.serialize(&mut bytes);
    bytes
}

/// How many requests with these sequence numbers one datagram says were done; an error if one was refused.
fn acknowledged(mut datagram: &[u8], sequences: std::ops::RangeInclusive<u32>) -> Result<usize, NetlinkError> {
    let mut done = 0;
    while !datagram.is_empty() {
        let message = NetlinkMessage::<Message>::deserialize(datagram).map_err(|_| NetlinkError::Malformed)?;
        // Not shorter than a header: checked by `deserialize`.
        let aligned = (message.header.length as usize).next_multiple_of(4);
        datagram = datagram.get(aligned..).unwrap_or_default();
        if !sequences.contains(&message.header.sequence_number) {
            continue;
        }
        if let NetlinkPayload::Error(error) = message.payload {
            match error.raw_code() {
                0 => done += 1,
                code => return Err(NetlinkError::Refused(Errno(code.saturating_neg()))),
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(sequence: u32, code: i32) -> Vec<u8> {
        let mut bytes = 36u32.to_ne_bytes().to_vec();
        bytes.extend(2u16.to_ne_bytes());
        bytes.extend([0; 2]);
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(code.to_ne_bytes());
        bytes.extend([0; 16]);
        bytes
    }

    #[test]
    fn attributes_have_their_length_without_the_padding() {
        let body = Body::new(&[9; 4]).text(3, "eth0").nest(5, &Body::default().put(1, &[7]));
        let name = [9, 0, 3, 0, b'e', b't', b'h', b'0', 0, 0, 0, 0];
        let nest = [12, 0, 5, 0x80, 5, 0, 1, 0, 7, 0, 0, 0];
        assert_eq!(body.bytes(), [&[9; 4][..], &name, &nest].concat());
    }

    #[test]
    fn a_request_has_its_length_flags_and_number() {
        let request = Request { kind: 16, flags: NLM_F_ACK, body: Body::new(&[0; 16]) };
        assert_eq!(serialize(&request, 3)[..12], [32, 0, 0, 0, 16, 0, 5, 0, 3, 0, 0, 0]);
    }

    #[test]
    fn answers_are_counted_and_the_first_refusal_is_the_result() {
        let both = [answer(4, 0), answer(5, 0)].concat();
        assert_eq!(acknowledged(&both, 4..=5), Ok(2));
        assert_eq!(acknowledged(&both, 5..=5), Ok(1), "an answer to somebody else");
        let refused = [answer(4, -libc::EOPNOTSUPP), answer(5, -libc::ENOENT)].concat();
        assert_eq!(acknowledged(&refused, 4..=5), Err(NetlinkError::Refused(Errno(libc::EOPNOTSUPP))));
    }

    #[test]
    fn lying_answers_are_malformed_and_nothing_panics() {
        let good = answer(1, 0);
        for cut in 1..good.len() {
            assert_eq!(acknowledged(&good[..cut], 1..=1), Err(NetlinkError::Malformed), "cut at {cut}");
        }
        for at in 0..good.len() {
            for value in [0, 1, 15, 0x7f, 0xff] {
                let mut bytes = good.clone();
                bytes[at] = value;
                let _ = acknowledged(&bytes, 1..=1);
            }
        }
    }
}
