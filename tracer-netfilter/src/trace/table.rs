//! The tables of a trace, as nf_tables messages: what `nft` would call
//! `table inet NAME { flags owner; chain prerouting { type filter hook prerouting priority -2147483648;
//! ip saddr A ip daddr B tcp sport X tcp dport Y limit rate 100/second meta nftrace set 1; }; … }`.
//!
//! Rule: the only thing done to a packet is the trace bit, and only to packets of one flow.

use std::net::IpAddr;

use crate::model::{Family, Hook};

use super::netlink::{Body, Request};
use super::{Entry, Flow};

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
/// `NFT_TABLE_F_OWNER` (5.12): the kernel removes the table when the socket that made it is closed.
const OWNER: u32 = 2;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_HOOK_DEV: u16 = 3;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFTA_META_SREG: u16 = 3;
const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_LIMIT_RATE: u16 = 1;
const NFTA_LIMIT_UNIT: u16 = 2;
const NFTA_LIMIT_BURST: u16 = 3;
const NFTA_DATA_VALUE: u16 = 1;
/// `NFT_META_L4PROTO`, `NFT_META_PROTOCOL`, `NFT_META_NFTRACE`.
const L4PROTO: u32 = libc::NFT_META_L4PROTO as u32;
const PROTOCOL: u32 = libc::NFT_META_PROTOCOL as u32;
const NFTRACE: u32 = libc::NFT_META_NFTRACE as u32;
const REGISTER: u32 = libc::NFT_REG_1 as u32;
const NETWORK: u32 = libc::NFT_PAYLOAD_NETWORK_HEADER as u32;
const TRANSPORT: u32 = libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32;
const EQUAL: u32 = libc::NFT_CMP_EQ as u32;
/// Packets a second that are traced: more than anyone reads, less than hurts when the flow is a flood.
const RATE: u64 = 100;

/// How a table is made, which older and smaller kernels refuse in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Means {
    pub(super) is_owned: bool,
    pub(super) is_limited: bool,
}

/// The transaction that makes the tables: all of them or nothing.
pub(super) fn create(name: &str, flow: &Flow, entries: &[Entry], means: Means) -> Vec<Request> {
    let flags = if means.is_owned { OWNER } else { 0 };
    let mut batch = vec![border(libc::NFNL_MSG_BATCH_BEGIN as u16)];
    for entry in entries {
        let family = entry.family();
        let table = Body::default().text(NFTA_TABLE_NAME, name).number(NFTA_TABLE_FLAGS, flags);
        batch.push(request(libc::NFT_MSG_NEWTABLE as u16, CREATE, family, &table));
        for hook in entry.hooks() {
            batch.push(request(libc::NFT_MSG_NEWCHAIN as u16, CREATE, family, &chain(name, entry, *hook)));
            let rule = Body::default()
                .text(NFTA_RULE_TABLE, name)
                .text(NFTA_RULE_CHAIN, hook.as_str())
                .nest(NFTA_RULE_EXPRESSIONS, &expressions(flow, means.is_limited));
            let flags = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
            batch.push(request(libc::NFT_MSG_NEWRULE as u16, flags, family, &rule));
        }
    }
    // Only the last is answered, or the first that is refused.
    if let Some(last) = batch.last_mut() {
        last.flags |= libc::NLM_F_ACK as u16;
    }
    batch.push(border(libc::NFNL_MSG_BATCH_END as u16));
    batch
}

/// The transaction that removes them.
pub(super) fn delete(name: &str, entries: &[Entry]) -> Vec<Request> {
    let mut batch = vec![border(libc::NFNL_MSG_BATCH_BEGIN as u16)];
    let table = Body::default().text(NFTA_TABLE_NAME, name);
    for entry in entries {
        batch.push(request(libc::NFT_MSG_DELTABLE as u16, libc::NLM_F_ACK as u16, entry.family(), &table));
    }
    batch.push(border(libc::NFNL_MSG_BATCH_END as u16));
    batch
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
}

/// A base chain before all others of its hook, named like the hook.
fn chain(table: &str, entry: &Entry, hook: Hook) -> Body {
    let number = match hook {
        Hook::Input => libc::NF_INET_LOCAL_IN,
        Hook::Forward => libc::NF_INET_FORWARD,
        Hook::Output => libc::NF_INET_LOCAL_OUT,
        Hook::Postrouting => libc::NF_INET_POST_ROUTING,
        // `NF_NETDEV_INGRESS` is 0 as well.
        Hook::Prerouting | Hook::Ingress | Hook::Egress => libc::NF_INET_PRE_ROUTING,
    };
    let place = Body::default()
        .number(NFTA_HOOK_HOOKNUM, number.cast_unsigned())
        .number(NFTA_HOOK_PRIORITY, i32::MIN.cast_unsigned());
    let place = match entry {
        Entry::Ingress(device) => place.text(NFTA_HOOK_DEV, device),
        Entry::Ip | Entry::Bridge => place,
    };
    Body::default()
        .text(NFTA_CHAIN_TABLE, table)
        .text(NFTA_CHAIN_NAME, hook.as_str())
        .nest(NFTA_CHAIN_HOOK, &place)
        .text(NFTA_CHAIN_TYPE, "filter")
}

/// The packet is of the flow: trace it.
fn expressions(flow: &Flow, is_limited: bool) -> Body {
    let (ethertype, source, destination) = match flow.source {
        IpAddr::V4(_) => (crate::packet::ETH_P_IP, 12, 16),
        IpAddr::V6(_) => (crate::packet::ETH_P_IPV6, 8, 24),
    };
    let mut list = Expressions::default();
    list.meta_is(PROTOCOL, &ethertype.to_be_bytes());
    list.payload_is(NETWORK, source, &octets(flow.source));
    list.payload_is(NETWORK, destination, &octets(flow.destination));
    list.meta_is(L4PROTO, &[flow.protocol]);
    for (port, offset) in [(flow.source_port, 0), (flow.destination_port, 2)] {
        if let Some(port) = port {
            list.payload_is(TRANSPORT, offset, &port.to_be_bytes());
        }
    }
    if is_limited {
        let limit = Body::default()
            .put(NFTA_LIMIT_RATE, &RATE.to_be_bytes())
            .put(NFTA_LIMIT_UNIT, &1_u64.to_be_bytes())
            .number(NFTA_LIMIT_BURST, RATE as u32);
        list.add("limit", &limit);
    }
    let one = Body::default().put(NFTA_DATA_VALUE, &[1]);
    list.add("immediate", &Body::default().number(NFTA_IMMEDIATE_DREG, REGISTER).nest(NFTA_IMMEDIATE_DATA, &one));
    list.add("meta", &Body::default().number(NFTA_META_KEY, NFTRACE).number(NFTA_META_SREG, REGISTER));
    list.0
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The expressions of a rule, in order.
#[derive(Default)]
struct Expressions(Body);

impl Expressions {
    fn add(&mut self, name: &str, data: &Body) {
        let element = Body::default().text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data);
        self.0 = std::mem::take(&mut self.0).nest(NFTA_LIST_ELEM, &element);
    }

    fn meta_is(&mut self, key: u32, value: &[u8]) {
        self.add("meta", &Body::default().number(NFTA_META_DREG, REGISTER).number(NFTA_META_KEY, key));
        self.equals(value);
    }

    fn payload_is(&mut self, base: u32, offset: u32, value: &[u8]) {
        let load = Body::default()
            .number(NFTA_PAYLOAD_DREG, REGISTER)
            .number(NFTA_PAYLOAD_BASE, base)
            .number(NFTA_PAYLOAD_OFFSET, offset)
            .number(NFTA_PAYLOAD_LEN, value.len() as u32);
        self.add("payload", &load);
        self.equals(value);
    }

    fn equals(&mut self, value: &[u8]) {
        let compare = Body::default()
            .number(NFTA_CMP_SREG, REGISTER)
            .number(NFTA_CMP_OP, EQUAL)
            .nest(NFTA_CMP_DATA, &Body::default().put(NFTA_DATA_VALUE, value));
        self.add("cmp", &compare);
    }
}

fn request(kind: u16, flags: u16, family: Family, attributes: &Body) -> Request {
    Request { kind: SUBSYSTEM << 8 | kind, flags, body: header(family.number(), 0).and(attributes) }
}

/// Begin or end of the batch; it names the subsystem where other messages name nothing.
fn border(kind: u16) -> Request {
    Request { kind, flags: 0, body: header(libc::AF_UNSPEC as u8, SUBSYSTEM) }
}

/// `struct nfgenmsg`: family, version 0, resource in network order (2).
fn header(family: u8, resource: u16) -> Body {
    let [high, low] = resource.to_be_bytes();
    Body::new(&[family, 0, high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow() -> Flow {
        Flow {
            protocol: 6,
            source: [10, 0, 0, 1].into(),
            destination: [10, 0, 0, 2].into(),
            source_port: None,
            destination_port: Some(10250),
        }
    }

    fn contains(body: &Body, wanted: &[u8]) -> bool {
        body.bytes().windows(wanted.len()).any(|window| window == wanted)
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
        let device = Body::default().text(NFTA_HOOK_DEV, "eth0");
        assert!(contains(&batch[13].body, device.bytes()) && !contains(&batch[2].body, device.bytes()));
    }

    #[test]
    fn each_known_part_of_the_flow_is_compared() {
        let rule = expressions(&flow(), false);
        for part in [&[10, 0, 0, 1][..], &[10, 0, 0, 2], &[6], &[0x28, 0x0a], &[8, 0]] {
            assert!(contains(&rule, Body::default().put(NFTA_DATA_VALUE, part).bytes()), "{part:?}");
        }
        let any_port = expressions(&Flow { destination_port: None, ..flow() }, false);
        assert!(!contains(&any_port, &[0x28, 0x0a]));
        assert!(!contains(&rule, b"limit") && contains(&expressions(&flow(), true), b"limit"));
    }
}
