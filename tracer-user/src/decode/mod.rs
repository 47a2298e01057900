//! From the bytes of a ring-buffer event to a [`Dropped`] packet.
//!
//! Rule: everything is hostile until parsed. A bad event is an error that is counted; a bad packet is a packet of which
//! less is known.

mod connection;
mod headers;
mod transport;
mod tunnel;

use thiserror::Error;
use tracer_common::{
    DROP_EVENT, DropEvent, FLAG_HEAD_UNREADABLE, FLAG_STACK, HEAD_LENGTH, StackedDropEvent, read_plain,
};

pub use connection::{Connection, Tuple};
pub use headers::{Headers, parse};
pub use transport::{IcmpKind, TcpFlags, protocol};

/// What is wrong with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    #[error("an event of {0} bytes is too short for its kind")]
    Short(usize),
    #[error("an event of unknown kind {0}")]
    Kind(u16),
}

/// A dropped packet as the kernel sent it, with its headers parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    pub event: DropEvent,
    /// Return addresses, innermost first; empty when none were taken.
    pub stack: Vec<u64>,
    pub headers: Headers,
}

impl Dropped {
    /// What connection tracking has of it: `None` for a packet without an entry, and where the entry could not be read or
    /// says nothing (a template). Made of the event when it is asked for: many packets are kept, few are asked.
    pub fn connection(&self) -> Option<Connection> {
        Connection::of(&self.event)
    }
}

/// Decodes one event of the ring buffer.
///
/// # Errors
/// [`DecodeError`] for an event that is not of our contract.
pub fn decode(bytes: &[u8]) -> Result<Dropped, DecodeError> {
    let short = || DecodeError::Short(bytes.len());
    let event: DropEvent = read_plain(bytes).ok_or_else(short)?;
    if event.kind != DROP_EVENT {
        return Err(DecodeError::Kind(event.kind));
    }
    let stack = if event.flags & FLAG_STACK == 0 {
        Vec::new()
    } else {
        frames(&read_plain::<StackedDropEvent>(bytes).ok_or_else(short)?)
    };
    let length = usize::from(event.head_length).min(HEAD_LENGTH);
    let head = event.head.get(..length).unwrap_or_default();
    let mut headers = parse(event.head_kind, event.ethertype, head);
    headers.unreadable |= event.flags & FLAG_HEAD_UNREADABLE != 0;
    Ok(Dropped { event, stack, headers })
}

/// The frames that the kernel wrote, from the function that freed the packet on; none if it could not.
fn frames(event: &StackedDropEvent) -> Vec<u64> {
    let frames = usize::try_from(event.stack_bytes).unwrap_or(0) / size_of::<u64>();
    let mut frames: Vec<u64> = event.stack.iter().take(frames).copied().take_while(|frame| *frame != 0).collect();
    // Before it stand the tracepoint and our own program.
    if let Some(location) = frames.iter().position(|frame| *frame == event.event.flow.location) {
        frames.drain(..location);
    }
    frames
}

#[cfg(test)]
mod tests;
