//! What a device does with checksums, and what it counts as damaged.
//!
//! Rule: the ethtool requests that every kernel since 2.6 has, on a datagram socket of the packet's namespace; a device
//! that does not know one just has no answer.

use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `uapi/linux/ethtool.h`.
const ETHTOOL_GDRVINFO: u32 = 0x3;
const ETHTOOL_GRXCSUM: u32 = 0x14;
const ETHTOOL_GTXCSUM: u32 = 0x16;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// What a device says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    pub driver: Option<String>,
    /// Whether the device checks what comes, and sums what leaves.
    pub receive: Option<bool>,
    pub transmit: Option<bool>,
    /// Frames that came with an error (`rx_errors`).
    pub errors: Option<u64>,
}

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// `struct ethtool_drvinfo`.
#[repr(C)]
struct Driver {
    command: u32,
    name: [u8; 32],
    /// Versions, bus, and counts that are not used.
    others: [u8; 32 * 4 + 12 + 5 * 4],
}

const _: () = assert!(size_of::<Driver>() == 196);

/// Asks the device of this name in the calling thread's namespace.
pub(super) fn read(name: &str) -> Offload {
    let errors = fs::read_to_string("/proc/thread-self/net/dev").ok().and_then(|text| errors(&text, name));
    // Asked about a device that is gone, the kernel looks for a module of its name (`dev_load`, net/core/dev_ioctl.c).
    let Some(socket) = socket().filter(|_| errors.is_some()) else { return Offload { errors, ..Offload::default() } };
    Offload {
        driver: driver(&socket, name),
        receive: value(&socket, name, ETHTOOL_GRXCSUM),
        transmit: value(&socket, name, ETHTOOL_GTXCSUM),
        errors,
    }
}

fn socket() -> Option<OwnedFd> {
    // SAFETY: no pointer is passed; what is returned is checked before it is owned.
    let descriptor = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    // SAFETY: a descriptor that the kernel just gave to us and nobody else owns.
    (descriptor >= 0).then(|| unsafe { OwnedFd::from_raw_fd(descriptor) })
}

fn driver(socket: &OwnedFd, name: &str) -> Option<String> {
    let mut driver = Driver { command: ETHTOOL_GDRVINFO, name: [0; 32], others: [0; 160] };
    ask(socket, name, (&raw mut driver).cast())?;
    let end = driver.name.iter().position(|byte| *byte == 0).unwrap_or(driver.name.len());
    let text = String::from_utf8_lossy(driver.name.get(..end)?).into_owned();
    (!text.is_empty()).then_some(text)
}

fn value(socket: &OwnedFd, name: &str, command: u32) -> Option<bool> {
    let mut value = Value { command, data: 0 };
    ask(socket, name, (&raw mut value).cast())?;
    Some(value.data != 0)
}

/// One request; `data` points to the structure that its command belongs to.
fn ask(socket: &OwnedFd, name: &str, data: *mut libc::c_char) -> Option<()> {
    // SAFETY: all zeroes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return None;
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = data;
    // SAFETY: the request and the structure behind `data`, which has the size that its command has in the kernel, live
    // until the call returns.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL as _, &raw mut request) };
    (done == 0).then_some(())
}

/// The third number behind `name:` (`net/core/net-procfs.c`).
fn errors(text: &str, name: &str) -> Option<u64> {
    let numbers = text.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix(':'))?;
    numbers.split_whitespace().nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_the_third_number() {
        let text = "Inter-|\n  eth0: 10 2 5 0 0 0 0 0 1 1 0\neth01: 1 1 9 0\n";
        assert_eq!((errors(text, "eth0"), errors(text, "eth1")), (Some(5), None));
    }

    #[test]
    fn a_device_that_is_not_there_says_nothing() {
        assert_eq!(read("nosuchdevice0"), Offload::default());
        assert_eq!(read("a-name-longer-than-any"), Offload::default());
        assert_eq!(read("lo").errors, Some(0));
    }
}
