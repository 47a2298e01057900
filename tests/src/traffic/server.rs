//! Servers that answer, on threads of the test with sockets of a namespace; they end with their guards.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use socket2::Socket;

use super::raw::Interface;
use super::{Mac, frame};
use crate::family::Dual;
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

/// A router that says "administratively prohibited" (RFC 1812, section 5.2.7.1; RFC 4443, section 3.1) to SYNs that come in by
/// a device for a TCP port. It does not take them away.
#[derive(Debug)]
pub struct Refuser {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Refuser {
    pub fn start(namespace: &NetNs, device: &str, own: Dual, port: u16) -> Result<Self> {
        let mut wire = namespace.run(|| Interface::listener(device))?;
        let is_over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let Ok(Some(syn)) = wire.receive(TICK, |frame| is_syn_to(frame, port)) else { continue };
                // The client notices if it gets none.
                let _sent = wire.send(&refusal(&syn, own));
            }
        });
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Refuser {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _joined = self.thread.take().map(JoinHandle::join);
    }
}

const ETHERNET: usize = 14;

/// Where TCP begins in a frame without IP options or extension headers.
fn tcp_at(frame: &[u8]) -> Option<usize> {
    match frame.get(12..14)? {
        [0x08, 0x00] if frame.get(23) == Some(&frame::TCP) => Some(ETHERNET + 20),
        [0x86, 0xdd] if frame.get(20) == Some(&frame::TCP) => Some(ETHERNET + 40),
        _ => None,
    }
}

fn is_syn_to(frame: &[u8], port: u16) -> bool {
    let header = tcp_at(frame).and_then(|at| frame.get(at..at + 14));
    header.is_some_and(|header| header[2..4] == port.to_be_bytes() && header[13] == frame::SYN)
}

fn refusal(syn: &[u8], own: Dual) -> Vec<u8> {
    let mac = |at: usize| -> Mac { syn[at..at + 6].try_into().unwrap_or_default() };
    let (to, from, packet) = (mac(6), mac(0), &syn[ETHERNET..]);
    // Four unused bytes, then what was refused.
    let body = |length: usize| [&[0; 4], &packet[..packet.len().min(length)]].concat();
    if tcp_at(syn) == Some(ETHERNET + 20) {
        let client = Ipv4Addr::from(<[u8; 4]>::try_from(&packet[12..16]).unwrap_or_default());
        let message = frame::icmp(own.v4.into(), client.into(), 3, 13, &body(28));
        let packet = frame::Ipv4::new(own.v4, client, frame::ICMP).build(&message);
        return frame::ethernet(to, from, frame::ETHERTYPE_IPV4, &packet);
    }
    let client = Ipv6Addr::from(<[u8; 16]>::try_from(&packet[8..24]).unwrap_or_default());
    let message = frame::icmp(own.v6.into(), client.into(), 1, 1, &body(1000));
    let packet = frame::Ipv6::new(own.v6, client, frame::ICMPV6).build(&message);
    frame::ethernet(to, from, frame::ETHERTYPE_IPV6, &packet)
}
