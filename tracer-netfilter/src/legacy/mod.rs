//! x_tables over getsockopt: the rules of iptables-legacy and ip6tables-legacy.
//!
//! Rule: only tables that are there are asked for. Asking the kernel for a table makes it, and with it hooks that every
//! packet then passes (`xt_find_table_lock`, `net/netfilter/x_tables.c`, 6.18); so `/proc/thread-self/net/ip_tables_names`
//! comes first, which lists what the thread's network namespace already has.

mod blob;
mod control;
mod entry;
mod error;
mod names;
mod others;
mod rule;

pub(crate) use blob::place;
pub use error::LegacyError;
pub(crate) use rule::rule;

use crate::model::{Chain, Counter, Family, RawRule, Table};
use control::Control;
use entry::Layout;

/// Tries for a table that changes while it is read.
const ATTEMPTS: u32 = 8;

/// The tables of x_tables in the calling thread's network namespace, and what could not be read, a sentence each.
///
/// Needs CAP_NET_ADMIN in the user namespace that owns the network namespace, but only if there are tables.
pub fn read() -> (Vec<Table>, Vec<String>) {
    let mut tables = Vec::new();
    let mut gaps = Vec::new();
    for layout in [&Layout::IPV4, &Layout::IPV6] {
        if let Err(error) = read_family(layout, &mut tables, &mut gaps) {
            gaps.push(error.to_string());
        }
    }
    gaps.extend(others::arptables());
    gaps.extend(others::ebtables());
    (tables, gaps)
}

fn read_family(layout: &'static Layout, tables: &mut Vec<Table>, gaps: &mut Vec<String>) -> Result<(), LegacyError> {
    let names = names::existing(layout.family)?;
    if names.is_empty() {
        return Ok(());
    }
    let control = Control::open(layout)?;
    for name in names {
        match read_table(&control, &name) {
            Ok(table) => tables.push(table),
            // The table went away since it was listed, or every other one will be refused as well.
            Err(error) if error.is_refused() => return Err(error),
            Err(error) => gaps.push(error.to_string()),
        }
    }
    Ok(())
}

fn read_table(control: &Control, name: &str) -> Result<Table, LegacyError> {
    let (info, entries) = control.read(name, ATTEMPTS)?;
    blob::table(control.layout, name, &info, &entries)
}

/// Reads the counter of one rule again, or of the policy for number 0. `None` if that rule is no longer there, is
/// another one by now, or its table can't be read.
pub fn reread(table: &Table, chain: &str, number: u32) -> Result<Option<Counter>, LegacyError> {
    let layout = match table.family {
        Family::Ip => &Layout::IPV4,
        Family::Ip6 => &Layout::IPV6,
        _ => return Ok(None),
    };
    if !names::existing(layout.family)?.contains(&table.name) {
        return Ok(None);
    }
    let fresh = read_table(&Control::open(layout)?, &table.name)?;
    Ok(counter_again(layout, (table, &fresh), chain, number))
}

/// Whether two readings of a table differ in nothing but counters.
pub fn is_same(before: &Table, now: &Table) -> bool {
    let layout = if now.family == Family::Ip6 { &Layout::IPV6 } else { &Layout::IPV4 };
    let same_rule = |before: &RawRule, now: &RawRule| match (before, now) {
        (RawRule::Legacy { entry: old, jump: was }, RawRule::Legacy { entry: new, jump: is }) => {
            was == is && layout.same_rule(old, new)
        }
        _ => false,
    };
    let policy = |chain: &Chain| chain.base.as_ref().map(|base| (base.hook, base.policy));
    let same_chain = |before: &Chain, now: &Chain| {
        before.name == now.name
            && policy(before) == policy(now)
            && before.rules.len() == now.rules.len()
            && before.rules.iter().zip(&now.rules).all(|(before, now)| same_rule(before, now))
    };
    (before.family, &before.name) == (now.family, &now.name)
        && before.chains.len() == now.chains.len()
        && before.chains.iter().zip(&now.chains).all(|(before, now)| same_chain(before, now))
}

fn counter_again(layout: &Layout, (before, now): (&Table, &Table), chain: &str, number: u32) -> Option<Counter> {
    let (old, new) = (before.chain(chain)?, now.chain(chain)?);
    let Some(index) = number.checked_sub(1) else { return new.base.as_ref()?.counter };
    let (RawRule::Legacy { entry: old, jump: was }, RawRule::Legacy { entry: new, jump: is }) =
        (old.rules.get(index as usize)?, new.rules.get(index as usize)?)
    else {
        return None;
    };
    let goes_to = |table: &Table, jump: &Option<usize>| Some(table.chains.get((*jump)?)?.name.clone());
    let is_same = layout.same_rule(old, new) && goes_to(before, was) == goes_to(now, is);
    if is_same { entry::Entry::new(layout, new)?.counter() } else { None }
}
