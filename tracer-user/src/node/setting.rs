//! Kernel settings that alone decide: nothing else has to be read to say why such a packet was dropped.
//!
//! Rule: one row a reason; a setting that would let the packet pass now is no cause.

use super::sysctl::{self, SetBy};
use super::{Packet, Scene};
use crate::host::HostError;
use crate::host::error::Errno;

/// What is read for a reason.
#[derive(Debug)]
struct Row {
    reason: &'static str,
    /// With `{family}` and `{interface}`; any of them refuses.
    names: &'static [&'static str],
    /// Refuses, and lets pass.
    values: (&'static str, &'static str),
}

/// From net/ipv4/ip_input.c (`ip_rcv_finish_core`), net/ipv6/ip6_input.c (`ip6_rcv_core`), net/ipv4/icmp.c (`icmp_rcv`)
/// and net/ipv4/arp.c (`arp_process`), 6.18.
const ROWS: &[Row] = &[
    Row { reason: "IPV6DISABLED", names: &["net/ipv6/conf/{interface}/disable_ipv6"], values: ("1", "0") },
    Row {
        reason: "UNICAST_IN_L2_MULTICAST",
        names: &[
            "net/{family}/conf/all/drop_unicast_in_l2_multicast",
            "net/{family}/conf/{interface}/drop_unicast_in_l2_multicast",
        ],
        values: ("1", "0"),
    },
    Row { reason: "INVALID_PROTO", names: &["net/ipv4/icmp_echo_ignore_broadcasts"], values: ("1", "0") },
    Row { reason: "ARP_PVLAN_DISABLE", names: &["net/ipv4/conf/{interface}/proxy_arp_pvlan"], values: ("0", "1") },
];

/// Whether a drop reason is decided by settings alone.
pub fn decides(reason: &str) -> bool {
    row(reason).is_some()
}

fn row(reason: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.reason == reason)
}

/// A setting that refuses the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// With slashes, as [`sysctl::read`] takes it.
    pub name: String,
    pub value: String,
    /// The value that lets the packet pass.
    pub passing: &'static str,
    /// The line that sets it at boot, of the host's namespace.
    pub set_by: Option<SetBy>,
}

/// The settings that refuse the packet; none if they let it pass by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub refusing: Vec<Setting>,
}

/// What is kept of earlier readings: reading is cheap.
#[derive(Debug, Default)]
pub(super) struct Memory {}

/// Reads the settings that decide.
///
/// # Errors
/// Why the namespace can't be entered.
pub(super) fn read(scene: &mut Scene<'_>, _memory: &mut Memory) -> Result<Settings, HostError> {
    let packet = &scene.question.packet;
    let Some(row) = packet.reason.as_deref().and_then(row) else { return Ok(Settings::default()) };
    let names = names(row, packet);
    if names.is_empty() {
        scene.unknown.push("which interface it was: it has no name any more".to_owned());
        return Ok(Settings::default());
    }
    let values = scene.inside(|| names.iter().map(|name| sysctl::read(name)).collect::<Vec<_>>())?;
    let is_host = scene.host.host().is_some_and(|host| host.inode == scene.question.netns.inode);
    let mut refusing = Vec::new();
    for (name, value) in names.into_iter().zip(values) {
        // A setting that this kernel does not have refuses nothing.
        let absent = |error: &Errno| error.0 == libc::ENOENT;
        if value.as_ref().is_err_and(absent) {
            continue;
        }
        if let Some(value) = scene.note(&sysctl::dotted(&name), value)
            && value == row.values.0
        {
            let set_by = is_host.then(|| sysctl::set_by(&name)).flatten();
            refusing.push(Setting { name, value, passing: row.values.1, set_by });
        }
    }
    Ok(Settings { refusing })
}

/// The settings' names for this packet; those of an interface without a name are left out.
fn names(row: &Row, packet: &Packet) -> Vec<String> {
    let family = if packet.is_ipv6() { "ipv6" } else { "ipv4" };
    // A name can hold anything but a slash and blanks (`dev_valid_name`, net/core/dev.c).
    let interface = packet.interface.name.as_deref().filter(|name| !name.contains('/') && *name != "..");
    let filled = row.names.iter().filter_map(|name| {
        let name = name.replace("{family}", family);
        if name.contains("{interface}") { Some(name.replace("{interface}", interface?)) } else { Some(name) }
    });
    filled.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Interface;
    use crate::explain::catalogue;

    #[test]
    fn rows_are_of_reasons_that_exist() {
        assert!(ROWS.iter().all(|row| catalogue::reason(row.reason).is_some()));
    }

    #[test]
    fn names_are_of_the_packets_family_and_interface() {
        let interface = Interface { index: 2, name: Some("eth0.1".into()) };
        let packet = Packet { interface, source: "fd00::1".parse().ok(), ..Packet::default() };
        let unicast = row("UNICAST_IN_L2_MULTICAST").unwrap();
        assert_eq!(names(unicast, &packet)[1], "net/ipv6/conf/eth0.1/drop_unicast_in_l2_multicast");
        for name in [None, Some("..".to_owned()), Some("a/b".to_owned())] {
            let hostile = Packet { interface: Interface { index: 2, name }, ..Packet::default() };
            assert_eq!(names(unicast, &hostile), ["net/ipv4/conf/all/drop_unicast_in_l2_multicast"]);
        }
    }
}
