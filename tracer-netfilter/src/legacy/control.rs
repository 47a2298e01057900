//! The socket options by which x_tables gives its tables away.
//!
//! Rule: what the kernel says of a table's size is not believed beyond [`MAX_SIZE`], and a table that changes between the
//! two questions (how large, which entries) is asked for again.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use super::LegacyError;
use super::entry::Layout;
use crate::model::Family;

/// Most bytes taken of one table: about two million rules.
const MAX_SIZE: u32 = 512 << 20;
/// `struct ipt_get_entries`: name, size, and what aligns the entries to 8.
const ENTRIES_HEADER: usize = 40;
/// `XT_TABLE_MAXNAMELEN`
const NAME: usize = 32;
/// Hooks of `NF_INET_NUMHOOKS`.
const HOOKS: usize = 5;
/// Longest `struct ipt_getinfo`: name, valid hooks, two offsets for each hook, number and size of the entries.
const INFO: usize = NAME + 4 + 2 * 4 * HOOKS + 8;

/// `struct ipt_getinfo`: how a table is laid out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Info {
    /// Bit for each hook that the table has a chain at.
    pub(super) valid_hooks: u32,
    /// Offset of the first entry of each hook's chain.
    pub(super) hook_entry: Vec<u32>,
    /// Offset of the entry that is the policy.
    pub(super) underflow: Vec<u32>,
    pub(super) entries: u32,
    /// Bytes of all entries.
    pub(super) size: u32,
}

impl Info {
    fn parse(bytes: &[u8], hooks: usize) -> Option<Self> {
        let mut words = bytes.get(NAME..)?.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word));
        Some(Self {
            valid_hooks: words.next()?,
            hook_entry: (0..hooks).map_while(|_| words.next()).collect(),
            underflow: (0..hooks).map_while(|_| words.next()).collect(),
            entries: words.next()?,
            size: words.next()?,
        })
    }
}

/// A socket to ask by.
pub(super) struct Control {
    socket: OwnedFd,
    pub(super) layout: &'static Layout,
}

impl Control {
    /// A datagram socket will do, so that CAP_NET_RAW is not needed.
    pub(super) fn open(layout: &'static Layout) -> Result<Self, LegacyError> {
        let domain = if layout.family == Family::Ip6 { libc::AF_INET6 } else { libc::AF_INET };
        // SAFETY: `socket` takes no pointer.
        let descriptor = unsafe { libc::socket(domain, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
        if descriptor < 0 {
            return Err(LegacyError::Socket { family: layout.family, source: io::Error::last_os_error() });
        }
        // SAFETY: `descriptor` was just opened and is nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Self { socket, layout })
    }

    /// A table that exists: its layout and its entries.
    pub(super) fn read(&self, table: &str, attempts: u32) -> Result<(Info, Vec<u8>), LegacyError> {
        for _ in 0..attempts {
            let info = self.info(table)?;
            if info.size > MAX_SIZE {
                return Err(self.malformed(table, "its size"));
            }
            match self.entries(table, info.size) {
                // The kernel only compares sizes: another table of the same size has its chains elsewhere.
                Ok(entries) if self.info(table)? == info => return Ok((info, entries)),
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
                Err(error) => return Err(self.failed(table, error)),
            }
        }
        Err(LegacyError::Changing { family: self.layout.family, table: table.to_owned(), attempts })
    }

    /// How a table is laid out. It must exist: asking makes it.
    pub(super) fn info(&self, table: &str) -> Result<Info, LegacyError> {
        let length = NAME + 4 + 2 * 4 * self.layout.hooks + 8;
        let mut buffer = vec![0; length.min(INFO)];
        self.put_name(table, &mut buffer)?;
        self.ask(self.layout.get_info, &mut buffer).map_err(|error| self.failed(table, error))?;
        Info::parse(&buffer, self.layout.hooks).ok_or_else(|| self.malformed(table, "its layout"))
    }

    fn entries(&self, table: &str, size: u32) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; ENTRIES_HEADER + size as usize];
        self.put_name(table, &mut buffer).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
        if let Some(field) = buffer.get_mut(NAME..NAME + 4) {
            field.copy_from_slice(&size.to_ne_bytes());
        }
        // The kernel refuses a size that is no longer right with EAGAIN (`get_entries`, `ip_tables.c`, 6.18).
        self.ask(self.layout.get_entries, &mut buffer)?;
        buffer.drain(..ENTRIES_HEADER);
        Ok(buffer)
    }

    fn put_name(&self, table: &str, buffer: &mut [u8]) -> Result<(), LegacyError> {
        let name = table.as_bytes();
        // One byte stays 0, which ends the name.
        match buffer.get_mut(..name.len()) {
            Some(field) if name.len() < NAME => field.copy_from_slice(name),
            _ => return Err(LegacyError::Name { family: self.layout.family, table: table.to_owned() }),
        }
        Ok(())
    }

    fn ask(&self, option: i32, buffer: &mut [u8]) -> io::Result<()> {
        let level = if self.layout.family == Family::Ip6 { libc::SOL_IPV6 } else { libc::SOL_IP };
        let mut length = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
        // SAFETY: the kernel writes at most `length` bytes into `buffer`, and both outlive the call.
        let result = unsafe {
            libc::getsockopt(self.socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &raw mut length)
        };
        match result {
            0 if length as usize == buffer.len() => Ok(()),
            0 => Err(io::Error::other("an answer of an unexpected length")),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn failed(&self, table: &str, source: io::Error) -> LegacyError {
        let family = self.layout.family;
        if source.raw_os_error() == Some(libc::EPERM) {
            return LegacyError::Refused { family };
        }
        LegacyError::Kernel { family, table: table.to_owned(), source }
    }

    fn malformed(&self, table: &str, what: &'static str) -> LegacyError {
        LegacyError::Malformed { family: self.layout.family, table: table.to_owned(), what }
    }
}
