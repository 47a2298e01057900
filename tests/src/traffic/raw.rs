//! Whole frames in and out of an interface (AF_PACKET).

use std::ffi::CString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

/// A packet socket bound to one interface of the namespace it was made in.
#[derive(Debug)]
pub struct Interface {
    socket: Socket,
}

impl Interface {
    /// Only sends: nothing is queued for it.
    pub fn sender(name: &str) -> Result<Self> {
        Self::open(name, 0)
    }

    /// Sends, and receives every frame from now on, those that leave included.
    pub fn listener(name: &str) -> Result<Self> {
        Self::open(name, libc::ETH_P_ALL as u16)
    }

    fn open(name: &str, ethertype: u16) -> Result<Self> {
        let socket = Socket::new(Domain::from(libc::AF_PACKET), Type::RAW, None).context("no packet socket")?;
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: any bytes are a valid `sockaddr_ll`, and the storage is large and aligned enough for each address.
        let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = index(name)?.cast_signed();
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the storage holds a `sockaddr_ll` of this length.
        let address = unsafe { SockAddr::new(storage, length) };
        socket.bind(&address).with_context(|| format!("cannot bind to {name}"))?;
        Ok(Self { socket })
    }

    pub fn send(&mut self, frame: &[u8]) -> Result<()> {
        let sent = self.socket.write(frame)?;
        ensure!(sent == frame.len(), "{sent} of {} bytes went out", frame.len());
        Ok(())
    }

    /// The first frame that `wanted` accepts, or `None` when the time is over.
    pub fn receive(&mut self, within: Duration, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + within;
        let mut buffer = vec![0; 65536];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.read(&mut buffer) {
                Ok(length) if wanted(&buffer[..length]) => return Ok(Some(buffer[..length].to_vec())),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsRawFd for Interface {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// An interface's number in this thread's namespace.
pub fn index(name: &str) -> Result<u32> {
    let text = CString::new(name)?;
    // SAFETY: a NUL-terminated string that outlives the call.
    match unsafe { libc::if_nametoindex(text.as_ptr()) } {
        0 => Err(io::Error::last_os_error()).with_context(|| format!("no interface {name}")),
        index => Ok(index),
    }
}
