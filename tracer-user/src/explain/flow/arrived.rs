//! It was handed to a namespace here that should have answered: what is there to answer.
//!
//! Rule: a state that forbids an answer is `derived`; one that does not (somebody listens, and has room) leaves the silence
//! `inferred`.

use std::sync::Arc;

use super::words;
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::node::socket::words as sockets;
use crate::flow::{Point, Story};
use crate::host::Netns;
use crate::node::route::End;
use crate::node::silence::Silence;
use crate::node::socket::absent::Why;
use crate::node::socket::diag::TCP;
use crate::node::socket::expected::HalfOpen;
use crate::node::socket::{Absent, Expected, Held};

/// Where it arrived.
struct Arrived<'a> {
    story: &'a Story,
    /// The namespace that should have answered; `None` if it is not known which.
    netns: Option<&'a Arc<Netns>>,
    /// `reached veth1 of the host, which leads to namespace web`.
    reached: String,
    tuple: crate::flow::Tuple,
}

pub(super) fn in_pod(story: &Story, at: &Arc<Point>, silence: Option<&Silence>) -> Explanation {
    let behind = at.leads_to.as_ref().map_or_else(
        || ", which leads to another namespace".to_owned(),
        |netns| format!(", which leads to {}", words::namespace(netns)),
    );
    let reached = format!("were handed to {}{behind}", words::device(at));
    let tuple = words::tuple_at(story, at);
    explain(&Arrived { story, netns: at.leads_to.as_ref(), reached, tuple }, silence)
}

pub(super) fn in_netns(story: &Story, at: &Arc<Point>, silence: Option<&Silence>) -> Explanation {
    let reached = format!("came in by {}", words::device(at));
    let tuple = words::tuple_at(story, at);
    explain(&Arrived { story, netns: Some(&at.netns), reached, tuple }, silence)
}

fn explain(arrived: &Arrived<'_>, silence: Option<&Silence>) -> Explanation {
    let mut explanation = Explanation::new(Cause::NoAnswer, Confidence::Inferred, String::new());
    explanation.remedy = arrived.first_look();
    let why = match silence {
        None => None,
        Some(silence) if silence.is_local == Some(false) => Some(not_here(&mut explanation, arrived, silence)),
        Some(silence) => silence.expected.as_ref().and_then(|expected| of_socket(&mut explanation, arrived, expected)),
    };
    let (opens, goal) = (words::opens(arrived.story), words::goal(arrived.story));
    let reached = match arrived.story.attempts {
        0 | 1 => arrived.reached.replacen("were ", "was ", 1),
        _ => arrived.reached.clone(),
    };
    explanation.summary = match why {
        Some(why) => format!("{opens} to {goal} {reached}, and had no answer: {why}"),
        None => format!("{opens} to {goal} {reached}, and nothing came back"),
    };
    if explanation.confidence == Confidence::Inferred {
        words::doubt(&mut explanation, "what became of them behind this interface: no drop of them was seen");
    }
    explanation
}

impl Arrived<'_> {
    fn within(&self, command: &str) -> String {
        self.netns.map_or_else(|| command.to_owned(), |netns| words::within(netns, command))
    }

    fn first_look(&self) -> Vec<String> {
        let (protocol, port) = (self.tuple.protocol, self.tuple.server.port());
        let name = words::protocol(protocol);
        if self.netns.is_none() {
            return Vec::new();
        }
        let kind = if protocol == TCP { "tl" } else { "ua" };
        let client = self.tuple.client.ip();
        vec![
            self.within(&format!("ss -{kind}nmp '( sport = :{port} )'")),
            self.within(&format!("tcpdump -ni any '{name} port {port} and host {client}'")),
        ]
    }

    fn namespace(&self) -> String {
        self.netns.map_or_else(|| "the namespace".to_owned(), |netns| words::namespace(netns))
    }
}

/// The namespace does not have the address.
fn not_here(explanation: &mut Explanation, arrived: &Arrived<'_>, silence: &Silence) -> String {
    let (to, namespace) = (arrived.tuple.server.ip(), arrived.namespace());
    let own: Vec<String> = silence.addresses.iter().map(ToString::to_string).collect();
    let family = if to.is_ipv6() { "IPv6" } else { "IPv4" };
    explanation.evidence.push(if own.is_empty() {
        format!("{namespace} has no {family} address")
    } else {
        format!("{namespace} has the {family} addresses {}", own.join(", "))
    });
    let ip = if to.is_ipv6() { "ip -6" } else { "ip" };
    explanation.remedy.insert(0, arrived.within(&format!("{ip} address show")));
    let routing = silence.routing.as_deref();
    let off = routing.and_then(|routing| routing.forwarding.as_ref()).filter(|own| !own.is_on(to.is_ipv6()));
    if off.is_some() {
        explanation.confidence = Confidence::Derived;
        let who = if namespace == "the host" { "or a rule of the network plugin" } else { "the network plugin" };
        explanation.remedy.push(format!(
            "find who leads {to} here: the route on the other side, an endpoint of a Service that is gone, {who}"
        ));
        return format!("{namespace} does not have the address {to}, and does not forward");
    }
    match routing.and_then(|routing| routing.way.as_ref()).map(|way| &way.end) {
        Some(End::Route(route)) => {
            let next = route.device.as_deref().unwrap_or("another interface");
            explanation.evidence.push(format!("its route there is `{}` (table {})", route.text, route.table));
            format!("{namespace} does not have the address {to}, and is to forward them by {next}")
        }
        Some(End::Rule(rule)) => {
            format!("{namespace} does not have {to}, and the ip rule `{}` refuses it", rule.text)
        }
        Some(End::Nothing) => format!("{namespace} does not have the address {to}, and no route to it"),
        None => format!("{namespace} does not have the address {to}"),
    }
}

/// What the sockets of the namespace say.
fn of_socket(explanation: &mut Explanation, arrived: &Arrived<'_>, expected: &Expected) -> Option<String> {
    if let Some(absent) = &expected.absent {
        return nobody(explanation, arrived, absent);
    }
    let held = expected.taker.as_ref()?;
    facts(explanation, expected, held);
    let stopped = stopped(expected, held);
    if let Some((_, evidence, remedy)) = &stopped {
        explanation.evidence.push(evidence.clone());
        explanation.remedy.insert(0, remedy.clone());
    }
    let why = if held.socket.protocol == TCP {
        of_listener(explanation, arrived, expected, held, stopped.as_ref().map(|(says, ..)| says.as_str()))
    } else {
        of_reader(explanation, held, stopped.map(|(says, ..)| says))
    };
    if expected.alternatives > 0 && explanation.confidence == Confidence::Derived {
        explanation.confidence = Confidence::Inferred;
        words::doubt(explanation, "which of the sockets that share the port it was for: the fullest is shown");
    }
    Some(why)
}

fn facts(explanation: &mut Explanation, expected: &Expected, held: &Held) {
    explanation.evidence.extend(sockets::holder(held));
    if held.socket.protocol == TCP {
        let (waiting, backlog) = (held.socket.receive_queue, held.socket.send_queue);
        explanation.evidence.push(format!(
            "{} is open: {} to be accepted, its backlog is {backlog}",
            sockets::address(held),
            sockets::waiting(waiting)
        ));
    }
    let drops = held.socket.memory.map_or(0, |memory| memory.drops);
    match expected.drops_before.filter(|before| *before < drops) {
        Some(before) => explanation.evidence.push(format!("its count of drops rose from {before} to {drops}")),
        None if drops > 0 => explanation.evidence.push(format!("it has dropped {drops} so far")),
        None => {}
    }
    if let Some(HalfOpen { all, of_client }) = expected.half_open.filter(|open| open.all > 0) {
        explanation
            .evidence
            .push(format!("{all} half-open handshakes at its port, {of_client} of them of this client"));
    }
}

/// Why its program does nothing: in the summary, as evidence, and what lets it go on.
fn stopped(expected: &Expected, held: &Held) -> Option<(String, String, String)> {
    if let Some((evidence, remedy)) = sockets::stopped(held) {
        return Some((format!("{} is stopped", sockets::who(held)), evidence, remedy));
    }
    let owner = held.owner.as_ref().filter(|_| expected.is_frozen)?;
    let who = sockets::program(owner);
    let evidence = format!("the cgroup of {who} is frozen (docker pause, systemctl freeze, a checkpoint)");
    let remedy = format!("cat /proc/{}/cgroup shows which cgroup; thaw it (docker unpause, systemctl thaw)", owner.pid);
    Some((format!("{who} is frozen with its cgroup"), evidence, remedy))
}

fn of_listener(
    explanation: &mut Explanation,
    arrived: &Arrived<'_>,
    expected: &Expected,
    held: &Held,
    stopped: Option<&str>,
) -> String {
    let label = sockets::labelled(held);
    let (waiting, backlog) = (held.socket.receive_queue, held.socket.send_queue);
    // `sk_acceptq_is_full` compares with "greater": one more than the backlog fits.
    if waiting > backlog {
        explanation.confidence = Confidence::Derived;
        explanation.remedy.extend(expected.settings.somaxconn.map(|most| {
            format!("let the program listen with a larger backlog than {backlog} (net.core.somaxconn is {most}), or accept faster")
        }));
        let because = stopped.map(|stopped| format!(", because {stopped}")).unwrap_or_default();
        return format!(
            "the accept queue of {label} is full: {}, its backlog is {backlog}{because}",
            sockets::waiting(waiting)
        );
    }
    let half_open = expected.half_open.unwrap_or_default();
    if half_open.of_client > 0 {
        explanation.confidence = Confidence::Derived;
        let client = arrived.tuple.client.ip();
        let ip = if client.is_ipv6() { "ip -6" } else { "ip" };
        explanation.remedy.insert(0, arrived.within(&format!("{ip} route get {client}")));
        explanation.remedy.push(arrived.within("nft list ruleset"));
        return format!(
            "{label} holds {} of {client}, so a SYN-ACK was sent, and it did not come out by this interface",
            words::counted(u32::try_from(half_open.of_client).unwrap_or(u32::MAX), "half-open handshake")
        );
    }
    let is_full = half_open.all > 0 && u32::try_from(half_open.all).is_ok_and(|all| all >= backlog);
    if is_full && expected.settings.syncookies == Some(0) {
        explanation.confidence = Confidence::Derived;
        explanation.remedy.push(arrived.within("sysctl -w net.ipv4.tcp_syncookies=1"));
        return format!(
            "the SYN queue of {label} is full: {} handshakes are half-open, its backlog is {backlog}, and \
             net.ipv4.tcp_syncookies is 0",
            half_open.all
        );
    }
    explanation.remedy.push(arrived.within("nft list ruleset"));
    format!("{label} listens there and has room for more ({waiting} of {backlog} wait)")
}

fn of_reader(explanation: &mut Explanation, held: &Held, stopped: Option<String>) -> String {
    let label = sockets::labelled(held);
    let memory = held.socket.memory.unwrap_or_default();
    let is_full = memory.limit > 0 && memory.received >= memory.limit;
    let unread = held.socket.receive_queue;
    if unread > 0 || is_full {
        let limit = if memory.limit > 0 { format!(" (limit {})", memory.limit) } else { String::new() };
        explanation
            .evidence
            .push(format!("{unread} bytes wait to be read from it, which hold {} bytes{limit}", memory.received));
    }
    if let Some(stopped) = stopped {
        explanation.confidence = Confidence::Derived;
        return format!("{stopped}, and does not read {}", sockets::address(held));
    }
    let who = sockets::who(held);
    if is_full {
        explanation.confidence = Confidence::Derived;
        return format!("the receive buffer of {label} is full: {} of {} bytes", memory.received, memory.limit);
    }
    if unread > 0 {
        explanation.confidence = Confidence::Derived;
        explanation.remedy.push(format!("see what {who} waits for: its log, its load, `cat /proc/PID/stack`"));
        return format!("{who} has not read the {unread} bytes that wait at {}", sockets::address(held));
    }
    explanation.remedy.push(format!("see whether {who} got it, and why it sends no answer: its log"));
    format!("{label} is open and has nothing unread, so its program may have read them and sent nothing")
}

/// Nobody has the port.
fn nobody(explanation: &mut Explanation, arrived: &Arrived<'_>, absent: &Absent) -> Option<String> {
    if !absent.is_listed {
        return None;
    }
    let port = arrived.tuple.server.port();
    let (name, is_tcp) = (words::protocol(arrived.tuple.protocol), arrived.tuple.protocol == TCP);
    let namespace = arrived.namespace();
    let almost = absent.same_port.first().map(|(held, why)| {
        let but = match why {
            Why::Address => format!("takes {} only", held.socket.local.ip()),
            Why::Ipv6Only => "takes IPv6 only".to_owned(),
            Why::Ipv4Only => "takes IPv4 only".to_owned(),
            Why::Interface | Why::Vrf => "is bound to another interface or VRF".to_owned(),
            Why::Peer => "takes packets of its peer only".to_owned(),
            Why::NotThen => "would take it now".to_owned(),
        };
        format!(", and {} {but}", sockets::labelled(held))
    });
    let other = absent.other_protocol.first().map(|held| format!(", and {} is open", sockets::labelled(held)));
    let almost = almost.or(other).unwrap_or_default();
    if absent.ports > 0 {
        let shown: Vec<String> = absent.served.iter().map(sockets::labelled).collect();
        explanation.evidence.push(format!("what listens there: {}", sockets::list(&shown, absent.ports)));
    }
    let expected = if is_tcp { "RST" } else { "ICMP error \"port unreachable\"" };
    explanation.evidence.push(format!("for a port that nobody has the kernel sends a {expected}, and none was seen"));
    explanation
        .remedy
        .push(format!("start the program that is to serve {name} {port}, or send to a port that is served"));
    explanation.remedy.push(arrived.within("nft list ruleset"));
    if !is_tcp {
        // `icmp_global_allow` and `icmpv4_xrlim_allow` leave errors out without a drop.
        explanation.confidence = Confidence::Derived;
        words::doubt(explanation, "why no ICMP error came: the kernel limits them (net.ipv4.icmp_ratelimit)");
        return Some(format!("nobody in {namespace} has udp port {port} open{almost}"));
    }
    Some(format!("nobody in {namespace} listens on tcp port {port}{almost}, and not even a RST came back"))
}
