//! From an entry to a rule.

use super::entry::{ACCEPT, CONTINUE, DROP, Entry, Extension, Layout, QUEUE, RETURN, Standard, text};
use crate::model::{DecodeError, Expression, Family, Rule, Table, Verdict};
use crate::xt;

/// Decodes a rule as it is kept in `table`.
pub(crate) fn rule(table: &Table, entry: &[u8], jump: Option<usize>, number: u32) -> Result<Rule, DecodeError> {
    let layout = Layout::of(table.family).ok_or(DecodeError::Malformed("the family of a legacy table"))?;
    let header = match table.family {
        Family::Ip => xt::Header::decode_ipv4(entry)?,
        Family::Ip6 => xt::Header::decode_ipv6(entry)?,
        _ => return Err(DecodeError::Malformed("the family of a legacy table")),
    };
    let entry = Entry::new(layout, entry).ok_or(DecodeError::Malformed("an entry of x_tables"))?;
    let matches = entry.matches().ok_or(DecodeError::Malformed("the matches of an entry of x_tables"))?;
    let comment = matches.iter().find(|found| found.name == "comment").map(|found| text(found.data));
    let mut expressions = Vec::with_capacity(matches.len() + 3);
    expressions.push(Expression::Match(xt::Match::Header(header)));
    for Extension { name, revision, data } in &matches {
        expressions.push(Expression::Match(xt::Match::decode(name, *revision, table.family, data)?));
    }
    let counter = entry.counter();
    expressions.extend(counter.map(Expression::Counter));
    expressions.extend(action(table, &entry, jump)?);
    Ok(Rule { number, handle: None, comment, counter, expressions })
}

/// What it does; nothing for a rule without a target.
fn action(table: &Table, entry: &Entry<'_>, jump: Option<usize>) -> Result<Option<Expression>, DecodeError> {
    const MALFORMED: DecodeError = DecodeError::Malformed("the target of an entry of x_tables");
    if let Some(chain) = jump {
        let name = table.chains.get(chain).ok_or(MALFORMED)?.name.clone();
        let verdict = if entry.is_goto() { Verdict::Goto(name) } else { Verdict::Jump(name) };
        return Ok(Some(Expression::Verdict(verdict)));
    }
    let Some(standard) = entry.standard() else {
        let target = entry.target().ok_or(MALFORMED)?;
        let target = xt::Target::decode(target.name, target.revision, table.family, target.data)?;
        return Ok(Some(Expression::Target(target)));
    };
    Ok(Some(Expression::Verdict(match standard {
        Standard::Jump(to) if i32::try_from(to) == Ok(CONTINUE) => return Ok(None),
        Standard::Verdict(ACCEPT) => Verdict::Accept,
        Standard::Verdict(DROP) => Verdict::Drop,
        // To queue 0, which is what the verdict without a number means.
        Standard::Verdict(QUEUE) => Verdict::Queue(0),
        Standard::Verdict(RETURN) => Verdict::Return,
        Standard::Jump(_) | Standard::Verdict(_) => {
            return Err(DecodeError::Malformed("the jump of an entry of x_tables"));
        }
    })))
}
