//! Reads all of nf_tables' rules in the calling thread's network namespace.
//!
//! Rule: what is given is the ruleset of one moment: the kernel's count of changes is the same before and after. If it
//! never is, the last reading is given with a gap that says so.

use std::collections::HashMap;

use super::{Ask, chain, presence, request, rule, set, table};
use crate::model::{Family, RawRule, Table};
use crate::netlink::{Message, NetlinkError, Socket, text, until_nul};

/// Readings of a ruleset that keeps changing.
const ATTEMPTS: u32 = 5;
/// `NFTA_GEN_ID`.
const GENERATION_ID: u16 = 1;

/// The rules of nf_tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The kernel's count of changes; `None` if there is no nf_tables.
    pub generation: Option<u32>,
    pub tables: Vec<Table>,
    /// What could not be read and why, a sentence each.
    pub gaps: Vec<String>,
}

/// The kernel's count of changes to nf_tables in this network namespace; `None` if there is no nf_tables.
pub fn generation() -> Result<Option<u32>, NetlinkError> {
    match open()? {
        Some(mut socket) => generation_by(&mut socket),
        None => Ok(None),
    }
}

/// Reads tables with their chains, rules, sets (without elements) and names of flowtables.
pub fn read() -> Result<Reading, NetlinkError> {
    let Some(mut socket) = open()? else { return Ok(Reading::default()) };
    let Some(mut before) = generation_by(&mut socket)? else { return Ok(Reading::default()) };
    let mut attempt = 1;
    loop {
        let got = Collection::read(&mut socket);
        let after = generation_by(&mut socket)?.unwrap_or(before);
        let is_last = attempt == ATTEMPTS;
        match got {
            Ok(collection) if after == before && !collection.is_partial => return Ok(collection.finish(after)),
            Ok(mut collection) if is_last => {
                collection.gaps.push(
                    "the rules of nf_tables changed each time they were read, so some may be missing or out of date; \
                     ask again when they are quiet"
                        .to_owned(),
                );
                return Ok(collection.finish(after));
            }
            Err(error) if is_last || !error.is_passing() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        before = after;
        attempt += 1;
    }
}

/// A socket, if there is an nf_tables to talk to.
fn open() -> Result<Option<Socket>, NetlinkError> {
    if !presence::is_present() {
        return Ok(None);
    }
    match Socket::open() {
        Err(error) if error.is_unsupported() => Ok(None),
        socket => socket.map(Some),
    }
}

fn generation_by(socket: &mut Socket) -> Result<Option<u32>, NetlinkError> {
    match socket.get(&request(Ask::Generation, None), |message| message.attributes.be32(GENERATION_ID)) {
        Err(error) if error.is_unsupported() => Ok(None),
        answer => answer.map(Some),
    }
}

/// What one reading has found so far.
#[derive(Default)]
struct Collection {
    tables: Vec<Table>,
    /// Index in `tables`.
    index: HashMap<(u8, Vec<u8>), usize>,
    gaps: Vec<String>,
    /// Something belongs to a table or chain that was not there when those were listed.
    is_partial: bool,
}

impl Collection {
    fn read(socket: &mut Socket) -> Result<Self, NetlinkError> {
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
        Ok(all)
    }

    fn finish(self, generation: u32) -> Reading {
        Reading { generation: Some(generation), tables: self.tables, gaps: self.gaps }
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
                self.index.insert((message.family, table.name.clone().into_bytes()), self.tables.len());
                self.tables.push(table);
            }
            None => self.gaps.push(format!(
                "a table of nf_tables' family {} was left out, because this version does not know that family",
                message.family
            )),
        }
    }

    /// The table by family and name.
    fn table_of(&self, family: u8, name: Option<&[u8]>) -> Option<usize> {
        self.index.get(&(family, text(name?).into_bytes())).copied()
    }

    /// The table to add to; what is of an unknown family is left out with its table, anything else means a change.
    fn table_mut(&mut self, family: u8, name: Option<&[u8]>) -> Option<&mut Table> {
        let index = self.table_of(family, name);
        self.is_partial |= index.is_none() && Family::from_number(family).is_some();
        self.tables.get_mut(index?)
    }

    fn add_chain(&mut self, message: Message<'_>) {
        let Some(table) = self.table_mut(message.family, chain::table_of(message.attributes)) else { return };
        let Some((chain, is_known)) = chain::chain(table.family, message.attributes) else { return };
        let gap = format!(
            "chain {} of table {} {} is left out, because this version does not know its hook or type",
            chain.name,
            table.family.as_str(),
            table.name
        );
        table.push(chain);
        self.gaps.extend((!is_known).then_some(gap));
    }

    /// Rules come in the order of their chains, so the place of the last one mostly holds for the next.
    fn ask_rules(&mut self, socket: &mut Socket) -> Result<(), NetlinkError> {
        let mut last = Last::default();
        self.ask(socket, Ask::Rules, |all, message| all.add_rule(&mut last, &message))
    }

    fn add_rule(&mut self, last: &mut Last, message: &Message<'_>) {
        let Some((table, chain, handle)) = rule::place(message.attributes) else { return };
        if !last.is(message.family, table, chain) {
            let place = self.table_of(message.family, Some(table)).and_then(|index| {
                let chain = String::from_utf8_lossy(until_nul(chain));
                Some((index, self.tables.get(index)?.find(&chain)?))
            });
            *last = Last { family: message.family, table: table.to_vec(), chain: chain.to_vec(), place };
        }
        let found = last.place.and_then(|(table, chain)| self.tables.get_mut(table)?.chains.get_mut(chain));
        match found {
            Some(chain) => chain.rules.push(RawRule::Nft { handle, attributes: message.bytes.into() }),
            None => self.is_partial |= Family::from_number(message.family).is_some(),
        }
    }

    fn add_set(&mut self, message: Message<'_>) {
        let Some(table) = self.table_mut(message.family, set::table_of(message.attributes)) else { return };
        table.sets.extend(set::set(message.attributes));
    }

    fn add_flowtable(&mut self, message: Message<'_>) {
        let Some((table, name)) = table::flowtable(message.attributes) else { return };
        if let Some(table) = self.table_mut(message.family, Some(table)) {
            table.flowtables.push(name);
        }
    }
}

/// Where the last rule went.
#[derive(Default)]
struct Last {
    family: u8,
    table: Vec<u8>,
    chain: Vec<u8>,
    /// Indices of table and chain.
    place: Option<(usize, usize)>,
}

impl Last {
    fn is(&self, family: u8, table: &[u8], chain: &[u8]) -> bool {
        self.family == family && self.chain == chain && self.table == table
    }
}
