//! Synchronous netlink: one request, and its answer or the whole list.
//!
//! Rule: what comes back is checked before it is believed (sender, sequence number, lengths), every loop is bounded,
//! and a list that changed while it was read is asked for again, [`ATTEMPTS`] times in all.

use netlink_packet_core::{
    DecodeError, Emitable, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr};

use super::error::{Errno, NetlinkError};

/// Tries for a list that is interrupted by a change (`NLM_F_DUMP_INTR`) or by a full buffer (`ENOBUFS`).
const ATTEMPTS: u32 = 4;
/// Most entries taken of one list: far more links than one namespace has ever been seen to hold (about 64 MiB of answer).
const MAX_ENTRIES: usize = 65_536;
/// The kernel fills a dump answer up to the reader's buffer, at most 32 KiB (`af_netlink.c`, `netlink_recvmsg`, 6.18);
/// a single larger entry is sent whole.
const BUFFER: usize = 64 * 1024;

/// A message of any netlink family: its type and everything after the netlink header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub kind: u16,
    pub payload: Vec<u8>,
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.payload.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        for (to, from) in buffer.iter_mut().zip(&self.payload) {
            *to = *from;
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self { kind: header.message_type, payload: payload.to_vec() })
    }
}

/// The answer to a dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    pub messages: Vec<Message>,
    /// The list changed during each attempt: entries are right, but some may be missing.
    pub partial: bool,
}

/// Asks `protocol` (`NETLINK_ROUTE`, …) for a whole list, in the calling thread's network namespace.
///
/// Never waits: the kernel answers a dump while it is asked.
pub fn dump(protocol: isize, request: &Message) -> Result<Dump, NetlinkError> {
    let mut last = Err(NetlinkError::Malformed);
    for sequence in 1..=ATTEMPTS {
        last = attempt(protocol, request, sequence);
        match &last {
            Ok(answer) if answer.partial => {}
            Err(NetlinkError::Socket(Errno(libc::ENOBUFS)) | NetlinkError::Refused(Errno(libc::EINTR))) => {}
            _ => break,
        }
    }
    last
}

/// Asks `protocol` for one thing, in the calling thread's network namespace; the answer's messages, mostly one.
///
/// Never waits, as [`dump`].
pub fn get(protocol: isize, request: &Message) -> Result<Vec<Message>, NetlinkError> {
    // The acknowledgement ends it, as "done" ends a dump.
    ask(protocol, request, NLM_F_REQUEST | NLM_F_ACK, 1).map(|answer| answer.messages)
}

fn attempt(protocol: isize, request: &Message, sequence: u32) -> Result<Dump, NetlinkError> {
    ask(protocol, request, NLM_F_REQUEST | NLM_F_DUMP, sequence)
}

fn ask(protocol: isize, request: &Message, flags: u16, sequence: u32) -> Result<Dump, NetlinkError> {
    let failed = |error: std::io::Error| NetlinkError::Socket(Errno::of(&error));
    let mut socket = Socket::new(protocol).map_err(failed)?;
    socket.bind_auto().map_err(failed)?;
    socket.send_to(&serialize(request, flags, sequence), &SocketAddr::new(0, 0), libc::MSG_DONTWAIT).map_err(failed)?;

    let mut answer = Dump { messages: Vec::new(), partial: false };
    let mut buffer = Vec::with_capacity(BUFFER);
    // Each datagram of a dump holds at least one entry, so this ends.
    for _ in 0..=MAX_ENTRIES {
        buffer.clear();
        let (length, sender) = socket.recv_from(&mut buffer, libc::MSG_DONTWAIT | libc::MSG_TRUNC).map_err(failed)?;
        if sender.port_number() != 0 {
            continue; // not from the kernel
        }
        if length > buffer.len() {
            return Err(NetlinkError::Truncated);
        }
        if take(&buffer, sequence, &mut answer)? {
            return Ok(answer);
        }
    }
    Err(NetlinkError::TooMany(MAX_ENTRIES))
}

fn serialize(request: &Message, flags: u16, sequence: u32) -> Vec<u8> {
    let mut header = NetlinkHeader::default();
    header.flags = flags;
    header.sequence_number = sequence;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request.clone()));
    message.finalize();
    let mut bytes = vec![0; Emitable::buffer_len(&message)];
    message.serialize(&mut bytes);
    bytes
}

/// Adds the messages of one datagram to `answer`; true when the dump is complete.
fn take(mut datagram: &[u8], sequence: u32, answer: &mut Dump) -> Result<bool, NetlinkError> {
    while !datagram.is_empty() {
        let message = NetlinkMessage::<Message>::deserialize(datagram).map_err(|_| NetlinkError::Malformed)?;
        // Not shorter than a header: checked by `deserialize`.
        let aligned = (message.header.length as usize).next_multiple_of(4);
        datagram = datagram.get(aligned..).unwrap_or_default();
        if message.header.sequence_number != sequence {
            continue;
        }
        answer.partial |= message.header.flags & NLM_F_DUMP_INTR != 0;
        match message.payload {
            NetlinkPayload::InnerMessage(inner) if answer.messages.len() < MAX_ENTRIES => answer.messages.push(inner),
            NetlinkPayload::InnerMessage(_) => return Err(NetlinkError::TooMany(MAX_ENTRIES)),
            NetlinkPayload::Done(done) if done.code < 0 => return Err(NetlinkError::Refused(Errno(-done.code))),
            NetlinkPayload::Done(_) => return Ok(true),
            NetlinkPayload::Error(error) if error.code.is_none() => return Ok(true),
            NetlinkPayload::Error(error) => {
                return Err(NetlinkError::Refused(Errno(error.raw_code().saturating_neg())));
            }
            NetlinkPayload::Overrun(_) => return Err(NetlinkError::Socket(Errno(libc::ENOBUFS))),
            _ => {}
        }
    }
    Ok(false)
}

/// An attribute, rounded up to four bytes; values here are short.
#[cfg(test)]
pub(crate) fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len());
    bytes.extend((4 + value.len() as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Shows a message with some bytes changed, and cut off, many times over.
#[cfg(test)]
pub(crate) fn noise(good: &[u8], mut look: impl FnMut(&[u8])) {
    let mut state = 7u64;
    for round in 0..50_000 {
        let mut bytes = good.to_vec();
        for byte in &mut bytes {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if state >> 60 == 0 {
                *byte = (state >> 33) as u8;
            }
        }
        bytes.truncate(round % (good.len() + 1));
        look(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((16 + payload.len() as u32).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes
    }

    fn empty() -> Dump {
        Dump { messages: Vec::new(), partial: false }
    }

    #[test]
    fn a_dump_is_collected_up_to_done_and_foreign_answers_are_left_out() {
        let mut bytes = datagram(16, 2, 7, &[1, 2, 3, 4]);
        bytes.extend(datagram(16, 2, 6, &[9; 4]));
        let mut answer = empty();
        assert_eq!(take(&bytes, 7, &mut answer), Ok(false));
        assert_eq!(take(&datagram(3, 2, 7, &[0; 4]), 7, &mut answer), Ok(true));
        assert_eq!(answer.messages, [Message { kind: 16, payload: vec![1, 2, 3, 4] }]);
        assert!(!answer.partial);
    }

    #[test]
    fn an_interrupted_dump_is_marked() {
        let mut answer = empty();
        assert_eq!(take(&datagram(3, NLM_F_DUMP_INTR, 1, &[0; 4]), 1, &mut answer), Ok(true));
        assert!(answer.partial);
    }

    #[test]
    fn refusals_carry_their_error_number() {
        let mut payload = (-libc::EPERM).to_ne_bytes().to_vec();
        payload.extend([0; 16]);
        let refused = Err(NetlinkError::Refused(Errno(libc::EPERM)));
        assert_eq!(take(&datagram(2, 0, 1, &payload), 1, &mut empty()), refused);
        assert_eq!(take(&datagram(3, 0, 1, &payload[..4]), 1, &mut empty()), refused);
    }

    #[test]
    fn lying_lengths_are_malformed_and_nothing_panics() {
        let good = datagram(16, 2, 1, &[5; 12]);
        for cut in 1..good.len() {
            assert_eq!(take(&good[..cut], 1, &mut empty()), Err(NetlinkError::Malformed), "cut at {cut}");
        }
        noise(&good, |bytes| {
            let _ = take(bytes, 1, &mut empty());
        });
    }

    #[test]
    fn a_request_has_its_length_and_flags() {
        let bytes = serialize(&Message { kind: 18, payload: vec![0; 16] }, NLM_F_REQUEST | NLM_F_DUMP, 3);
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..8], [32, 0, 0, 0, 18, 0, 0x01, 0x03]);
    }
}
