//! A processor that is not idle when a timer of the kernel is due there.
//!
//! Rule: for drops that only a timer makes; the others are made by the test ([`crate::neighbour`] says why). The timers of a
//! busy processor interrupt who is busy: this program.

use std::hint::spin_loop;
use std::io;
use std::mem::{size_of, zeroed};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// A test that fails does not keep it busy for longer.
const LONGEST: Duration = Duration::from_secs(5);

/// The processor is busy until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Busy(Arc<AtomicBool>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does `work` on one processor, with the threads that it starts, and keeps that one busy: the timers that were armed
/// stay there.
pub fn busy_after<T>(work: impl FnOnce() -> Result<T>) -> Result<(T, Busy)> {
    let before = affinity()?;
    let one = this_one()?;
    pin(&one)?;
    let over = Arc::new(AtomicBool::new(false));
    let busy = Busy(Arc::clone(&over));
    // It stays on the processor of the thread that starts it.
    thread::spawn(move || {
        let begun = Instant::now();
        while !over.load(Ordering::Relaxed) && begun.elapsed() < LONGEST {
            spin_loop();
        }
    });
    let done = work();
    pin(&before)?;
    Ok((done?, busy))
}

fn this_one() -> Result<libc::cpu_set_t> {
    // SAFETY: the call takes nothing.
    let number = usize::try_from(unsafe { libc::sched_getcpu() }).context("the number of the processor")?;
    // SAFETY: the set is plain bits, none of them set; `CPU_SET` sets one inside it or none.
    unsafe {
        let mut one = zeroed();
        libc::CPU_SET(number, &mut one);
        Ok(one)
    }
}

fn affinity() -> Result<libc::cpu_set_t> {
    // SAFETY: the set is plain bits.
    let mut set = unsafe { zeroed() };
    // SAFETY: the call writes at most as many bytes as it is told, to a set that is as large.
    let result = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    ensure!(result == 0, "cannot read the thread's processors: {}", io::Error::last_os_error());
    Ok(set)
}

fn pin(set: &libc::cpu_set_t) -> Result<()> {
    // SAFETY: the call reads as many bytes as the set has.
    let result = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) };
    ensure!(result == 0, "cannot choose the thread's processors: {}", io::Error::last_os_error());
    Ok(())
}
