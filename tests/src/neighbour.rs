//! A next hop that does not answer, and is given up by the test.
//!
//! Rule: no drop by a timer where there is another way. A timer frees in the name of the task that it interrupts, and not
//! every kernel runs programs of BPF over every task: those of some virtual machines run none over the machine's own agent
//! (ftrace shows the `kfree_skb`; `run_cnt` and `recursion_misses` of all programs stay as they are), and an idle processor
//! often handles its timers when that agent wakes it.

use std::net::IpAddr;

use anyhow::Result;

use crate::netns::NetNs;
use crate::{eventually, sysctl};

/// Does `work`, which sends, and waits until the kernel asks for `next_hop`; then the kernel gives up at once, as it would
/// by itself after some questions (`neigh_invalidate`, called by `__neigh_update` of net/core/neighbour.c, 6.18). Had it got
/// an answer, it would not ask any more, and what was sent would not be dropped.
pub fn unanswered<T>(asks: &NetNs, device: &str, next_hop: IpAddr, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let family = if next_hop.is_ipv4() { "ipv4" } else { "ipv6" };
    let _patient = sysctl::set(asks, &format!("net/{family}/neigh/{device}/retrans_time_ms"), "60000")?;
    let done = work()?;
    let entry = || asks.exec(&format!("ip neigh show {next_hop} dev {device}"));
    eventually("the next hop is asked for", || Ok(entry()?.contains("INCOMPLETE")))?;
    // With the flag the entry stays for its reader: on a machine with many neighbours a worker of the kernel clears those that
    // failed away, maybe in the same moment (`neigh_periodic_work`).
    asks.exec(&format!("ip neigh change {next_hop} dev {device} nud failed extern_learn"))?;
    Ok(done)
}
