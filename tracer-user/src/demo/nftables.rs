//! One firewall rule: what `nft` would call
//! `table inet demo { chain input { type filter hook input priority 0; tcp dport PORT counter drop; } }`.

use tracer_netfilter::Family;
use tracer_netfilter::netlink::transaction::Request;
use tracer_netfilter::nft::compose::{self, Expressions, Place};

const TABLE: &str = "demo";
const CHAIN: &str = "input";

/// The transaction that makes the rule: all of it or nothing.
pub(super) fn drop_tcp(port: u16) -> Vec<Request> {
    let place = Place { hook: libc::NF_INET_LOCAL_IN, priority: 0, device: None };
    compose::batch([
        compose::table(Family::Inet, TABLE, 0),
        compose::chain(Family::Inet, TABLE, CHAIN, place),
        compose::rule(Family::Inet, TABLE, CHAIN, &expressions(port)),
    ])
}

/// The protocol is TCP and the two bytes of its destination port are these: count it, drop it.
fn expressions(port: u16) -> Expressions {
    let mut list = Expressions::default();
    list.meta_is(compose::L4PROTO, &[libc::IPPROTO_TCP as u8]);
    list.payload_is(compose::TRANSPORT, 2, &port.to_be_bytes());
    list.count();
    list.verdict(libc::NF_DROP);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_batch_begins_ends_and_asks_for_one_answer() {
        let batch = drop_tcp(10250);
        let kinds: Vec<_> = batch.iter().map(|request| request.kind).collect();
        assert_eq!(kinds, [0x10, 0x0a00, 0x0a03, 0x0a06, 0x11]);
        assert_eq!(batch.iter().filter(|request| request.flags & libc::NLM_F_ACK as u16 != 0).count(), 1);
        assert_eq!(batch[0].body.bytes(), [0, 0, 0, 10]);
        assert_eq!(batch[1].body.bytes()[..16], [1, 0, 0, 0, 9, 0, 1, 0, b'd', b'e', b'm', b'o', 0, 0, 0, 0]);
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
