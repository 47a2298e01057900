//! arptables-legacy, which this machine may not have: its table is made by the socket options that it would use.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use tracer_netfilter::legacy;

use crate::namespace::Namespace;

/// `struct arpt_getinfo`: name, hooks, offsets of three hooks twice, number and size of entries.
const INFO: usize = 32 + 4 + 2 * 4 * 3 + 8;
/// An entry that asks nothing, with a standard target.
const ENTRY: usize = 192 + 40;
const COUNTERS: usize = 16;

#[test]
fn legacy_arp_rules_are_not_passed_over_in_silence() {
    let netns = Namespace::new();
    netns.inside(|| {
        let socket = socket();
        let info = get(&socket, 96, INFO, 0);
        assert_eq!(std::fs::read_to_string("/proc/thread-self/net/arp_tables_names").unwrap(), "filter\n");
        assert_eq!(legacy::read(), (vec![], vec![]), "the table is there, without a rule");
        add_drop(&socket, &info);
        let (tables, gaps) = legacy::read();
        assert_eq!(tables, []);
        let [gap] = gaps.as_slice() else { panic!("{gaps:?}") };
        assert!(gap.contains("arptables-legacy table filter") && gap.contains("1 rule "), "{gap}");
    });
}

fn socket() -> OwnedFd {
    // SAFETY: `socket` takes no pointer, and its result is nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)) };
    assert!(socket.as_raw_fd() >= 0);
    socket
}

fn get(socket: &OwnedFd, option: i32, length: usize, size: u32) -> Vec<u8> {
    let mut buffer = vec![0; length];
    buffer[..6].copy_from_slice(b"filter");
    buffer[32..36].copy_from_slice(&size.to_ne_bytes());
    let mut length = length as libc::socklen_t;
    // SAFETY: the buffer outlives the call and is as long as is said.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_IP, option, buffer.as_mut_ptr().cast(), &raw mut length)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    buffer
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Puts a rule that drops in front of the first chain (`ARPT_SO_SET_REPLACE`).
fn add_drop(socket: &OwnedFd, info: &[u8]) {
    let (count, size) = (word(info, INFO - 8), word(info, INFO - 4));
    let entries = get(socket, 97, 40 + size as usize, size).split_off(40);
    let mut rule = entries[..ENTRY].to_vec();
    rule[ENTRY - 8..ENTRY - 4].copy_from_slice(&(-1_i32).to_ne_bytes());
    let mut counters = vec![0_u8; count as usize * COUNTERS];
    let mut replace = info[..36].to_vec();
    for number in [count + 1, size + ENTRY as u32] {
        replace.extend(number.to_ne_bytes());
    }
    let first = (36..48).step_by(4).map(|at| word(info, at)).min().unwrap();
    // Only the first chain begins where it did; all else is moved by the new rule.
    let moved = |at: usize| if at < 48 && word(info, at) == first { first } else { word(info, at) + ENTRY as u32 };
    (36..60).step_by(4).for_each(|at| replace.extend(moved(at).to_ne_bytes()));
    replace.extend(count.to_ne_bytes());
    replace.extend((counters.as_mut_ptr() as u64).to_ne_bytes());
    replace.extend(rule);
    replace.extend(entries);
    // SAFETY: both buffers outlive the call; the kernel writes `count` counters.
    let result = unsafe {
        let length = replace.len() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_IP, 96, replace.as_ptr().cast(), length)
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
