//! Sockets, their programs and their numbers in words.

use crate::explain::Observation;
use crate::explain::node::command;
use crate::node::socket::diag::{SCTP, TCP, UDP, UDPLITE};
use crate::node::socket::{Held, Owner};

pub(in crate::explain) const fn protocol(number: u8) -> &'static str {
    match number {
        TCP => "tcp",
        UDP => "udp",
        SCTP => "sctp",
        UDPLITE => "udplite",
        _ => "protocol",
    }
}

/// `1 connection waits`, in an accept queue.
pub(in crate::explain) fn waiting(connections: u32) -> String {
    let wait = if connections == 1 { "connection waits" } else { "connections wait" };
    format!("{connections} {wait}")
}

/// `tcp 127.0.0.1:80`.
pub(in crate::explain) fn address(held: &Held) -> String {
    format!("{} {}", protocol(held.socket.protocol), held.socket.local)
}

/// `nginx[12]`; a program that is not known has no name.
pub(in crate::explain) fn program(owner: &Owner) -> String {
    format!("{}[{}]", owner.comm, owner.pid)
}

/// `udp 0.0.0.0:53 (dnsmasq[12])`.
pub(in crate::explain) fn labelled(held: &Held) -> String {
    match &held.owner {
        Some(owner) => format!("{} ({})", address(held), program(owner)),
        None => address(held),
    }
}

/// Its program, or the socket itself where that is not known.
pub(in crate::explain) fn who(held: &Held) -> String {
    held.owner.as_ref().map_or_else(|| format!("the socket {}", address(held)), program)
}

/// `udp 0.0.0.0:53 is held by dnsmasq[12], container 4f0c…, pod 1c2d-…`.
pub(in crate::explain) fn holder(held: &Held) -> Option<String> {
    let owner = held.owner.as_ref()?;
    let place = &owner.place;
    let parts = [("container", &place.container), ("pod", &place.pod), ("unit", &place.unit)];
    let place: String = parts.iter().filter_map(|(what, name)| Some(format!(", {what} {}", name.as_ref()?))).collect();
    let others = match owner.others {
        0 => String::new(),
        1 => " and one more process".to_owned(),
        others => format!(" and {others} more processes"),
    };
    Some(format!("{} is held by {}{place}{others}", address(held), program(owner)))
}

/// What a stopped program needs, and that it is stopped: this alone explains why it takes nothing.
pub(in crate::explain) fn stopped(held: &Held) -> Option<(String, String)> {
    let owner = held.owner.as_ref().filter(|owner| owner.is_stopped)?;
    let says = format!("{} is stopped (by SIGSTOP, job control or a debugger) and reads nothing", program(owner));
    Some((says, format!("kill -CONT {}", owner.pid)))
}

/// The command that shows sockets of a protocol at a port.
pub(in crate::explain) fn show(drop: &Observation<'_>, number: u8, port: u16, only_listening: bool) -> String {
    let kind = match number {
        TCP => "t",
        UDP => "u",
        SCTP => "S",
        _ => "",
    };
    let which = if only_listening { "l" } else { "a" };
    command(drop, &format!("ss -{kind}{which}nmp '( sport = :{port} )'"))
}

/// At most so many items, and how many more there are.
pub(in crate::explain) fn list(items: &[String], total: usize) -> String {
    let left = total.saturating_sub(items.len());
    let text = items.join(", ");
    if left == 0 { text } else { format!("{text} and {left} more") }
}
