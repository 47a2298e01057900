//! What a sender is told, in nft's words (`reject with …`).

use crate::model::{Family, RejectKind};

pub(super) fn words(kind: RejectKind, code: u8, family: Family, is_ipv6: bool) -> String {
    match kind {
        RejectKind::TcpReset => "tcp reset".to_owned(),
        RejectKind::IcmpAny => format!("icmpx {}", any(code).map_or_else(|| code.to_string(), str::to_owned)),
        RejectKind::Icmp if family == Family::Ip6 || (family != Family::Ip && is_ipv6) => {
            format!("icmpv6 {}", icmpv6(code).map_or_else(|| code.to_string(), str::to_owned))
        }
        RejectKind::Icmp => format!("icmp {}", icmp(code).map_or_else(|| code.to_string(), str::to_owned)),
    }
}

/// Codes of destination unreachable (RFC 792, RFC 1812).
const fn icmp(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "net-unreachable",
        1 => "host-unreachable",
        2 => "prot-unreachable",
        3 => "port-unreachable",
        4 => "frag-needed",
        9 => "net-prohibited",
        10 => "host-prohibited",
        13 => "admin-prohibited",
        _ => return None,
    })
}

/// Codes of destination unreachable (RFC 4443).
const fn icmpv6(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "no-route",
        1 => "admin-prohibited",
        3 => "addr-unreachable",
        4 => "port-unreachable",
        5 => "policy-fail",
        6 => "reject-route",
        _ => return None,
    })
}

/// `NFT_REJECT_ICMPX_`
const fn any(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "no-route",
        1 => "port-unreachable",
        2 => "host-unreachable",
        3 => "admin-prohibited",
        _ => return None,
    })
}
