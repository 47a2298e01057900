//! IPv6: extension headers, neighbour discovery checks.

use super::{Group, Layout, ReasonEntry};
use crate::event::Cause;
use crate::event::Severity::{Expected, Noise, Problem};

const CAPTURE: &str = "{ns}tcpdump -nevi {interface} icmp6";

pub(super) const GROUP: Group = Group {
    title: "IPv6",
    layout: Layout::Sections,
    entries: &[
        ReasonEntry {
            name: "IPV6DISABLED",
            meaning: "IPv6 is switched off on this interface",
            usual_cause: "disable_ipv6 is set, by choice or by the container runtime",
            severity: Problem,
            severity_why: "nothing on this interface can use IPv6",
            cause: Cause::Device,
            remedy: &[
                "{ns}sysctl net.ipv6.conf.all.disable_ipv6 net.ipv6.conf.{conf}.disable_ipv6",
                "{ns}sysctl -w net.ipv6.conf.{conf}.disable_ipv6=0",
            ],
        },
        ReasonEntry {
            name: "IPV6_BAD_EXTHDR",
            meaning: "an IPv6 extension header is wrong",
            usual_cause: "A damaged or forged packet, or a message that quotes one",
            severity: Problem,
            severity_why: "the packet cannot be read",
            cause: Cause::Checksum,
            remedy: &[CAPTURE],
        },
        ReasonEntry {
            name: "IPV6_TOO_MANY_EXTHDRS",
            meaning: "it carries more IPv6 extension headers than this kernel reads",
            usual_cause: "A forged packet; no ordinary program sends so many",
            severity: Expected,
            severity_why: "only test tools and attackers send such packets",
            cause: Cause::Checksum,
            remedy: &[CAPTURE],
        },
        ReasonEntry {
            name: "IPV6_NDISC_FRAG",
            meaning: "a neighbour discovery message came in fragments",
            usual_cause: "A forged packet; suppress_frag_ndisc refuses them (RFC 6980)",
            severity: Expected,
            severity_why: "fragmented neighbour discovery is an attack, and is refused on purpose",
            cause: Cause::Neighbour,
            remedy: &["{ns}sysctl net.ipv6.conf.{conf}.suppress_frag_ndisc", CAPTURE],
        },
        ReasonEntry {
            name: "IPV6_NDISC_HOP_LIMIT",
            meaning: "a neighbour discovery message has a hop limit other than 255",
            usual_cause: "It was forwarded or forged: such messages are only good on their own link",
            severity: Problem,
            severity_why: "neighbour discovery from beyond the link is refused",
            cause: Cause::Neighbour,
            remedy: &[CAPTURE],
        },
        ReasonEntry {
            name: "IPV6_NDISC_BAD_CODE",
            meaning: "a neighbour discovery message has a code other than 0",
            usual_cause: "A broken or forged message",
            severity: Problem,
            severity_why: "neighbour discovery of this sender does not work",
            cause: Cause::Neighbour,
            remedy: &[CAPTURE],
        },
        ReasonEntry {
            name: "IPV6_NDISC_BAD_OPTIONS",
            meaning: "a neighbour discovery message has options that cannot be read",
            usual_cause: "A broken or forged message",
            severity: Problem,
            severity_why: "neighbour discovery of this sender does not work",
            cause: Cause::Neighbour,
            remedy: &[CAPTURE],
        },
        ReasonEntry {
            name: "IPV6_NDISC_NS_OTHERHOST",
            meaning: "a neighbour solicitation asks for another machine's address",
            usual_cause: "Neighbour discovery uses multicast groups that several machines share",
            severity: Noise,
            severity_why: "neighbour discovery meant for another machine",
            cause: Cause::Neighbour,
            remedy: &[],
        },
    ],
};
