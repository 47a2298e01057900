//! Tables, chains and rules as nf_tables messages (`include/uapi/linux/netfilter/nf_tables.h`), to be sent as one
//! [`Connection::transact`](crate::netlink::transaction::Connection::transact).
//!
//! Rule: only for whoever makes something by the user's wish, in tables of its own; reading needs none of it.

use crate::model::Family;
use crate::netlink::transaction::{Body, Request};

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
const APPEND: u16 = (libc::NLM_F_CREATE | libc::NLM_F_APPEND) as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_TABLE_FLAGS: u16 = 2;
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
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;
const REGISTER: u32 = libc::NFT_REG_1 as u32;
const EQUAL: u32 = libc::NFT_CMP_EQ as u32;

/// `NFT_META_L4PROTO`, `NFT_META_PROTOCOL`, `NFT_META_NFTRACE`.
pub const L4PROTO: u32 = libc::NFT_META_L4PROTO as u32;
pub const PROTOCOL: u32 = libc::NFT_META_PROTOCOL as u32;
pub const NFTRACE: u32 = libc::NFT_META_NFTRACE as u32;
/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
pub const NETWORK: u32 = libc::NFT_PAYLOAD_NETWORK_HEADER as u32;
pub const TRANSPORT: u32 = libc::NFT_PAYLOAD_TRANSPORT_HEADER as u32;

/// These messages as one transaction: all of them or nothing. Only the last is answered, or the first that is refused.
pub fn batch(messages: impl IntoIterator<Item = Request>) -> Vec<Request> {
    let mut batch = vec![border(libc::NFNL_MSG_BATCH_BEGIN as u16)];
    batch.extend(messages);
    if let Some(last) = batch.last_mut() {
        last.flags |= ACK;
    }
    batch.push(border(libc::NFNL_MSG_BATCH_END as u16));
    batch
}

/// A new table; `flags` are `NFT_TABLE_F_`.
pub fn table(family: Family, name: &str, flags: u32) -> Request {
    let attributes = Body::default().text(NFTA_TABLE_NAME, name).number(NFTA_TABLE_FLAGS, flags);
    request(libc::NFT_MSG_NEWTABLE as u16, CREATE, family, &attributes)
}

/// The end of a table.
pub fn delete(family: Family, name: &str) -> Request {
    request(libc::NFT_MSG_DELTABLE as u16, 0, family, &Body::default().text(NFTA_TABLE_NAME, name))
}

/// Where a base chain is: the hook's number (`NF_INET_`, `NF_NETDEV_`), and the device of one that has one.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub hook: i32,
    pub priority: i32,
    pub device: Option<&'a str>,
}

/// A new base chain of type `filter`, which accepts.
pub fn chain(family: Family, table: &str, name: &str, place: Place<'_>) -> Request {
    let mut hook = Body::default()
        .number(NFTA_HOOK_HOOKNUM, place.hook.cast_unsigned())
        .number(NFTA_HOOK_PRIORITY, place.priority.cast_unsigned());
    if let Some(device) = place.device {
        hook = hook.text(NFTA_HOOK_DEV, device);
    }
    let attributes = Body::default()
        .text(NFTA_CHAIN_TABLE, table)
        .text(NFTA_CHAIN_NAME, name)
        .nest(NFTA_CHAIN_HOOK, &hook)
        .text(NFTA_CHAIN_TYPE, "filter");
    request(libc::NFT_MSG_NEWCHAIN as u16, CREATE, family, &attributes)
}

/// A new rule at the end of a chain.
pub fn rule(family: Family, table: &str, chain: &str, expressions: &Expressions) -> Request {
    let attributes = Body::default()
        .text(NFTA_RULE_TABLE, table)
        .text(NFTA_RULE_CHAIN, chain)
        .nest(NFTA_RULE_EXPRESSIONS, &expressions.0);
    request(libc::NFT_MSG_NEWRULE as u16, APPEND, family, &attributes)
}

/// The expressions of a rule, in order.
#[derive(Clone, Debug, Default)]
pub struct Expressions(Body);

impl Expressions {
    fn add(&mut self, name: &str, data: &Body) {
        let element = Body::default().text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, data);
        self.0 = std::mem::take(&mut self.0).nest(NFTA_LIST_ELEM, &element);
    }

    /// What is known of the packet has this value, in the order of the packet.
    pub fn meta_is(&mut self, key: u32, value: &[u8]) {
        self.add("meta", &Body::default().number(NFTA_META_DREG, REGISTER).number(NFTA_META_KEY, key));
        self.equals(value);
    }

    /// These bytes of a header are so.
    pub fn payload_is(&mut self, base: u32, offset: u32, value: &[u8]) {
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

    /// At most so many packets a second go on.
    pub fn limit(&mut self, rate: u32) {
        let limit = Body::default()
            .put(NFTA_LIMIT_RATE, &u64::from(rate).to_be_bytes())
            .put(NFTA_LIMIT_UNIT, &1_u64.to_be_bytes())
            .number(NFTA_LIMIT_BURST, rate);
        self.add("limit", &limit);
    }

    /// Sets one byte of what is kept with the packet.
    pub fn set_meta(&mut self, key: u32, value: u8) {
        let data = Body::default().put(NFTA_DATA_VALUE, &[value]);
        self.add("immediate", &Body::default().number(NFTA_IMMEDIATE_DREG, REGISTER).nest(NFTA_IMMEDIATE_DATA, &data));
        self.add("meta", &Body::default().number(NFTA_META_KEY, key).number(NFTA_META_SREG, REGISTER));
    }

    pub fn count(&mut self) {
        self.add("counter", &Body::default());
    }

    /// Ends with `NF_DROP` or `NF_ACCEPT`.
    pub fn verdict(&mut self, code: i32) {
        let verdict = Body::default().number(NFTA_VERDICT_CODE, code.cast_unsigned());
        let data = Body::default().nest(NFTA_DATA_VERDICT, &verdict);
        let register = libc::NFT_REG_VERDICT.cast_unsigned();
        self.add("immediate", &Body::default().number(NFTA_IMMEDIATE_DREG, register).nest(NFTA_IMMEDIATE_DATA, &data));
    }

    /// As they are sent.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
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
