//! The load: datagrams of 64 bytes that a rule behind a veth pair drops.
//!
//! Rule: the receiving side of a veth pair runs in the sender's own softirq, so what a tracer takes for a drop is taken from
//! the sending thread, and shows in its CPU time.

mod packets;

use std::net::SocketAddrV4;
use std::panic::resume_unwind;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};
use std::{hint, io, mem};

use anyhow::{Context, Result};
use tracer_tests::NetNs;

use packets::Packets;

/// Batches between two looks at the clock.
const BATCHES_A_LOOK: u64 = 16;

/// Where spoofed packets come from, if nothing else is asked for.
pub(crate) const FROM_PORT: u16 = 10_000;

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// 1: one socket. More: so many spoofed source addresses in turn, the worst order for any cache.
    pub(crate) flows: u32,
    /// A sending thread is bound to each of these.
    pub(crate) cpus: Vec<usize>,
    pub(crate) time: Duration,
    /// Source port of spoofed packets.
    pub(crate) from_port: u16,
    /// Packets a second, all threads together; `None` for as many as go.
    pub(crate) rate: Option<u64>,
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// CPU time of the sending threads for a packet, ns.
    pub(crate) cpu_ns: f64,
    /// Packets a second.
    pub(crate) rate: f64,
}

/// One thread's part.
struct Share {
    packets: u64,
    cpu: Duration,
    wall: Duration,
}

impl Load {
    /// Sends from inside a namespace.
    pub(crate) fn send(&self, from: &NetNs, to: SocketAddrV4) -> Result<Sent> {
        let start = Barrier::new(self.cpus.len());
        let shares: Vec<Share> = from.run(|| {
            thread::scope(|scope| {
                let spawn = |number| {
                    scope.spawn({
                        let start = &start;
                        move || self.share(number, to, start)
                    })
                };
                let threads: Vec<_> = (0..self.cpus.len()).map(spawn).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
            })
        })?;
        let packets = shares.iter().map(|share| share.packets).sum::<u64>().max(1);
        let cpu: Duration = shares.iter().map(|share| share.cpu).sum();
        let rate = shares.iter().map(|share| share.packets as f64 / share.wall.as_secs_f64()).sum();
        Ok(Sent { cpu_ns: cpu.as_nanos() as f64 / packets as f64, rate })
    }

    fn share(&self, number: usize, to: SocketAddrV4, start: &Barrier) -> Result<Share> {
        let cpus = self.cpus.len();
        let packets = bind_to(self.cpus[number]).context("cannot choose the CPU").and_then(|()| {
            let first = u64::from(self.flows) * number as u64 / cpus as u64;
            Packets::new((self.from_port, to), self.flows, first as u32)
        });
        // Also after a failure, or the others would wait forever.
        start.wait();
        let mut packets = packets?;
        let (begin, cpu) = (Instant::now(), thread_time());
        let mut sent = 0;
        for batch in 1_u64.. {
            sent += packets.send().context("sendmmsg")?;
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(sent as f64 * cpus as f64 / rate as f64);
                // Sleeping would leave the rate to the scheduler.
                while begin.elapsed() < due {
                    hint::spin_loop();
                }
            }
            if (self.rate.is_some() || batch % BATCHES_A_LOOK == 0) && begin.elapsed() >= self.time {
                break;
            }
        }
        Ok(Share { packets: sent, cpu: thread_time().saturating_sub(cpu), wall: begin.elapsed() })
    }

    /// A load that lasts as long but comes at a rate.
    pub(crate) fn paced(rate: u64, cpu: usize, time: Duration) -> Self {
        Self { flows: 1, cpus: vec![cpu], time, from_port: FROM_PORT, rate: Some(rate) }
    }
}

/// CPU time of the calling thread.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, writable timespec.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned() as u32)
}

pub(crate) fn bind_to(cpu: usize) -> io::Result<()> {
    // SAFETY: all-zero is the empty set, and `cpu` is below its size (see `allowed_cpus`).
    let set = unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        set
    };
    // SAFETY: the kernel reads the size given of `set`.
    match unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The CPUs that this process may use.
pub(crate) fn allowed_cpus() -> Result<Vec<usize>> {
    // SAFETY: all-zero is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes at most the size given into `set`.
    if unsafe { libc::sched_getaffinity(0, size_of_val(&set), &raw mut set) } != 0 {
        return Err(io::Error::last_os_error()).context("cannot tell the CPUs");
    }
    // SAFETY: every number asked for lies within the set.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}
