//! REJECT: drops, and tells the sender.

use super::{Blob, Effect, End, Extension, Line};
use crate::evaluate::View;
use crate::model::{DecodeError, Family};

/// `struct ipt_reject_info`, `struct ip6t_reject_info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// What the sender is told, as `--reject-with` takes it.
    with: &'static str,
}

/// `enum ipt_reject_with`
const IPV4: [&str; 9] = [
    "icmp-net-unreachable",
    "icmp-host-unreachable",
    "icmp-proto-unreachable",
    "icmp-port-unreachable",
    "echo-reply",
    "icmp-net-prohibited",
    "icmp-host-prohibited",
    "tcp-reset",
    "icmp-admin-prohibited",
];

/// `enum ip6t_reject_with`
const IPV6: [&str; 9] = [
    "icmp6-no-route",
    "icmp6-adm-prohibited",
    "icmp6-beyond-scope",
    "icmp6-addr-unreachable",
    "icmp6-port-unreachable",
    "icmp6-echo-reply",
    "tcp-reset",
    "icmp6-policy-fail",
    "icmp6-reject-route",
];

impl Extension for Reject {
    fn decode(blob: &Blob<'_>) -> Result<Self, DecodeError> {
        blob.known_revisions(&[0])?;
        let names = if blob.is_ipv6() { IPV6 } else { IPV4 };
        let with = names.get(blob.u32(0)? as usize).ok_or(DecodeError::Malformed("the target REJECT"))?;
        Ok(Self { with })
    }

    /// Always drops, also where it has nobody to tell (`reject_tg`, `ipt_REJECT.c`).
    fn apply(&self, _view: &mut View<'_>, _sure: bool) -> Effect {
        Effect::Ends(End::Reject(self.with.to_owned()))
    }

    fn line(&self, _family: Family) -> Line {
        Line::new("REJECT").option("--reject-with", self.with)
    }
}
