//! What can be wrong with a command line.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum SettingsError {
    #[error("no network namespace {0}: give a name under /run/netns, a path, an inode number, `host` or `pid:PID`")]
    Netns(String),
    #[error("no network namespace has the inode {0}; for that of process {0} write pid:{0}")]
    IsProcess(u32),
    #[error("--iface {0}: an interface name has 1 to 15 bytes")]
    Interface(String),
    #[error("--proto {0}: give tcp, udp, icmp, icmpv6, sctp, udplite, dccp, gre, esp or a number from 0 to 255")]
    Protocol(String),
    #[error("--port {0}: give a number from 0 to 65535")]
    Port(String),
    #[error("--host {0}: give an IPv4 or IPv6 address, or a prefix such as 10.0.0.0/8")]
    Host(String),
    #[error("--reason {0}: this kernel has no such drop reason{1}")]
    Reason(String, String),
    #[error("{what}: {count} values are more than the {most} that a filter can hold; use fewer")]
    TooMany { what: &'static str, count: usize, most: u32 },
}

/// A value as it may stand in a message: a command line can be megabytes long or hold control characters.
pub(crate) fn shortened(value: &str) -> String {
    let mut short: String = value.chars().take(64).flat_map(char::escape_debug).collect();
    if value.chars().nth(64).is_some() {
        short.push('…');
    }
    short
}
