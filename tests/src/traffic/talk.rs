//! Clients that try to talk, with a deadline, and say what became of it.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::{Flow, source_for};
use crate::netns::NetNs;
use crate::patience;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Answered,
    /// By a RST, or an ICMP error.
    Refused(ErrorKind),
    Silence,
}

/// Tries to connect for as long as `within`.
pub fn connect(from: &NetNs, to: SocketAddr, within: Duration) -> Result<Fate> {
    match from.run(|| Ok(TcpStream::connect_timeout(&to, within)))? {
        Ok(_) => Ok(Fate::Answered),
        Err(error) if error.kind() == ErrorKind::TimedOut => Ok(Fate::Silence),
        Err(error) => Ok(Fate::Refused(kind(&error))),
    }
}

/// `EACCES` (ICMPv6) and `EHOSTUNREACH` (ICMP) both say that somebody on the way refused.
fn kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        ErrorKind::PermissionDenied => ErrorKind::HostUnreachable,
        other => other,
    }
}

/// A connection to a [`super::server::Tcp`].
#[derive(Debug)]
pub struct Talk {
    stream: TcpStream,
    pub flow: Flow,
}

impl Talk {
    pub fn open(from: &NetNs, to: SocketAddr) -> Result<Self> {
        let stream = from.run(|| TcpStream::connect_timeout(&to, patience()).with_context(|| format!("to {to}")))?;
        let flow = Flow { protocol: "tcp", source: stream.local_addr()?, destination: to };
        Ok(Self { stream, flow })
    }

    /// Sends so many bytes and reads so many, within the lab's patience.
    pub fn exchange(&mut self, up: u64, down: u64) -> Result<()> {
        ensure!(self.exchanged(up, down, patience())?, "the bytes of {:?} got stuck", self.flow);
        Ok(())
    }

    /// Whether so many bytes get there and so many come back within a time.
    pub fn exchanged(&mut self, up: u64, down: u64, within: Duration) -> Result<bool> {
        let deadline = Instant::now() + within;
        self.stream.set_write_timeout(Some(within))?;
        let sent = self.send(up, down);
        let mut rest = down;
        let mut buffer = vec![0; 1 << 16];
        while is_in_time(sent.as_ref().err())? && rest > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("{:?} was closed", self.flow),
                Ok(length) => rest -= length as u64,
                Err(error) => return is_in_time(Some(&error)),
            }
        }
        Ok(rest == 0)
    }

    fn send(&mut self, up: u64, down: u64) -> io::Result<()> {
        self.stream.write_all(&[up.to_be_bytes(), down.to_be_bytes()].concat())?;
        io::copy(&mut io::repeat(b'c').take(up), &mut self.stream).map(drop)
    }
}

/// False if a time was over, an error for all other ends.
fn is_in_time(error: Option<&io::Error>) -> Result<bool> {
    match error {
        None => Ok(true),
        Some(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Some(error) => bail!("{error}"),
    }
}

/// Sends a datagram again and again until an answer comes or the time is over, as resolvers and VPN clients do.
pub fn ask(from: &NetNs, to: SocketAddr, request: &[u8], within: Duration) -> Result<Fate> {
    /// Between two questions.
    const AGAIN: Duration = Duration::from_millis(200);
    from.run(|| {
        let socket = UdpSocket::bind((source_for(to.ip())?, 0))?;
        socket.connect(to)?;
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Fate::Silence);
            }
            socket.set_read_timeout(Some(left.min(AGAIN)))?;
            let got = socket.send(request).and_then(|_| socket.recv(&mut [0; 2048]));
            match got {
                Ok(_) => return Ok(Fate::Answered),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Ok(Fate::Refused(kind(&error))),
            }
        }
    })
}

/// A query for the address of `name` (RFC 1035, section 4.1).
pub fn query(name: &str, id: u16) -> Vec<u8> {
    let mut message = [id.to_be_bytes(), [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]].concat();
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend(label.bytes());
    }
    // The root, type A, class IN.
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The first packet of an OpenVPN client: `P_CONTROL_HARD_RESET_CLIENT_V2`, a session and no acknowledgements.
pub const OPENVPN_HELLO: [u8; 14] = [7 << 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0];
