//! Many packets at the full rate of the machine, by `sendmmsg`, and their exact number.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::panic::resume_unwind;
use std::thread;

use anyhow::{Context, Result, ensure};

use super::raw::Interface;
use super::{Flow, source_for};
use crate::netns::NetNs;

/// Messages a system call.
const BATCH: u64 = 64;

/// Sends exactly `count` datagrams of `size` bytes from one socket.
pub fn datagrams(to: SocketAddr, count: u64, size: usize) -> Result<Flow> {
    let socket = UdpSocket::bind((source_for(to.ip())?, 0))?;
    let flow = Flow { protocol: "udp", source: socket.local_addr()?, destination: to };
    // Connected, so that the route is looked up once.
    socket.connect(to)?;
    let mut batch = Batch::new(&vec![b'w'; size]);
    batch.send(socket.as_raw_fd(), count, |_, _| {})?;
    Ok(flow)
}

/// Sends exactly `count` frames; `each` makes frame number n out of the one before in the same place.
pub fn frames(interface: &Interface, template: &[u8], count: u64, each: impl Fn(u64, &mut [u8])) -> Result<()> {
    Batch::new(template).send(interface.as_raw_fd(), count, each)
}

/// Splits a number of packets among all CPUs and sends their shares at once from inside the namespace, each thread
/// bound to its own CPU.
pub fn from_every_cpu(namespace: &NetNs, packets: u64, send: impl Fn(u64) -> Result<()> + Sync) -> Result<()> {
    let send = &send;
    let cpus = allowed_cpus()?;
    let (each, rest) = (packets / cpus.len() as u64, packets % cpus.len() as u64);
    thread::scope(|scope| {
        let bound = |(number, cpu)| {
            let share = each + u64::from((number as u64) < rest);
            scope.spawn(move || {
                namespace.run(|| {
                    bind_to(cpu).with_context(|| format!("cannot run on CPU {cpu}"))?;
                    send(share)
                })
            })
        };
        let threads: Vec<_> = cpus.into_iter().enumerate().map(bound).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// A number of buffers of one size, ready to be sent together.
struct Batch {
    buffers: Vec<Vec<u8>>,
}

impl Batch {
    fn new(template: &[u8]) -> Self {
        Self { buffers: vec![template.to_vec(); BATCH as usize] }
    }

    fn send(&mut self, socket: RawFd, count: u64, each: impl Fn(u64, &mut [u8])) -> Result<()> {
        let mut done = 0;
        while done < count {
            let size = BATCH.min(count - done) as usize;
            for (number, buffer) in (done..).zip(&mut self.buffers[..size]) {
                each(number, buffer);
            }
            send_all(socket, &mut self.buffers[..size]).with_context(|| format!("after {done} packets"))?;
            done += size as u64;
        }
        Ok(())
    }
}

/// Sends every buffer once, in as many calls as the kernel needs.
fn send_all(socket: RawFd, buffers: &mut [Vec<u8>]) -> Result<()> {
    let mut parts: Vec<libc::iovec> = buffers
        .iter_mut()
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() })
        .collect();
    // SAFETY: all-zero is an empty message: no name, no parts, no control data.
    let mut messages: Vec<libc::mmsghdr> = parts.iter().map(|_| unsafe { std::mem::zeroed() }).collect();
    for (message, part) in messages.iter_mut().zip(&mut parts) {
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
    }
    let mut rest = messages.as_mut_slice();
    while !rest.is_empty() {
        let length = libc::c_uint::try_from(rest.len())?;
        // SAFETY: `rest` holds `length` messages whose parts and buffers outlive the call.
        let sent = unsafe { libc::sendmmsg(socket, rest.as_mut_ptr(), length, 0) };
        match usize::try_from(sent) {
            Ok(sent) => rest = &mut rest[sent..],
            Err(_) if io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS) => thread::yield_now(),
            Err(_) => return Err(io::Error::last_os_error()).context("sendmmsg"),
        }
    }
    Ok(())
}

fn allowed_cpus() -> Result<Vec<usize>> {
    // SAFETY: all-zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes at most the size given into `set`.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) };
    ensure!(result == 0, io::Error::last_os_error());
    // SAFETY: every number asked for lies within the set.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

fn bind_to(cpu: usize) -> io::Result<()> {
    // SAFETY: all-zero is the empty set, and `cpu` came out of such a set.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        set
    };
    // SAFETY: the kernel reads the size given of `set`.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
