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

fn proves(event: &Event, part: &str) {
    let evidence = event.texts(key::EVIDENCE);
    assert!(evidence.iter().any(|fact| fact.contains(part)), "{part} is not in {evidence:#?}");
}

fn says(event: &Event, summary: &str) {
    assert_eq!(event.text(key::SUMMARY), summary);
}

fn advises(event: &Event, part: &str) {
    let remedies = event.texts(key::REMEDY);
    assert!(remedies.iter().any(|remedy| remedy.contains(part)), "{part} is not in {remedies:#?}");
}

fn any(family: Family) -> IpAddr {
    family.pick(Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into())
}
