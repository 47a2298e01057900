//! Servers that answer, on threads of the test with sockets of a namespace; they end with their guards.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::Socket;

use crate::netns::NetNs;

/// How often a UDP server looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);

/// Accepts connections and does what each asks for ([`super::talk::Talk`]).
#[derive(Debug)]
pub struct Tcp {
    listener: Socket,
    accepted: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Tcp {
    pub fn listen(namespace: &NetNs, at: SocketAddr) -> Result<Self> {
        let listener = namespace.run(|| TcpListener::bind(at).with_context(|| format!("cannot listen on {at}")))?;
        let accepted = Arc::new(AtomicU64::new(0));
        let (waiting, count) = (listener.try_clone()?, Arc::clone(&accepted));
        let thread = thread::spawn(move || {
            for stream in waiting.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::Relaxed);
                // The client says whether it went well.
                thread::spawn(move || serve(stream));
            }
        });
        Ok(Self { listener: listener.into(), accepted, thread: Some(thread) })
    }

    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        // A listener that is shut down wakes who waits for connections.
        let _ended = self.listener.shutdown(Shutdown::Both);
        let _joined = self.thread.take().map(JoinHandle::join);
    }
}

/// Reads two lengths, takes so many bytes and sends so many back, until the client goes.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut lengths = [0; 16];
    loop {
        stream.read_exact(&mut lengths)?;
        let (up, down) = lengths.split_at(8);
        let length = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap_or_default());
        io::copy(&mut (&stream).take(length(up)), &mut io::sink())?;
        io::copy(&mut io::repeat(b's').take(length(down)), &mut stream)?;
        stream.flush()?;
    }
}

/// Answers each datagram with what `answer` makes of it.
#[derive(Debug)]
pub struct Udp {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Udp {
    /// Sends each datagram back.
    pub fn echo(namespace: &NetNs, at: SocketAddr) -> Result<Self> {
        Self::answer(namespace, at, |_| {})
    }

    /// A name server that has no records and no errors.
    pub fn names(namespace: &NetNs, at: SocketAddr) -> Result<Self> {
        // RFC 1035, section 4.1.1: an answer, recursion available.
        Self::answer(namespace, at, |query| {
            if let Some([flags, more]) = query.get_mut(2..4) {
                *flags |= 0x80;
                *more |= 0x80;
            }
        })
    }

    fn answer(namespace: &NetNs, at: SocketAddr, answer: impl Fn(&mut [u8]) + Send + 'static) -> Result<Self> {
        let socket = namespace.run(|| UdpSocket::bind(at).with_context(|| format!("cannot bind {at}")))?;
        socket.set_read_timeout(Some(TICK))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !flag.load(Ordering::Relaxed) {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        answer(&mut buffer[..length]);
                        // The client notices if it gets none.
                        let _sent = socket.send_to(&buffer[..length], from);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                    // An ICMP error that came back is no reason to end.
                    Err(_) => {}
                }
            }
        });
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _joined = self.thread.take().map(JoinHandle::join);
    }
}
