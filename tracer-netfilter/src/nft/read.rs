//! Reads all of nf_tables' rules in the calling thread's network namespace.
//!
//! Rule: what is given is the ruleset of one moment: the kernel's count of changes is the same before and after. If it
//! never is, the last reading is given with a gap that says so.

use std::time::Duration;

use super::collection::Collection;
use super::{Ask, request};
use crate::model::Table;
use crate::netlink::{NetlinkError, Socket};
use crate::presence::{Part, Presence};

/// Readings of a ruleset that keeps changing, and the time between them, in which the kernel can finish a change.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(5);
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
            Ok(collection) if after == before && !collection.is_partial => return Ok(finish(collection, after)),
            Ok(mut collection) if is_last => {
                collection.gaps.push(
                    "the rules of nf_tables changed each time they were read, so some may be missing or out of date; \
                     ask again when they are quiet"
                        .to_owned(),
                );
                return Ok(finish(collection, after));
            }
            Err(error) if is_last || !error.is_passing() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        std::thread::sleep(PAUSE);
        before = generation_by(&mut socket)?.unwrap_or(after);
        attempt += 1;
    }
}

/// A socket, if there is an nf_tables to talk to.
fn open() -> Result<Option<Socket>, NetlinkError> {
    if Part::NfTables.presence() == Presence::Absent {
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

fn finish(collection: Collection, generation: u32) -> Reading {
    Reading { generation: Some(generation), tables: collection.tables, gaps: collection.gaps }
}
