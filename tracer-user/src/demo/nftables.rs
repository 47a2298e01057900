//! One firewall rule as nf_tables messages (uapi/linux/netfilter/nf_tables.h): what `nft` would call
//! `table inet demo { chain input { type filter hook input priority 0; tcp dport PORT counter drop; } }`.

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE};

use super::netlink::{Body, Request};

const TABLE: &str = "demo";
const CHAIN: &str = "input";

const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
const NFTA_TABLE_NAME: u16 = 1;
const NFTA_CHAIN_TABLE: u16 = 1;
const NFTA_CHAIN_NAME: u16 = 3;
const NFTA_CHAIN_HOOK: u16 = 4;
const NFTA_CHAIN_TYPE: u16 = 7;
const NFTA_HOOK_HOOKNUM: u16 = 1;
const NFTA_HOOK_PRIORITY: u16 = 2;
const NFTA_RULE_TABLE: u16 = 1;
const NFTA_RULE_CHAIN: u16 = 2;
const NFTA_RULE_EXPRESSIONS: u16 = 4;
const NFTA_LIST_ELEM: u16 = 1;
const NFTA_EXPR_NAME: u16 = 1;
const NFTA_EXPR_DATA: u16 = 2;
const NFTA_META_DREG: u16 = 1;
const NFTA_META_KEY: u16 = 2;
const NFTA_PAYLOAD_DREG: u16 = 1;
const NFTA_PAYLOAD_BASE: u16 = 2;
const NFTA_PAYLOAD_OFFSET: u16 = 3;
const NFTA_PAYLOAD_LEN: u16 = 4;
const NFTA_CMP_SREG: u16 = 1;
const NFTA_CMP_OP: u16 = 2;
const NFTA_CMP_DATA: u16 = 3;
const NFTA_IMMEDIATE_DREG: u16 = 1;
const NFTA_IMMEDIATE_DATA: u16 = 2;
const NFTA_DATA_VALUE: u16 = 1;
const NFTA_DATA_VERDICT: u16 = 2;
const NFTA_VERDICT_CODE: u16 = 1;

/// The transaction that makes the rule: all of it or nothing.
pub(super) fn drop_tcp(port: u16) -> Vec<Request> {
    let table = Body::default().text(NFTA_TABLE_NAME, TABLE);
    let hook = numbers(&[(NFTA_HOOK_HOOKNUM, libc::NF_INET_LOCAL_IN), (NFTA_HOOK_PRIORITY, 0)]);
    let chain = Body::default()
        .text(NFTA_CHAIN_TABLE, TABLE)
        .text(NFTA_CHAIN_NAME, CHAIN)
        .nest(NFTA_CHAIN_HOOK, &hook)
        .text(NFTA_CHAIN_TYPE, "filter");
    let rule = Body::default()
        .text(NFTA_RULE_TABLE, TABLE)
        .text(NFTA_RULE_CHAIN, CHAIN)
        .nest(NFTA_RULE_EXPRESSIONS, &expressions(port));
    vec![
        border(libc::NFNL_MSG_BATCH_BEGIN as u16),
        request(libc::NFT_MSG_NEWTABLE as u16, NLM_F_CREATE, &table),
        request(libc::NFT_MSG_NEWCHAIN as u16, NLM_F_CREATE, &chain),
        // Only the last is answered, or the first that is refused.
        request(libc::NFT_MSG_NEWRULE as u16, NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, &rule),
        border(libc::NFNL_MSG_BATCH_END as u16),
    ]
}

/// The protocol is TCP and the two bytes of its destination port are these: count it, drop it.
fn expressions(port: u16) -> Body {
    let meta = numbers(&[(NFTA_META_DREG, libc::NFT_REG_1), (NFTA_META_KEY, libc::NFT_META_L4PROTO)]);
    let payload = numbers(&[
        (NFTA_PAYLOAD_DREG, libc::NFT_REG_1),
        (NFTA_PAYLOAD_BASE, libc::NFT_PAYLOAD_TRANSPORT_HEADER),
        (NFTA_PAYLOAD_OFFSET, 2),
        (NFTA_PAYLOAD_LEN, 2),
    ]);
    let verdict = numbers(&[(NFTA_VERDICT_CODE, libc::NF_DROP)]);
    let drop = numbers(&[(NFTA_IMMEDIATE_DREG, libc::NFT_REG_VERDICT)])
        .nest(NFTA_IMMEDIATE_DATA, &Body::default().nest(NFTA_DATA_VERDICT, &verdict));
    [
        ("meta", meta),
        ("cmp", equals(&[libc::IPPROTO_TCP as u8])),
        ("payload", payload),
        ("cmp", equals(&port.to_be_bytes())),
        ("counter", Body::default()),
        ("immediate", drop),
    ]
    .into_iter()
    .fold(Body::default(), |list, (name, data)| {
        list.nest(NFTA_LIST_ELEM, &Body::default().text(NFTA_EXPR_NAME, name).nest(NFTA_EXPR_DATA, &data))
    })
}

fn equals(value: &[u8]) -> Body {
    numbers(&[(NFTA_CMP_SREG, libc::NFT_REG_1), (NFTA_CMP_OP, libc::NFT_CMP_EQ)])
        .nest(NFTA_CMP_DATA, &Body::default().put(NFTA_DATA_VALUE, value))
}

/// nf_tables wants its numbers in network order.
fn numbers(list: &[(u16, i32)]) -> Body {
    list.iter().fold(Body::default(), |body, (kind, number)| body.put(*kind, &number.to_be_bytes()))
}

fn request(kind: u16, flags: u16, attributes: &Body) -> Request {
    Request { kind: SUBSYSTEM << 8 | kind, flags, body: header(libc::NFPROTO_INET as u8, 0).and(attributes) }
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

    #[test]
    fn the_batch_begins_ends_and_asks_for_one_answer() {
        let batch = drop_tcp(10250);
        let kinds: Vec<_> = batch.iter().map(|request| request.kind).collect();
        assert_eq!(kinds, [0x10, 0x0a00, 0x0a03, 0x0a06, 0x11]);
        assert_eq!(batch.iter().filter(|request| request.flags & NLM_F_ACK != 0).count(), 1);
        assert_eq!(batch[0].body.bytes(), [0, 0, 0, 10]);
        assert_eq!(batch[1].body.bytes(), [1, 0, 0, 0, 9, 0, 1, 0, b'd', b'e', b'm', b'o', 0, 0, 0, 0]);
    }

    #[test]
    fn the_rule_compares_the_port_as_it_stands_in_the_packet() {
        let rule = expressions(10250);
        let compared = [6, 0, 1, 0, 0x28, 0x0a, 0, 0];
        assert!(rule.bytes().windows(8).any(|window| window == compared));
        let other = expressions(0x0a28);
        assert!(!other.bytes().windows(8).any(|window| window == compared));
    }
}
