//! One reading of a ruleset, put together from the kernel's lists.
//!
//! Rule: what does not fit together is noticed, so that it can be read again.

use std::collections::{HashMap, HashSet};

use super::{Ask, chain, request, rule, set, table};
use crate::model::{Family, RawRule, Table};
use crate::netlink::{Message, NetlinkError, Socket, text};

/// Entries are left out of lists of three parts or more only; fewer chains than this take two at most, of 32 KiB.
const TWO_PARTS: usize = 64;

/// What one reading has found so far.
#[derive(Default)]
pub(super) struct Collection {
    pub(super) tables: Vec<Table>,
    /// Index in `tables`.
    index: HashMap<(u8, Vec<u8>), usize>,
    /// Table and handle of each chain and set.
    seen: HashSet<(usize, u64)>,
    /// What could not be read and why, a sentence each.
    pub(super) gaps: Vec<String>,
    /// Something is there twice, or belongs to a table or chain that was not there when those were listed.
    ///
    /// The generation alone does not tell: while the kernel clears away what a change replaced, the new generation is in
    /// force already, and a list that is read in several parts then has entries twice or lacks some, because the kernel
    /// finds its way back by counting (`nf_tables_dump_tables`, `nf_tables_dump_chains`, 6.18).
    pub(super) is_partial: bool,
}

impl Collection {
    pub(super) fn read(socket: &mut Socket) -> Result<Self, NetlinkError> {
        let mut all = Self::default();
        all.ask(socket, Ask::Tables, Self::add_table)?;
        all.ask(socket, Ask::Chains, Self::add_chain)?;
        all.ask_rules(socket)?;
        all.ask(socket, Ask::Sets, Self::add_set)?;
        match all.ask(socket, Ask::Flowtables, Self::add_flowtable) {
            // Not before 4.16.
            Err(error) if error.is_unsupported() => {}
            answer => answer?,
        }
        all.count_chains(socket)?;
        Ok(all)
    }

    fn ask(
        &mut self,
        socket: &mut Socket,
        what: Ask,
        mut add: impl FnMut(&mut Self, Message<'_>),
    ) -> Result<(), NetlinkError> {
        let dump = socket.dump_once(&request(what, None), |(), message| add(self, message))?;
        self.is_partial |= dump.is_partial;
        Ok(())
    }

    fn add_table(&mut self, message: Message<'_>) {
        match table::table(&message) {
            Some(table) => {
                let key = (message.family, table.name.clone().into_bytes());
                self.is_partial |= self.index.insert(key, self.tables.len()).is_some();
                self.tables.push(table);
            }
            None => self.gaps.push(format!(
                "a table of nf_tables' family {} was left out, because this version does not know that family",
                message.family
            )),
        }
    }

    /// The table to add to, for something with that handle; what is of an unknown family is left out with its table,
    /// anything else means a change.
    fn table_mut(&mut self, family: u8, name: Option<&[u8]>, handle: Option<u64>) -> Option<&mut Table> {
        let Some(index) = self.index.get(&(family, text(name?).into_bytes())).copied() else {
            self.is_partial |= Family::from_number(family).is_some();
            return None;
        };
        self.is_partial |= handle.is_some_and(|handle| !self.seen.insert((index, handle)));
        self.tables.get_mut(index)
    }

    fn add_chain(&mut self, message: Message<'_>) {
        let Some(family) = Family::from_number(message.family) else { return };
        let Some(listed) = chain::chain(family, message.attributes) else { return };
        let handle = listed.chain.handle;
        let Some(table) = self.table_mut(message.family, chain::table_of(message.attributes), handle) else { return };
        let gap = listed.gap.map(|why| {
            let (chain, table) = (&listed.chain.name, &table.name);
            format!("chain {chain} of table {} {table} is left out, because {why}", family.as_str())
        });
        table.push(listed.chain);
        self.gaps.extend(gap);
    }

    /// Asks chain by chain: into a list of all rules the kernel finds its way back by walking it from the start for every
    /// 32 KiB, so 100,000 rules in 10,000 chains take it ten times as long (6.18). Chains that nothing uses are asked for
    /// too, because the count of uses is that of a change that is still being prepared. A chain of 100,000 rules of its
    /// own still takes the kernel 3 seconds, one of 20,000 a tenth of one.
    fn ask_rules(&mut self, socket: &mut Socket) -> Result<(), NetlinkError> {
        for table in &mut self.tables {
            let question = request(Ask::Rules, Some(table.family)).with_text(rule::TABLE, &table.name);
            for chain in &mut table.chains {
                let question = question.clone().with_text(rule::CHAIN, &chain.name);
                let dump = socket.dump_once(&question, |(), message| {
                    if let Some(handle) = rule::handle(message.attributes) {
                        chain.rules.push(RawRule::Nft { handle, attributes: message.bytes.into() });
                    }
                })?;
                self.is_partial |= dump.is_partial;
            }
        }
        Ok(())
    }

    /// Chains of a list in several parts may have been left out while a change was cleared away: by now that is over.
    fn count_chains(&mut self, socket: &mut Socket) -> Result<(), NetlinkError> {
        let listed: usize = self.tables.iter().map(|table| table.chains.len()).sum();
        if listed < TWO_PARTS {
            return Ok(());
        }
        let mut counted: usize = 0;
        self.ask(socket, Ask::Chains, |_, message| {
            let is_known = Family::from_number(message.family).is_some();
            counted = counted.saturating_add(usize::from(is_known));
        })?;
        self.is_partial |= counted != listed;
        Ok(())
    }

    fn add_set(&mut self, message: Message<'_>) {
        let Some(set) = set::set(message.attributes) else { return };
        if let Some(table) = self.table_mut(message.family, set::table_of(message.attributes), set.handle) {
            table.sets.push(set);
        }
    }

    fn add_flowtable(&mut self, message: Message<'_>) {
        let Some((table, name)) = table::flowtable(message.attributes) else { return };
        if let Some(table) = self.table_mut(message.family, Some(table), None) {
            table.flowtables.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{be32, fuzz, nla};
    use super::*;
    use crate::netlink::Attributes;

    const IP: u8 = 2;

    fn message(family: u8, bytes: &[u8]) -> Message<'_> {
        Message { kind: 0, family, attributes: Attributes::new(bytes), bytes }
    }

    fn table(handle: u8) -> Vec<u8> {
        [nla(1, b"t\0"), nla(4, &[0, 0, 0, 0, 0, 0, 0, handle])].concat()
    }

    fn chain(hook: u32, handle: u8) -> Vec<u8> {
        let hook = nla(4, &[be32(1, hook), be32(2, 0)].concat());
        [nla(1, b"t\0"), nla(2, &[0, 0, 0, 0, 0, 0, 0, handle]), nla(3, b"c\0"), hook, nla(7, b"filter\0")].concat()
    }

    #[test]
    fn a_table_or_chain_that_is_there_twice_means_a_change() {
        let mut all = Collection::default();
        all.add_table(message(IP, &table(1)));
        all.add_chain(message(IP, &chain(1, 2)));
        assert!(!all.is_partial && all.gaps.is_empty());
        all.add_chain(message(IP, &chain(1, 2)));
        assert!(all.is_partial);
        let mut all = Collection::default();
        all.add_table(message(IP, &table(1)));
        all.add_table(message(IP, &table(1)));
        assert!(all.is_partial);
    }

    #[test]
    fn a_flowtable_is_noted_with_its_table() {
        let mut all = Collection::default();
        all.add_table(message(IP, &table(1)));
        all.add_flowtable(message(IP, &[nla(1, b"t\0"), nla(2, b"fast\0")].concat()));
        assert_eq!(all.tables[0].flowtables, ["fast"]);
    }

    #[test]
    fn what_belongs_to_no_table_means_a_change() {
        let mut all = Collection::default();
        all.add_chain(message(IP, &chain(1, 2)));
        assert!(all.is_partial);
    }

    #[test]
    fn what_this_version_does_not_know_is_a_gap_and_no_change() {
        let mut all = Collection::default();
        all.add_table(message(IP, &table(1)));
        all.add_table(message(99, &table(2)));
        all.add_chain(message(99, &chain(1, 2)));
        all.add_chain(message(IP, &chain(77, 3)));
        assert!(!all.is_partial);
        assert_eq!(all.gaps.len(), 2, "{:?}", all.gaps);
        assert!(all.gaps[1].contains("chain c of table ip t"));
        assert!(all.tables[0].chain("c").is_some_and(|chain| chain.base.is_none()));
    }

    #[test]
    fn bytes_that_lie_never_panic() {
        let set =
            [nla(1, b"t\0"), nla(2, b"s\0"), be32(3, 4), nla(9, &nla(2, &nla(1, &be32(1, 4)).repeat(3)))].concat();
        fuzz(&[table(1), chain(1, 2), set], 50_000, |bytes| {
            let mut all = Collection::default();
            all.add_table(message(IP, &table(1)));
            all.add_table(message(IP, bytes));
            all.add_chain(message(IP, bytes));
            all.add_set(message(IP, bytes));
            all.add_flowtable(message(IP, bytes));
        });
    }
}
