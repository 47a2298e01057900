//! Expressions: what a rule is made of.
//!
//! Rule: one that this version has no name for, or whose attributes make no sense, is [`Expression::Unknown`] by the
//! kernel's name for it; the rest of its rule stands.

mod change;
mod compat;
mod dynset;
mod effect;
mod load;
mod matching;
mod nat;

use crate::model::{Expression, Family};
use crate::netlink::Attributes;

/// Decodes one expression of a table's family: `name` as the kernel calls it, `data` its attributes.
pub(super) fn expression(family: Family, name: &[u8], data: Attributes<'_>) -> Expression {
    known(family, name, data)
        .unwrap_or_else(|| Expression::Unknown { name: String::from_utf8_lossy(name).into_owned() })
}

fn known(family: Family, name: &[u8], data: Attributes<'_>) -> Option<Expression> {
    match name {
        b"dynset" => dynset::dynset(family, data),
        name => simple(family, name, data),
    }
}

/// Every expression that holds no others.
fn simple(family: Family, name: &[u8], data: Attributes<'_>) -> Option<Expression> {
    match name {
        b"payload" => load::payload(data),
        b"meta" => load::meta(data),
        b"ct" => load::conntrack(data),
        b"exthdr" => load::extension_header(data),
        b"fib" => load::fib(data),
        b"rt" => load::route(data),
        b"socket" => load::socket(data),
        b"tunnel" => load::tunnel(data),
        b"xfrm" => load::xfrm(data),
        b"osf" => load::os_fingerprint(data),
        b"numgen" => load::number_generator(data),
        b"hash" => load::hash(data),
        b"immediate" => change::immediate(data),
        b"bitwise" => change::bitwise(data),
        b"byteorder" => change::byteorder(data),
        b"cmp" => matching::compare(data),
        b"range" => matching::range(data),
        b"lookup" => matching::lookup(data),
        b"limit" => matching::limit(data),
        b"quota" => matching::quota(data),
        b"connlimit" => matching::connection_limit(data),
        b"match" => compat::xt_match(family, data),
        b"target" => compat::xt_target(family, data),
        b"counter" => super::data::counter(data).map(Expression::Counter),
        b"last" => effect::last(data),
        b"log" => effect::log(data),
        b"notrack" => Some(Expression::NoTrack),
        b"objref" => effect::object(data),
        b"dup" => effect::duplicate(data),
        b"fwd" => effect::forward(data),
        b"flow_offload" => effect::flow_offload(data),
        b"reject" => effect::reject(data),
        b"queue" => effect::queue(data),
        b"synproxy" => effect::synproxy(data),
        b"nat" => nat::nat(data),
        b"masq" => nat::masquerade(data),
        b"redir" => nat::redirect(data),
        b"tproxy" => nat::transparent_proxy(data),
        _ => None,
    }
}
