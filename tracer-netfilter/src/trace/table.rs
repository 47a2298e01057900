//! The tables of a trace, as nf_tables messages: what `nft` would call
//! `table inet NAME { flags owner; chain prerouting { type filter hook prerouting priority -2147483648;
//! ip saddr A ip daddr B tcp sport X tcp dport Y limit rate 100/second meta nftrace set 1; }; … }`.
//!
//! Rule: the only thing done to a packet is the trace bit, and only to packets of one flow.

use std::net::IpAddr;

use crate::model::{Family, Hook};
use crate::netlink::transaction::Request;
use crate::nft::compose::{self, Expressions, Place};

use super::{Entry, Flow};

/// `NFT_TABLE_F_OWNER` (5.12): the kernel removes the table when the socket that made it is closed.
const OWNER: u32 = 2;
/// Packets a second that are traced: more than anyone reads, less than hurts when the flow is a flood.
const RATE: u32 = 100;

/// How a table is made, which older and smaller kernels refuse in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Means {
    pub(super) is_owned: bool,
    pub(super) is_limited: bool,
}

/// The transaction that makes the tables: all of them or nothing.
pub(super) fn create(name: &str, flow: &Flow, entries: &[Entry], means: Means) -> Vec<Request> {
    let flags = if means.is_owned { OWNER } else { 0 };
    let mut messages = Vec::new();
    for entry in entries {
        let family = entry.family();
        messages.push(compose::table(family, name, flags));
        for hook in entry.hooks() {
            messages.push(compose::chain(family, name, hook.as_str(), entry.place(*hook)));
            messages.push(compose::rule(family, name, hook.as_str(), &expressions(flow, means.is_limited)));
        }
    }
    compose::batch(messages)
}

/// The transaction that removes them.
pub(super) fn delete(name: &str, entries: &[Entry]) -> Vec<Request> {
    compose::batch(entries.iter().map(|entry| compose::delete(entry.family(), name)))
}

impl Entry {
    pub(super) const fn family(&self) -> Family {
        match self {
            Self::Ip => Family::Inet,
            Self::Bridge => Family::Bridge,
            Self::Ingress(_) => Family::Netdev,
        }
    }

    const fn hooks(&self) -> &'static [Hook] {
        match self {
            // Behind a translation the flow has other addresses: it is recognised at whichever hook they fit.
            Self::Ip => &[Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting],
            Self::Bridge => &[Hook::Prerouting, Hook::Output],
            Self::Ingress(_) => &[Hook::Ingress],
        }
    }

    /// Before all others of the hook.
    fn place(&self, hook: Hook) -> Place<'_> {
        let hook = match hook {
            Hook::Input => libc::NF_INET_LOCAL_IN,
            Hook::Forward => libc::NF_INET_FORWARD,
            Hook::Output => libc::NF_INET_LOCAL_OUT,
            Hook::Postrouting => libc::NF_INET_POST_ROUTING,
            // `NF_NETDEV_INGRESS` is 0 as well.
            Hook::Prerouting | Hook::Ingress | Hook::Egress => libc::NF_INET_PRE_ROUTING,
        };
        let device = match self {
            Self::Ingress(device) => Some(device.as_str()),
            Self::Ip | Self::Bridge => None,
        };
        Place { hook, priority: i32::MIN, device }
    }
}

/// The packet is of the flow: trace it.
fn expressions(flow: &Flow, is_limited: bool) -> Expressions {
    let (ethertype, source, destination) = match flow.source {
        IpAddr::V4(_) => (crate::packet::ETH_P_IP, 12, 16),
        IpAddr::V6(_) => (crate::packet::ETH_P_IPV6, 8, 24),
    };
    let mut list = Expressions::default();
    list.meta_is(compose::PROTOCOL, &ethertype.to_be_bytes());
    list.payload_is(compose::NETWORK, source, &octets(flow.source));
    list.payload_is(compose::NETWORK, destination, &octets(flow.destination));
    list.meta_is(compose::L4PROTO, &[flow.protocol]);
    for (port, offset) in [(flow.source_port, 0), (flow.destination_port, 2)] {
        if let Some(port) = port {
            list.payload_is(compose::TRANSPORT, offset, &port.to_be_bytes());
        }
    }
    if is_limited {
        list.limit(RATE);
    }
    list.set_meta(compose::NFTRACE, 1);
    list
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::transaction::Body;

    fn flow() -> Flow {
        Flow {
            protocol: 6,
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            source_port: None,
            destination_port: Some(10250),
        }
    }

    fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
        bytes.windows(wanted.len()).any(|window| window == wanted)
    }

    /// `NFTA_DATA_VALUE`.
    fn value(bytes: &[u8]) -> Vec<u8> {
        Body::default().put(1, bytes).bytes().to_vec()
    }

    #[test]
    fn one_transaction_with_one_answer() {
        let means = Means { is_owned: true, is_limited: true };
        let batch = create("t", &flow(), &[Entry::Ip, Entry::Ingress("eth0".to_owned())], means);
        let kinds: Vec<_> = batch.iter().map(|request| request.kind).collect();
        let chain = [0xa03, 0xa06];
        assert_eq!(kinds, [&[0x10, 0xa00][..], &chain.repeat(5), &[0xa00], &chain, &[0x11]].concat());
        assert_eq!(batch.iter().filter(|request| request.flags & libc::NLM_F_ACK as u16 != 0).count(), 1);
        assert_eq!(batch[1].body.bytes(), [1, 0, 0, 0, 6, 0, 1, 0, b't', 0, 0, 0, 8, 0, 2, 0, 0, 0, 0, 2]);
        let device = Body::default().text(3, "eth0");
        assert!(contains(batch[13].body.bytes(), device.bytes()) && !contains(batch[2].body.bytes(), device.bytes()));
    }

    #[test]
    fn each_known_part_of_the_flow_is_compared() {
        let rule = expressions(&flow(), false);
        for part in [&[10, 0, 0, 1][..], &[10, 0, 0, 2], &[6], &[0x28, 0x0a], &[8, 0]] {
            assert!(contains(rule.bytes(), &value(part)), "{part:?}");
        }
        let any_port = expressions(&Flow { destination_port: None, ..flow() }, false);
        assert!(!contains(any_port.bytes(), &[0x28, 0x0a]));
        assert!(!contains(rule.bytes(), b"limit") && contains(expressions(&flow(), true).bytes(), b"limit"));
    }
}
