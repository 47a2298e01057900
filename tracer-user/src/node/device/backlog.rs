//! The queues of received packets that wait for a CPU.

use std::fs;

use super::Link;
use crate::host::error::Errno;
use crate::host::{HostError, NetnsName};
use crate::node::{Scene, sysctl};

/// What decides about a queue of received packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// `net.core.netdev_max_backlog`: packets that one CPU's queue takes. It is the same for all namespaces.
    pub limit: Option<u32>,
    /// The CPU whose queue it was, as far as the event tells: where the packet was handed over.
    pub cpu: Option<u32>,
    pub cpus: Vec<Cpu>,
    /// `rps_cpus` of the device's first queue, if it could be read.
    pub steering: Option<String>,
}

/// One line of `/proc/net/softnet_stat`: since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    pub number: u32,
    pub processed: u32,
    pub dropped: u32,
    /// Times that work was left over when the time was up.
    pub squeezed: u32,
    /// Packets that the flow limit dropped.
    pub flow_limited: u32,
    /// Packets that wait now; since 5.10.
    pub waiting: Option<u32>,
}

pub(super) fn read(scene: &mut Scene<'_>, cpu: Option<u32>, link: Option<&Link>) -> Result<Backlog, HostError> {
    // The limit is shown in the initial namespace only.
    let host = scene.host.host().and_then(|host| scene.host.netns(host.inode));
    let limit = match host {
        Some(netns) => scene.inside_of(netns, || sysctl::read("net/core/netdev_max_backlog"))?,
        None => sysctl::read("net/core/netdev_max_backlog"),
    };
    let limit = scene.note("net.core.netdev_max_backlog cannot be read", limit);
    let table = fs::read_to_string("/proc/net/softnet_stat").map_err(|error| Errno::of(&error));
    let cpus = scene.note("/proc/net/softnet_stat cannot be read", table).map(|text| parse(&text)).unwrap_or_default();
    let steering = link.filter(|_| scene.question.netns.name == NetnsName::Host).and_then(|link| steering(&link.name));
    Ok(Backlog { limit: limit.and_then(|limit| limit.parse().ok()), cpu, cpus, steering })
}

fn steering(device: &str) -> Option<String> {
    // The name of a device has no slash (`dev_valid_name`, net/core/dev.c), but this path must not depend on it.
    let is_plain = !device.contains('/') && device != "..";
    let text = is_plain.then(|| fs::read_to_string(format!("/sys/class/net/{device}/queues/rx-0/rps_cpus")).ok())??;
    Some(text.trim().to_owned())
}

/// Hexadecimal columns: processed, dropped, squeezed, five zeros, collisions, steered, flow-limited and, since 5.10,
/// waiting and the CPU's number (`softnet_seq_show`, net/core/net-procfs.c).
fn parse(text: &str) -> Vec<Cpu> {
    let line = |(at, line): (usize, &str)| {
        let columns = line.split_ascii_whitespace().map(|word| u32::from_str_radix(word, 16).ok());
        let columns = columns.collect::<Option<Vec<_>>>()?;
        let column = |at: usize| columns.get(at).copied();
        Some(Cpu {
            number: column(12).unwrap_or_else(|| u32::try_from(at).unwrap_or(u32::MAX)),
            processed: column(0)?,
            dropped: column(1)?,
            squeezed: column(2)?,
            flow_limited: column(10).unwrap_or_default(),
            waiting: column(11),
        })
    };
    text.lines().enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_new_and_old_kernels() {
        let new = "0000001a 00000002 00000001 0 0 0 0 0 0 00000007 00000003 00000005 00000000 00000000 00000000\n\
                   0000001b 00000000 00000000 0 0 0 0 0 0 00000000 00000000 00000000 00000003 00000000 00000000\n";
        let cpus = parse(new);
        let first = Cpu { number: 0, processed: 26, dropped: 2, squeezed: 1, flow_limited: 3, waiting: Some(5) };
        assert_eq!((cpus[0], cpus[1].number, cpus.len()), (first, 3, 2));
        let old = "0000001a 00000002 00000001 0 0 0 0 0 0 00000007 00000003\n";
        assert_eq!(parse(old), [Cpu { waiting: None, ..first }]);
        assert_eq!(parse("nonsense\n0000001a\n"), []);
    }

    #[test]
    fn this_machine_has_cpus() {
        assert!(!parse(&fs::read_to_string("/proc/net/softnet_stat").unwrap()).is_empty());
    }
}
