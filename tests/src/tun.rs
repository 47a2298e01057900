//! A tun device as a program has it open.

use std::ffi::c_short;
use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};

/// `_IOW('T', 202, int)` of include/uapi/linux/if_tun.h.
const TUNSETIFF: libc::c_ulong = 0x4004_54ca;
const IFF_TUN: c_short = 1;
const IFF_NO_PI: c_short = 0x1000;

/// `struct ifreq` as far as this request reads it.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: c_short,
    rest: [u8; 22],
}

/// Opens the tun device `tun0` of this thread's namespace; one that is made by this goes with the file.
pub fn open() -> Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun").context("/dev/net/tun")?;
    let mut request = Request { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    request.name[..4].copy_from_slice(b"tun0");
    // SAFETY: the kernel reads and writes one `ifreq` (40 bytes), which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
    ensure!(result == 0, std::io::Error::last_os_error());
    Ok(file)
}
