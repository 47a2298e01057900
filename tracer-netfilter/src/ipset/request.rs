//! Asking the kernel for sets, in the calling thread's network namespace.
//!
//! Rule: a rule names a set by the kernel's index of it, so the index is asked for its name
//! (`IPSET_CMD_GET_BYINDEX`, since Linux 4.20) and the name for the set. The older way, the socket option `SO_IP_SET`,
//! needs a raw socket and tells no more.

use std::collections::HashMap;
use std::sync::Arc;

use super::decode::{NamedMember, Reading, SETNAME};
use super::{IpSet, IpSetError, Listed};
use crate::netlink::{NetlinkError, Request, Socket, Subsystem};

/// `IPSET_CMD_` numbers.
const CMD_LIST: u8 = 7;
const CMD_GET_BYINDEX: u8 = 15;
/// `IPSET_ATTR_PROTOCOL` and the version that all kernels since 4.20 speak.
const PROTOCOL: u16 = 1;
const VERSION: u8 = 7;
/// `IPSET_ATTR_INDEX`, said to be in network order (`NLA_F_NET_BYTEORDER`).
const INDEX: u16 = 0x400b;
/// `IPSET_ATTR_FLAGS` and `IPSET_FLAG_LIST_SETNAME`.
const FLAGS: u16 = 0x4006;
const LIST_SETNAME: u32 = 1 << 1;

/// The name of the set with this index.
pub fn by_index(index: u16) -> Result<String, IpSetError> {
    let request = request(CMD_GET_BYINDEX).with(INDEX, &index.to_be_bytes());
    socket()?.get(&request, |message| message.attributes.text(SETNAME)).map_err(failed)
}

/// The names of all sets.
pub fn names() -> Result<Vec<String>, IpSetError> {
    let request = request(CMD_LIST).with(FLAGS, &LIST_SETNAME.to_be_bytes());
    let dump = socket()?.dump(&request, |names: &mut Vec<String>, message| {
        names.extend(message.attributes.text(SETNAME));
    });
    let mut names = dump.map_err(failed)?.answer;
    // A set may take several messages.
    names.dedup();
    Ok(names)
}

/// Reads one set with its members; of a `list:set`, its member sets too.
pub fn read(name: &str) -> Result<IpSet, IpSetError> {
    let mut socket = socket()?;
    let (set, named) = read_one(&mut socket, name)?;
    let mut read = HashMap::new();
    let sets = named.into_iter().map(|(name, extensions)| {
        let set = read.entry(name.clone()).or_insert_with(|| read_member(&mut socket, &name)).clone();
        Listed { name, set, extensions }
    });
    let sets = sets.collect();
    Ok(set.with_sets(sets))
}

/// A member of a `list:set`; a list in a list is refused by the kernel (`IPSET_ERR_LOOP`), so what it holds is not read.
fn read_member(socket: &mut Socket, name: &str) -> Result<Arc<IpSet>, IpSetError> {
    let (set, named) = read_one(socket, name)?;
    if named.is_empty() { Ok(Arc::new(set)) } else { Err(IpSetError::Malformed("a list of sets in a list of sets")) }
}

fn read_one(socket: &mut Socket, name: &str) -> Result<(IpSet, Vec<NamedMember>), IpSetError> {
    let request = request(CMD_LIST).with_text(SETNAME, name);
    let dump = socket.dump(&request, |reading: &mut Reading, message| reading.take(message.attributes));
    dump.map_err(failed)?.answer.finish()
}

fn request(command: u8) -> Request {
    // The family is not looked at.
    Request::new(Subsystem::IpSet, command, libc::NFPROTO_IPV4 as u8).with(PROTOCOL, &[VERSION])
}

fn socket() -> Result<Socket, IpSetError> {
    Socket::open().map_err(failed)
}

fn failed(error: NetlinkError) -> IpSetError {
    if error.is_absent() {
        IpSetError::Gone
    } else if error.is_unsupported() {
        IpSetError::NotSupported
    } else {
        IpSetError::Refused(error)
    }
}
