//! Names that nft has for numbers.

use super::kind::Kind;

type Names = &'static [(u64, &'static str)];

/// The name of a value, as nft writes it (with quotes where it has them).
pub(super) fn symbol(kind: Kind, value: u128) -> Option<&'static str> {
    let value = u64::try_from(value).ok()?;
    names(kind).iter().find(|(number, _)| *number == value).map(|(_, name)| *name)
}

fn names(kind: Kind) -> Names {
    match kind {
        Kind::NfProtocol => &[(2, "ipv4"), (10, "ipv6")],
        Kind::EtherType => &[(0x0800, "ip"), (0x0806, "arp"), (0x86dd, "ip6"), (0x8100, "8021q"), (0x88a8, "8021ad")],
        Kind::ArpOperation => ARP_OPERATIONS,
        Kind::Protocol => crate::xt::protocol::NAMES,
        Kind::IcmpType => ICMP_TYPES,
        Kind::Icmp6Type => ICMP6_TYPES,
        Kind::IgmpType => IGMP_TYPES,
        Kind::IcmpCode => ICMP_CODES,
        Kind::Icmp6Code => ICMP6_CODES,
        Kind::IcmpAnyCode => {
            &[(0, "no-route"), (1, "port-unreachable"), (2, "host-unreachable"), (3, "admin-prohibited")]
        }
        Kind::TcpFlags => TCP_FLAGS,
        Kind::DccpType => DCCP_TYPES,
        Kind::MobilityType => MOBILITY_TYPES,
        Kind::Hardware => HARDWARE,
        Kind::Realm => &[(0, "\"cosmos\"")],
        Kind::CtState => &[(1, "invalid"), (2, "established"), (4, "related"), (8, "new"), (64, "untracked")],
        Kind::CtDirection => &[(0, "original"), (1, "reply")],
        Kind::CtStatus => CT_STATUS,
        Kind::CtEvent => CT_EVENTS,
        Kind::PacketType => &[(0, "host"), (1, "broadcast"), (2, "multicast"), (3, "other")],
        Kind::DeviceGroup => &[(0, "\"default\"")],
        Kind::Dscp => DSCP,
        Kind::Ecn => &[(0, "not-ect"), (1, "ect1"), (2, "ect0"), (3, "ce")],
        Kind::AddressType => ADDRESS_TYPES,
        Kind::Boolean => &[(1, "exists"), (0, "missing")],
        Kind::Day => DAYS,
        _ => &[],
    }
}

const ARP_OPERATIONS: Names =
    &[(1, "request"), (2, "reply"), (3, "rrequest"), (4, "rreply"), (8, "inrequest"), (9, "inreply"), (10, "nak")];

const ICMP_TYPES: Names = &[
    (0, "echo-reply"),
    (3, "destination-unreachable"),
    (4, "source-quench"),
    (5, "redirect"),
    (8, "echo-request"),
    (9, "router-advertisement"),
    (10, "router-solicitation"),
    (11, "time-exceeded"),
    (12, "parameter-problem"),
    (13, "timestamp-request"),
    (14, "timestamp-reply"),
    (15, "info-request"),
    (16, "info-reply"),
    (17, "address-mask-request"),
    (18, "address-mask-reply"),
];

const ICMP6_TYPES: Names = &[
    (1, "destination-unreachable"),
    (2, "packet-too-big"),
    (3, "time-exceeded"),
    (4, "parameter-problem"),
    (128, "echo-request"),
    (129, "echo-reply"),
    (130, "mld-listener-query"),
    (131, "mld-listener-report"),
    (132, "mld-listener-done"),
    (133, "nd-router-solicit"),
    (134, "nd-router-advert"),
    (135, "nd-neighbor-solicit"),
    (136, "nd-neighbor-advert"),
    (137, "nd-redirect"),
    (138, "router-renumbering"),
    (141, "ind-neighbor-solicit"),
    (142, "ind-neighbor-advert"),
    (143, "mld2-listener-report"),
];

const IGMP_TYPES: Names = &[
    (0x11, "membership-query"),
    (0x12, "membership-report-v1"),
    (0x16, "membership-report-v2"),
    (0x22, "membership-report-v3"),
    (0x17, "leave-group"),
];

const ICMP_CODES: Names = &[
    (0, "net-unreachable"),
    (1, "host-unreachable"),
    (2, "prot-unreachable"),
    (3, "port-unreachable"),
    (9, "net-prohibited"),
    (10, "host-prohibited"),
    (13, "admin-prohibited"),
    (4, "frag-needed"),
];

const ICMP6_CODES: Names = &[
    (0, "no-route"),
    (1, "admin-prohibited"),
    (3, "addr-unreachable"),
    (4, "port-unreachable"),
    (5, "policy-fail"),
    (6, "reject-route"),
];

const DCCP_TYPES: Names = &[
    (0, "request"),
    (1, "response"),
    (2, "data"),
    (3, "ack"),
    (4, "dataack"),
    (5, "closereq"),
    (6, "close"),
    (7, "reset"),
    (8, "sync"),
    (9, "syncack"),
];

const MOBILITY_TYPES: Names = &[
    (0, "binding-refresh-request"),
    (1, "home-test-init"),
    (2, "careof-test-init"),
    (3, "home-test"),
    (4, "careof-test"),
    (5, "binding-update"),
    (6, "binding-acknowledgement"),
    (7, "binding-error"),
    (8, "fast-binding-update"),
    (9, "fast-binding-acknowledgement"),
    (10, "fast-binding-advertisement"),
    (11, "experimental-mobility-header"),
    (12, "home-agent-switch-message"),
];

const CT_EVENTS: Names = &[
    (0x001, "new"),
    (0x002, "related"),
    (0x004, "destroy"),
    (0x008, "reply"),
    (0x010, "assured"),
    (0x020, "protoinfo"),
    (0x040, "helper"),
    (0x080, "mark"),
    (0x100, "seqadj"),
    (0x200, "secmark"),
    (0x400, "label"),
];

const DSCP: Names = &[
    (0x00, "cs0"),
    (0x08, "cs1"),
    (0x10, "cs2"),
    (0x18, "cs3"),
    (0x20, "cs4"),
    (0x28, "cs5"),
    (0x30, "cs6"),
    (0x38, "cs7"),
    (0x01, "lephb"),
    (0x0a, "af11"),
    (0x0c, "af12"),
    (0x0e, "af13"),
    (0x12, "af21"),
    (0x14, "af22"),
    (0x16, "af23"),
    (0x1a, "af31"),
    (0x1c, "af32"),
    (0x1e, "af33"),
    (0x22, "af41"),
    (0x24, "af42"),
    (0x26, "af43"),
    (0x2c, "va"),
    (0x2e, "ef"),
];

const ADDRESS_TYPES: Names = &[
    (0, "unspec"),
    (1, "unicast"),
    (2, "local"),
    (3, "broadcast"),
    (4, "anycast"),
    (5, "multicast"),
    (6, "blackhole"),
    (7, "unreachable"),
    (8, "prohibit"),
];

const TCP_FLAGS: Names = &[
    (0x01, "fin"),
    (0x02, "syn"),
    (0x04, "rst"),
    (0x08, "psh"),
    (0x10, "ack"),
    (0x20, "urg"),
    (0x40, "ecn"),
    (0x80, "cwr"),
];

const HARDWARE: Names =
    &[(1, "ether"), (512, "ppp"), (768, "ipip"), (769, "ipip6"), (772, "loopback"), (776, "sit"), (778, "ipgre")];

const CT_STATUS: Names = &[
    (0x001, "expected"),
    (0x002, "seen-reply"),
    (0x004, "assured"),
    (0x008, "confirmed"),
    (0x010, "snat"),
    (0x020, "dnat"),
    (0x200, "dying"),
];

const DAYS: Names = &[
    (0, "\"Sunday\""),
    (1, "\"Monday\""),
    (2, "\"Tuesday\""),
    (3, "\"Wednesday\""),
    (4, "\"Thursday\""),
    (5, "\"Friday\""),
    (6, "\"Saturday\""),
];
