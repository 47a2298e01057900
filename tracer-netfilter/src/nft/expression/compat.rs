//! Matches and targets of x_tables inside rules of nf_tables (`net/netfilter/nft_compat.c`).
//!
//! Rule: one whose structure can't be read keeps its name and bytes as an unknown extension.

use crate::model::{Expression, Family};
use crate::netlink::Attributes;
use crate::xt;

/// `NFTA_MATCH_` and `NFTA_TARGET_`: 1 name, 2 revision, 3 info.
struct Extension<'a> {
    name: String,
    revision: u8,
    info: &'a [u8],
}

fn extension(data: Attributes<'_>) -> Option<Extension<'_>> {
    Some(Extension { name: data.text(1)?, revision: u8::try_from(data.be32(2)?).ok()?, info: data.get(3)? })
}

pub(super) fn xt_match(family: Family, data: Attributes<'_>) -> Option<Expression> {
    let Extension { name, revision, info } = extension(data)?;
    let known = xt::Match::decode(&name, revision, family, info);
    Some(Expression::Match(known.unwrap_or_else(|_| xt::Match::Unknown { name, revision, data: info.to_vec() })))
}

pub(super) fn xt_target(family: Family, data: Attributes<'_>) -> Option<Expression> {
    let Extension { name, revision, info } = extension(data)?;
    let known = xt::Target::decode(&name, revision, family, info);
    Some(Expression::Target(known.unwrap_or_else(|_| xt::Target::Unknown { name, revision, data: info.to_vec() })))
}
