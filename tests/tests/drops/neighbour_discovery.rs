//! IPv6 neighbour solicitations that RFC 4861 section 7.1.1 rejects.

use std::net::Ipv6Addr;

use anyhow::Result;
use tracer_tests::Family;
use tracer_tests::topology::{self, CLIENT, NEIGHBOUR};
use tracer_tests::traffic::frame::{self, ICMPV6, Ipv6};

use crate::frames::{Case, ends, ethernet6, flow, names_each};

const NEIGHBOUR_SOLICITATION: u8 = 135;

/// A solicitation for `target`, sent to the server itself.
fn solicitation(hop_limit: u8, code: u8, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let (source, destination) = ends(Family::V6);
    let body = [&[0; 4][..], &target.octets(), options].concat();
    let message = frame::icmp(source, destination, NEIGHBOUR_SOLICITATION, code, &body);
    ethernet6(&Ipv6 { hop_limit, ..Ipv6::new(CLIENT.v6, NEIGHBOUR.v6, ICMPV6) }.build(&message))
}

#[test]
fn solicitation_that_breaks_a_rule() -> Result<()> {
    let lab = topology::pair()?;
    let nobody = Ipv6Addr::new(0xfd99, 1, 0, 0, 0, 0, 0, 0x77);
    let no_length = &[1, 0, 0, 0, 0, 0, 0, 0];
    let case = |frame, reasons| {
        Case::new(frame, reasons, &["icmpv6_rcv"]).hook("neighbour").of(&flow("icmpv6", Family::V6, (0, 0)))
    };
    let cases = [
        case(solicitation(64, 0, NEIGHBOUR.v6, &[]), &["IPV6_NDISC_HOP_LIMIT", "NOT_SPECIFIED"]),
        case(solicitation(255, 1, NEIGHBOUR.v6, &[]), &["IPV6_NDISC_BAD_CODE", "NOT_SPECIFIED"]),
        case(solicitation(255, 0, NEIGHBOUR.v6, no_length), &["IPV6_NDISC_BAD_OPTIONS", "NOT_SPECIFIED"]),
        case(solicitation(255, 0, nobody, &[]), &["IPV6_NDISC_NS_OTHERHOST", "NOT_SPECIFIED"]),
    ];
    names_each(&lab, &cases)
}
