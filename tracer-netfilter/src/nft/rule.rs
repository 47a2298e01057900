//! Rules: decoded when one is looked at, and the counter of one read again.

use super::{Ask, data, expression, request, userdata};
use crate::model::{Counter, DecodeError, Expression, Family, Rule, Table};
use crate::netlink::{Attributes, NetlinkError, Socket, text, until_nul};

/// `NFTA_RULE_` attributes.
pub(super) const TABLE: u16 = 1;
pub(super) const CHAIN: u16 = 2;
const HANDLE: u16 = 3;
const EXPRESSIONS: u16 = 4;
const USERDATA: u16 = 7;

/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NFTA_MATCH_NAME`, `NFTA_MATCH_INFO`.
const MATCH_NAME: u16 = 1;
const MATCH_INFO: u16 = 3;

pub(super) fn handle(attributes: Attributes<'_>) -> Option<u64> {
    attributes.be64(HANDLE)
}

/// Decodes a rule. What it holds that can't be understood is [`Expression::Unknown`].
pub(crate) fn rule(family: Family, handle: u64, bytes: &[u8], number: u32) -> Result<Rule, DecodeError> {
    let attributes = Attributes::new(bytes);
    let expressions = expressions(family, bytes).ok_or(DecodeError::Malformed("a rule of nf_tables"))?;
    let expressions: Vec<Expression> = expressions.collect();
    Ok(Rule {
        number,
        handle: Some(handle),
        comment: userdata::comment(attributes.get(USERDATA), userdata::COMMENT).or_else(|| match_comment(attributes)),
        counter: expressions.iter().find_map(|expression| match expression {
            Expression::Counter(counter) => Some(*counter),
            _ => None,
        }),
        expressions,
    })
}

/// Decodes a rule's expressions one after the other, as they are asked for; `None` if these are no attributes of a rule.
pub(crate) fn expressions(family: Family, bytes: &[u8]) -> Option<impl Iterator<Item = Expression>> {
    let attributes = Attributes::new(bytes);
    // A rule without expressions has the attribute all the same.
    attributes.get(EXPRESSIONS)?;
    Some(parts(attributes).map(move |(name, data)| expression::expression(family, name, data)))
}

/// Names and data of a rule's expressions.
fn parts(attributes: Attributes<'_>) -> impl Iterator<Item = (&[u8], Attributes<'_>)> {
    data::list(attributes.nested(EXPRESSIONS))
        .map(|part| (part.get(EXPRESSION_NAME).map_or(b"?".as_slice(), until_nul), part.nested(EXPRESSION_DATA)))
}

/// The first comment that iptables-nft left as a match (`struct xt_comment_info`).
fn match_comment(attributes: Attributes<'_>) -> Option<String> {
    parts(attributes).find_map(|(name, data)| {
        let is_comment = name == b"match" && until_nul(data.get(MATCH_NAME)?) == b"comment";
        if is_comment { data.get(MATCH_INFO).map(text) } else { None }
    })
}

/// The counter of one rule as it stands now; `None` if the rule is gone or has none. Asks in the calling thread's
/// network namespace.
pub fn reread(table: &Table, chain: &str, handle: u64) -> Result<Option<Counter>, NetlinkError> {
    let question = request(Ask::Rules, Some(table.family))
        .with_text(TABLE, &table.name)
        .with_text(CHAIN, chain)
        .with(HANDLE, &handle.to_be_bytes());
    let counter = Socket::open()?.get(&question, |message| {
        let counter = parts(message.attributes).find(|(name, _)| name == b"counter");
        Some(counter.and_then(|(_, data)| data::counter(data)))
    });
    match counter {
        Err(error) if error.is_absent() => Ok(None),
        answer => answer,
    }
}
