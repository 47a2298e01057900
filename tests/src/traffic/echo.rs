//! ICMP and ICMPv6 echo over raw sockets.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Flow, frame, source_for};
use crate::family::Family;

const ECHO: [u8; 2] = [8, 128];
const ECHO_REPLY: [u8; 2] = [0, 129];

/// An echo request: who it is from, who to, and the socket that an answer comes to.
#[derive(Debug)]
pub struct Request {
    pub flow: Flow,
    identifier: u16,
    socket: Socket,
}

/// Options of a request.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// TTL or hop limit.
    pub hops: u32,
    /// Bytes of data after the ICMP header.
    pub size: usize,
    /// Never fragmented, whatever the path's MTU is known to be (`IP_PMTUDISC_PROBE`).
    pub whole: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { hops: 64, size: 16, whole: false }
    }
}

pub fn request(to: IpAddr, options: Options) -> Result<Request> {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let family = Family::of(to);
    let socket = match family {
        Family::V4 => Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?,
        Family::V6 => Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6))?,
    };
    match family {
        Family::V4 => socket.set_ttl_v4(options.hops)?,
        Family::V6 => socket.set_unicast_hops_v6(options.hops)?,
    }
    if options.whole {
        probe_path(&socket, family)?;
    }
    let identifier = NEXT.fetch_add(1, Ordering::Relaxed);
    let source = source_for(to)?;
    let mut body = identifier.to_be_bytes().to_vec();
    body.extend([0, 1]);
    body.resize(4 + options.size, b'w');
    let message = frame::icmp(source, to, family.pick(ECHO[0], ECHO[1]), 0, &body);
    // A device that drops may say so to the sender (ENOBUFS); the event under test says it as well.
    let _outcome = socket.send_to(&message, &SocketAddr::new(to, 0).into());
    let flow =
        Flow { protocol: family.icmp(), source: SocketAddr::new(source, 0), destination: SocketAddr::new(to, 0) };
    Ok(Request { flow, identifier, socket })
}

impl Request {
    /// Whether the answer comes within a time.
    pub fn answered(mut self, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        let wanted = self.flow.family().pick(ECHO_REPLY[0], ECHO_REPLY[1]);
        let mut buffer = [0; 2048];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.socket.set_read_timeout(Some(left))?;
            let length = match self.socket.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            // An IPv4 raw socket shows the IP header, an IPv6 one does not.
            let header = self.flow.family().pick(usize::from(buffer[0] & 15) * 4, 0);
            let message = buffer[..length].get(header..).unwrap_or_default();
            if matches!(message, [kind, _, _, _, a, b, ..] if *kind == wanted && [*a, *b] == self.identifier.to_be_bytes())
            {
                return Ok(true);
            }
        }
    }
}

/// Whether `to` answers an echo request within a time; not to be reached at all is no answer.
pub fn answered(to: IpAddr, within: Duration) -> Result<bool> {
    request(to, Options::default()).map_or(Ok(false), |request| request.answered(within))
}

fn probe_path(socket: &Socket, family: Family) -> Result<()> {
    use std::os::fd::AsRawFd;
    let (level, name, value) = match family {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    };
    let size = libc::socklen_t::try_from(size_of_val(&value))?;
    // SAFETY: the kernel reads `size` bytes of `value`, which outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}
