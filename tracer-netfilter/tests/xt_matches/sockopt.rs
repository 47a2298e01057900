//! Questions by `getsockopt`: the rules of x_tables, and the names of sets.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use tracer_netfilter::Family;
use tracer_netfilter::xt::{Header, Match};

const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;
const IP_SET: i32 = 83;
const IP_SET_BY_INDEX: u32 = 7;
const IP_SET_VERSION: u32 = 7;
/// Bytes of `struct xt_table_info` in front of the entries.
const ENTRIES: usize = 40;

fn ask(family: Family, option: i32, buffer: &mut [u8]) -> io::Result<()> {
    let (domain, level) = match family {
        Family::Ip6 => (libc::AF_INET6, libc::SOL_IPV6),
        _ => (libc::AF_INET, libc::SOL_IP),
    };
    // SAFETY: makes a socket, or fails.
    let socket = unsafe { libc::socket(domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) };
    if socket < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor was just made and has no other owner.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    let mut length = buffer.len() as libc::socklen_t;
    // SAFETY: buffer and length describe memory that is ours.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &raw mut length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn u16_at(bytes: &[u8], offset: usize) -> usize {
    u16::from_ne_bytes(bytes[offset..offset + 2].try_into().unwrap()).into()
}

fn text_at(bytes: &[u8], offset: usize, length: usize) -> String {
    let field = &bytes[offset..offset + length];
    String::from_utf8_lossy(field.split(|byte| *byte == 0).next().unwrap()).into_owned()
}

/// The name of a set.
pub(crate) fn set_name(index: u16) -> Option<String> {
    let mut request = [0; 40];
    request[..4].copy_from_slice(&IP_SET_BY_INDEX.to_ne_bytes());
    request[4..8].copy_from_slice(&IP_SET_VERSION.to_ne_bytes());
    request[8..10].copy_from_slice(&index.to_ne_bytes());
    ask(Family::Ip, IP_SET, &mut request).ok()?;
    Some(text_at(&request, 8, 32))
}

/// A rule as it is read: its header, and its matches.
pub(crate) struct Rule {
    pub(crate) header: Header,
    pub(crate) matches: Vec<Match>,
    /// Packets that it counted.
    pub(crate) packets: u64,
}

/// The rules of one chain that a user made.
pub(crate) fn rules(family: Family, table: &str, chain: &str) -> Vec<Rule> {
    let mut info = [0; 84];
    info[..table.len()].copy_from_slice(table.as_bytes());
    ask(family, GET_INFO, &mut info).unwrap();
    let size = u32::from_ne_bytes(info[80..].try_into().unwrap());
    let mut answer = vec![0; ENTRIES + size as usize];
    answer[..table.len()].copy_from_slice(table.as_bytes());
    answer[32..36].copy_from_slice(&size.to_ne_bytes());
    ask(family, GET_ENTRIES, &mut answer).unwrap();
    let (mut entries, mut found, mut is_ours) = (&answer[ENTRIES..], Vec::new(), false);
    while !entries.is_empty() {
        let entry = Entry::new(family, entries);
        if entry.target == "ERROR" {
            is_ours = entry.error == chain;
        } else if is_ours {
            found.push(entry.rule(family));
        }
        entries = &entries[entry.bytes.len()..];
    }
    // The last is the return at the end of the chain.
    found.pop();
    found
}

struct Entry<'a> {
    bytes: &'a [u8],
    matches: &'a [u8],
    target: String,
    error: String,
    packets: u64,
}

impl<'a> Entry<'a> {
    fn new(family: Family, entries: &'a [u8]) -> Self {
        // Behind the header stand `nfcache`, the two offsets, `comefrom` (aligned), and the counters.
        let (offsets, size) = if family == Family::Ip6 { (140, 168) } else { (88, 112) };
        let (target, next) = (u16_at(entries, offsets), u16_at(entries, offsets + 2));
        let bytes = &entries[..next];
        let name = text_at(bytes, target + 2, 29);
        let error = if name == "ERROR" { text_at(bytes, target + 32, 29) } else { String::new() };
        let packets = u64::from_ne_bytes(bytes[size - 16..size - 8].try_into().unwrap());
        Self { bytes, matches: &bytes[size..target], target: name, error, packets }
    }

    fn rule(&self, family: Family) -> Rule {
        let header = match family {
            Family::Ip6 => Header::decode_ipv6(self.bytes),
            _ => Header::decode_ipv4(self.bytes),
        };
        let (mut rest, mut matches) = (self.matches, Vec::new());
        while !rest.is_empty() {
            let size = u16_at(rest, 0);
            let name = text_at(rest, 2, 29);
            matches.push(Match::decode(&name, rest[31], family, &rest[32..size]).unwrap());
            rest = &rest[size..];
        }
        Rule { header: header.unwrap(), matches, packets: self.packets }
    }
}
