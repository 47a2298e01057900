//! Nobody took the packet: who almost did, what is served instead, and what leads there.

use std::net::SocketAddr;

use super::words::{address, holder, labelled, list, program, protocol, show, who};
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::Observation;
use crate::explain::fill::quoted;
use crate::explain::node::command;
use crate::node::socket::absent::{Absent, Why};
use crate::node::socket::diag::{TCP, UDP};
use crate::node::socket::service::{Seen, Translation};
use crate::node::socket::{Held, Place};

/// UDP ports that tunnel devices of the kernel open, as IANA and Linux have them.
const TUNNELS: &[(u16, &str)] = &[(4789, "vxlan"), (8472, "vxlan"), (6081, "geneve")];

pub(super) fn refine(explanation: &mut Explanation, absent: &Absent, drop: &Observation<'_>) {
    let (Some(address), Some(port), Some(number)) = (drop.destination, drop.destination_port, drop.protocol) else {
        return;
    };
    let to = SocketAddr::new(address, port);
    let goal = format!("{} {to}", protocol(number));
    let target = absent.translation.as_ref().map(|translation| format!(", the target of {}", asked(translation)));
    explanation.evidence.extend(facts(absent, number, to));
    if absent.is_listed {
        explanation.summary = summary(absent, &goal, target.as_deref().unwrap_or_default(), port, number);
        // The kernel's word and the list of sockets agree; a socket that is there now was not asked then.
        let agrees = absent.same_port.iter().all(|(_, why)| *why != Why::NotThen);
        explanation.confidence = match drop.reason {
            Some("NO_SOCKET") if agrees => Confidence::Certain,
            // The place stands for it, and the list agrees.
            None if agrees => explanation.confidence.min(Confidence::Derived),
            _ => explanation.confidence,
        };
    }
    if let Some(translation) = &absent.translation {
        if !absent.is_listed {
            explanation.summary += target.as_deref().unwrap_or_default();
        }
        if let Seen::Rule(_) = translation.seen {
            let open =
                "whether this client asked for it or for the port itself: a refused connection is forgotten at once";
            explanation.unknown.get_or_insert(open.to_owned());
        }
    }
    explanation.remedy = remedy(absent, number, to, drop);
    explanation.sysctl = setting(absent).map(|sysctl| vec![sysctl]).or(explanation.sysctl.take());
    if absent.same_port.iter().any(|(_, why)| *why == Why::NotThen) {
        let open = "why it was not taken, unless the socket was opened after it came".to_owned();
        explanation.unknown.get_or_insert(open);
    }
}

/// `target` is what `goal` stands behind: `, the target of 10.96.0.10:80`, or nothing.
fn summary(absent: &Absent, goal: &str, target: &str, port: u16, number: u8) -> String {
    let comma = if target.is_empty() { "" } else { "," };
    if let Some((held, _)) = absent.same_port.iter().find(|(_, why)| *why == Why::NotThen) {
        return format!("nothing listened on {goal}{target}{comma} when it came; {} does now", who(held));
    }
    if let Some((held, why)) = absent.same_port.first() {
        let who = who(held);
        let local = held.socket.local;
        return format!("nothing listens on {goal}{target}: ")
            + &match why {
                Why::Ipv6Only => format!("{who} has this port for IPv6 only ({local})"),
                Why::Ipv4Only => format!("{who} has this port for IPv4 only ({local})"),
                Why::Interface => {
                    format!("{who} has this port on {} only", held.interface.as_deref().unwrap_or("another interface"))
                }
                Why::Peer => {
                    let peer = held.socket.peer.map_or_else(|| "another peer".to_owned(), |peer| peer.to_string());
                    format!("{who} has this port for its peer {peer} only")
                }
                Why::Vrf => format!("{who} has this port, but sees no packets of {}", vrf(absent)),
                Why::Address | Why::NotThen => format!("{who} has this port on {} only", local.ip()),
            };
    }
    if let Some(held) = absent.other_protocol.first() {
        return format!(
            "nothing listens on {goal}{target}: {} has this port for {} only",
            who(held),
            protocol(held.socket.protocol)
        );
    }
    if let Some(kind) = tunnel(number, port) {
        return format!("nothing listens on {goal}{target}: there is no {kind} device for this port");
    }
    format!("nothing listens on {goal}{target}")
}

/// The kind of tunnel device that would open the port.
fn tunnel(number: u8, port: u16) -> Option<&'static str> {
    TUNNELS.iter().find(|(own, _)| number == UDP && *own == port).map(|(_, kind)| *kind)
}

fn facts(absent: &Absent, number: u8, to: SocketAddr) -> Vec<String> {
    let mut facts = Vec::new();
    for (held, why) in &absent.same_port {
        let label = labelled(held);
        facts.push(match why {
            Why::NotThen => format!("{label} would take it now"),
            Why::Address => format!("{label} takes packets to {} only", held.socket.local.ip()),
            Why::Ipv6Only => format!("{label} takes no IPv4 (IPV6_V6ONLY)"),
            Why::Ipv4Only => format!("{label} takes no IPv6"),
            Why::Interface => {
                format!("{label} takes packets of {} only", held.interface.as_deref().unwrap_or("another interface"))
            }
            Why::Vrf => format!("{label} is bound to no VRF, and {} is 0", vrf_setting(absent)),
            Why::Peer => match held.socket.peer {
                Some(peer) => format!("{label} takes packets of {peer} only"),
                None => format!("{label} takes packets of its peer only"),
            },
        });
    }
    facts.extend(absent.other_protocol.iter().map(|held| format!("{} is open", labelled(held))));
    let almost = absent.same_port.iter().map(|(held, _)| held).chain(&absent.other_protocol);
    facts.extend(
        almost
            .filter(|held| held.owner.as_ref().is_some_and(|owner| owner.place != Place::default()))
            .filter_map(holder),
    );
    if absent.is_listed && absent.same_port.is_empty() {
        facts.push(format!("no {} socket of this namespace has port {}", protocol(number), to.port()));
    }
    if absent.ports > 0 {
        let shown: Vec<String> = absent.served.iter().map(served).collect();
        facts.push(format!("{} ports that are served: {}", protocol(number), list(&shown, absent.ports)));
    } else if absent.is_listed && absent.same_port.is_empty() {
        facts.push(format!("no {} port is served in this namespace", protocol(number)));
    }
    facts.extend(absent.translation.as_ref().into_iter().flat_map(|translation| translated(translation, to)));
    facts
}

/// `8080 (app[7])`, with the address where it is not any.
fn served(held: &Held) -> String {
    let local = held.socket.local;
    let end = if local.ip().is_unspecified() { local.port().to_string() } else { local.to_string() };
    match &held.owner {
        Some(owner) => format!("{end} ({})", program(owner)),
        None => end,
    }
}

/// `10.96.0.1:443`, or `port 8080 of the machine`.
fn asked(translation: &Translation) -> String {
    match (&translation.asked, &translation.seen) {
        (Some(asked), _) => asked.to_string(),
        (None, Seen::Rule(lead)) => match lead.port {
            Some(port) => format!("port {port} of {}", translation.by.as_deref().unwrap_or("this machine")),
            None => "a translation rule".to_owned(),
        },
        (None, Seen::Connection) => "another address".to_owned(),
    }
}

fn translated(translation: &Translation, to: SocketAddr) -> Vec<String> {
    let by = translation.by.as_deref();
    match &translation.seen {
        Seen::Connection => {
            let whose = by.map_or_else(|| "this namespace".to_owned(), |by| format!("namespace {by}"));
            let client = translation.client.map(|client| format!("; the client is {client}")).unwrap_or_default();
            vec![format!(
                "connection tracking of {whose}: it was sent to {} and translated to {to}{client}",
                asked(translation)
            )]
        }
        Seen::Rule(lead) => {
            let whose = by.map_or_else(|| "this namespace".to_owned(), |by| format!("namespace {by}"));
            let comment = lead.comment.as_ref().map(|comment| format!(" (\"{comment}\")")).unwrap_or_default();
            vec![format!("a rule of {whose} leads from {} to {to}{comment}: {}", asked(translation), lead.text)]
        }
    }
}

fn remedy(absent: &Absent, number: u8, to: SocketAddr, drop: &Observation<'_>) -> Vec<String> {
    let port = to.port();
    let mut remedy = vec![show(drop, number, port, number == TCP)];
    if let Some((held, why)) = absent.same_port.first() {
        remedy.extend(almost(held, *why, to, absent, drop));
    } else if let Some(held) = absent.other_protocol.first() {
        let other = protocol(held.socket.protocol);
        remedy.push(format!(
            "let the client use {other}, or let {} serve {} {port} as well",
            who(held),
            protocol(number)
        ));
    } else if let Some(kind) = tunnel(number, port) {
        remedy.push(command(drop, &format!("ip -d link show type {kind}")));
        remedy.push(format!(
            "let the network plugin make its {kind} device for port {port} again (restart its agent on this node)"
        ));
    } else {
        remedy.push(format!(
            "start the program that is to serve {} {port}, or send to a port that is served",
            protocol(number)
        ));
    }
    if let Some(translation) = &absent.translation {
        remedy.extend(service(absent, translation, to));
    }
    remedy
}

/// What to do about a socket that has the right port.
fn almost(held: &Held, why: Why, to: SocketAddr, absent: &Absent, drop: &Observation<'_>) -> Vec<String> {
    let (who, port, any) = (who(held), to.port(), if to.is_ipv4() { "0.0.0.0" } else { "[::]" });
    match why {
        Why::NotThen => vec![format!(
            "if it comes again: send only when {who} is ready (readinessProbe of the pod, After= of the unit)"
        )],
        Why::Address => vec![format!(
            "let {who} listen on {} or on {any} (all addresses) instead of {}",
            to.ip(),
            held.socket.local.ip()
        )],
        Why::Ipv4Only => vec![format!("let {who} listen on [::]:{port} as well, or let the client use IPv4")],
        Why::Ipv6Only => {
            let mut remedy = Vec::new();
            if absent.bind_ipv6_only.as_deref() == Some("1") {
                remedy.push(command(drop, "sysctl -w net.ipv6.bindv6only=0"));
                remedy.push(format!("restart {who}: the setting counts for sockets that are opened after it"));
            }
            remedy.push(format!("let {who} listen on 0.0.0.0:{port} as well, or without IPV6_V6ONLY"));
            remedy
        }
        Why::Interface => vec![format!(
            "let {who} listen without SO_BINDTODEVICE, or send by {}",
            held.interface.as_deref().unwrap_or("its interface")
        )],
        Why::Vrf => {
            let mut remedy = vec![format!("bind {who} to {}: ip vrf exec, or SO_BINDTODEVICE", vrf(absent))];
            remedy.push(command(drop, &format!("sysctl -w {}=1", vrf_setting(absent))));
            remedy
        }
        Why::Peer => vec![format!("{} is connected to another peer: open a second socket for this one", address(held))],
    }
}

/// What to do about a Service or rule that leads to a port that nobody serves.
fn service(absent: &Absent, translation: &Translation, to: SocketAddr) -> Vec<String> {
    let mut remedy = Vec::new();
    if let Seen::Rule(lead) = &translation.seen {
        let entry = translation.entry.as_ref().map(|entry| format!("{entry} ")).unwrap_or_default();
        remedy.push(format!("{entry}{}", lead.show));
        let name = lead.comment.as_deref().and_then(|comment| comment.split_whitespace().next());
        if let Some((namespace, rest)) = name.and_then(|name| name.split_once('/')) {
            let name = rest.split_once(':').map_or(rest, |(name, _)| name);
            remedy.push(format!("kubectl -n {} get service {} -o yaml", quoted(namespace), quoted(name)));
        }
    }
    let ports: Vec<String> = absent.served.iter().filter(|held| held.socket.takes(to.ip())).map(served).collect();
    let instead = if ports.is_empty() { String::new() } else { format!(", such as {}", ports.join(", ")) };
    remedy.push(format!(
        "{} leads to port {}: set the Service's targetPort (or the rule's target) to a port that is served{instead}",
        asked(translation),
        to.port()
    ));
    remedy
}

/// `VRF red`.
fn vrf(absent: &Absent) -> String {
    absent.vrf.as_ref().map_or_else(|| "its VRF".to_owned(), |vrf| format!("VRF {}", vrf.name))
}

fn vrf_setting(absent: &Absent) -> &'static str {
    absent.vrf.as_ref().map_or("l3mdev_accept", |vrf| vrf.setting)
}

/// The setting that keeps a socket from taking it.
fn setting(absent: &Absent) -> Option<Sysctl> {
    let (name, value) = match absent.same_port.first()?.1 {
        Why::Vrf => (vrf_setting(absent), "0"),
        Why::Ipv6Only if absent.bind_ipv6_only.as_deref() == Some("1") => ("net.ipv6.bindv6only", "1"),
        _ => return None,
    };
    Some(Sysctl { name: name.to_owned(), value: value.to_owned(), effective: value.to_owned() })
}

/// Nothing takes packets of an IP protocol.
pub(super) fn no_handler(explanation: &mut Explanation, number: u8, is_known: Option<bool>, drop: &Observation<'_>) {
    /// Protocols that a tunnel, IPsec or a module would take, by IANA's numbers.
    const HANDLERS: &[(u8, &str, &str)] = &[
        (4, "IPIP", "make a device for it: ip link add type ipip"),
        (41, "IPv6 in IPv4", "make a device for it: ip link add type sit"),
        (47, "GRE", "make a device for it: ip link add type gre"),
        (50, "ESP (IPsec)", "set up IPsec on this machine"),
        (51, "AH (IPsec)", "set up IPsec on this machine"),
        (89, "OSPF", "start the routing daemon (ospfd, bird)"),
        (112, "VRRP", "start keepalived, or stop its packets from coming here"),
        (115, "L2TP", "set up the L2TP tunnel on this machine"),
        (132, "SCTP", "modprobe sctp"),
        (136, "UDP-Lite", "use UDP: Linux 7.1 and later have no UDP-Lite"),
    ];
    let known = HANDLERS.iter().find(|(own, ..)| *own == number);
    let name = known.map_or_else(|| format!("protocol {number}"), |(_, name, _)| format!("protocol {number}, {name}"));
    explanation.summary = format!("nothing on this machine takes packets of IP {name}");
    let sockets = is_known.map(|is_known| {
        if is_known { "has such sockets, but no handler" } else { "has no such sockets: its module is not loaded" }
    });
    explanation.evidence.extend(sockets.map(|sockets| format!("the kernel {sockets} (/proc/net/protocols)")));
    let mut remedy: Vec<String> = known.map(|(_, _, what)| (*what).to_owned()).into_iter().collect();
    remedy.insert(0, command(drop, "nstat -az IpInUnknownProtos Ip6InUnknownProtos"));
    remedy.push("stop the sender, if nobody here is to get it".to_owned());
    explanation.remedy = remedy;
}
