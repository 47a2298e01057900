//! The program behind a tun device does not read, as a stuck VPN does.

use std::ffi::c_short;
use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use tracer_tests::traffic::udp;
use tracer_tests::{Expect, NetNs, Story, require, sysctl};

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

/// A tun device `tun0` in this thread's namespace; it goes with the file.
fn open() -> Result<File> {
    let file = File::options().read(true).write(true).open("/dev/net/tun").context("/dev/net/tun")?;
    let mut request = Request { name: [0; 16], flags: IFF_TUN | IFF_NO_PI, rest: [0; 22] };
    request.name[..4].copy_from_slice(b"tun0");
    // SAFETY: the kernel reads and writes one `ifreq` (40 bytes), which outlives the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), TUNSETIFF, &raw mut request) };
    ensure!(result == 0, std::io::Error::last_os_error());
    Ok(file)
}

#[test]
fn its_ring_is_full() -> Result<()> {
    require!(TUN);
    let namespace = NetNs::new("t")?;
    let _unread = namespace.run(open)?;
    // IPv6 would greet the network first, and fill the ring.
    let _silent = sysctl::set(&namespace, "net/ipv6/conf/tun0/disable_ipv6", "1")?;
    namespace.exec("ip link set tun0 txqueuelen 2 up && ip address add 10.88.0.1/24 dev tun0")?;
    let mut story = Story::of(&namespace)?;
    let sent = namespace.run(|| udp::send(([10, 88, 0, 5], 53).into(), 8, 20))?;
    let wanted = Expect::finest(&["FULL_RING", "NOT_SPECIFIED"])?.cause("device").problem().hook("device");
    let wanted = wanted.interface("tun0").netns(&namespace)?.flow(&sent.flow).freed_in(&["tun_net_xmit"]);
    story.names(wanted, 6)?;
    story.end().map(drop)
}
