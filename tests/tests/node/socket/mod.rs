//! Sockets: nobody listens there, the buffer is full, the accept queue is full.

mod absent;
mod accept_queue;
mod receive_buffer;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tracer_tests::event::key;
use tracer_tests::{Event, Family, kernel};

/// The kernel's word and the list of sockets agree; where it gives none, the list agrees with the place.
fn agreed() -> &'static str {
    if kernel::tells_reasons() { "certain" } else { "derived" }
}

fn is_said(event: &Event, summary: &str) {
    assert_eq!(event.text(key::SUMMARY), summary);
}

fn any(family: Family) -> IpAddr {
    family.pick(Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into())
}
