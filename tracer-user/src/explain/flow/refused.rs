//! Somebody refused it: a RST, or an ICMP error.
//!
//! Rule: who sent it is told by where it was seen first. An answer that came in by an uplink was seen; what made somebody
//! out there send it was not.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use super::words;
use crate::event::{Cause, Confidence, Explanation};
use crate::explain::node::socket::words as sockets;
use crate::flow::{Icmp, Point, Rejection, Role, Story};
use crate::host::Netns;
use crate::node::silence::Silence;

/// Part of what is said of an error that a firewall sends; [`super::rank`] looks for it.
pub(super) const PROHIBITED: &str = "administratively prohibited";

/// Who refused.
enum By<'a> {
    /// Somebody beyond this uplink.
    Outside(&'a Point),
    /// The namespace of a pod, seen at this device of the host.
    Pod(&'a Point),
    /// The namespace of this device itself.
    Own(&'a Point),
    Unknown,
}

fn by<'a>(story: &'a Story, rejection: &'a Rejection) -> By<'a> {
    let (point, came_in) = match rejection {
        Rejection::Reset { at } => {
            let came_in = words::sighting(story, at).is_none_or(|sighting| sighting.server_resets.ingress > 0);
            (&**at, came_in)
        }
        Rejection::Icmp { .. } => match words::icmp(story) {
            // The first that saw it come in; else the one that it left by.
            Some((first, icmp)) => match incoming(story) {
                Some(point) => (point, true),
                None => (first, icmp.is_ingress),
            },
            None => return By::Unknown,
        },
    };
    match (came_in, point.role) {
        (false, _) => By::Own(point),
        (true, Role::Pod) => By::Pod(point),
        (true, Role::Uplink | Role::Tunnel) => By::Outside(point),
    }
}

fn incoming(story: &Story) -> Option<&Point> {
    let came_in = |icmp: &Option<Icmp>| icmp.is_some_and(|icmp| icmp.is_ingress);
    story.sightings.iter().find(|(_, sighting)| came_in(&sighting.icmp)).map(|(point, _)| &**point)
}

/// The namespace on this node that refused, if it was one and its sockets may say why.
pub(super) fn refuser<'a>(story: &'a Story, rejection: &'a Rejection) -> Option<&'a Arc<Netns>> {
    let is_of_port = match rejection {
        Rejection::Reset { .. } => true,
        Rejection::Icmp { from, kind, code } => is_port_unreachable(*from, *kind, *code),
    };
    match by(story, rejection) {
        By::Pod(at) if is_of_port => at.leads_to.as_ref(),
        By::Own(at) if is_of_port => Some(&at.netns),
        _ => None,
    }
}

const fn is_port_unreachable(from: IpAddr, kind: u8, code: u8) -> bool {
    matches!((from.is_ipv6(), kind, code), (false, 3, 3) | (true, 1, 4))
}

pub(super) fn explain(story: &Story, rejection: &Rejection, silence: Option<&Silence>) -> Explanation {
    let by = by(story, rejection);
    match rejection {
        Rejection::Reset { at } => reset(story, at, &by, silence),
        Rejection::Icmp { from, kind, code } => icmp(story, *from, (*kind, *code), &by, silence),
    }
}

fn reset(story: &Story, at: &Point, by: &By<'_>, silence: Option<&Silence>) -> Explanation {
    let (goal, opens) = (words::goal(story), words::opens(story));
    let server = words::real_server(story);
    let (who, cause) = match by {
        By::Pod(at) => {
            let behind = at.leads_to.as_ref().map_or_else(|| "the pod".to_owned(), |netns| words::namespace(netns));
            (format!("{behind}, behind {}", words::device(at)), Cause::NoSocket)
        }
        By::Own(at) => (words::namespace(&at.netns), Cause::NoSocket),
        By::Outside(_) | By::Unknown => (format!("RST, which came in by {}", words::device(at)), Cause::Upstream),
    };
    let verb = if cause == Cause::Upstream { "were refused with" } else { "were refused with RST by" };
    let verb = if story.attempts <= 1 { verb.replacen("were", "was", 1) } else { verb.to_owned() };
    let mut explanation = Explanation::new(cause, Confidence::Inferred, format!("{opens} to {goal} {verb} {who}"));
    distance(&mut explanation, story, at);
    if cause == Cause::Upstream {
        let (ip, port) = (server.ip(), server.port());
        explanation.remedy = vec![
            format!("on {ip}: ss -tlnp '( sport = :{port} )' shows whether a program listens"),
            words::capture(at, &words::tuple_at(story, at), ip),
            words::within(&at.netns, &format!("traceroute -n -T -p {port} {ip}")),
        ];
        words::doubt(
            &mut explanation,
            "whether the server itself refused (nobody listens) or a firewall or load balancer on the way",
        );
    } else {
        local(&mut explanation, story, by, silence);
    }
    explanation
}

/// How far away its sender is, and whether that is where the answers came from.
fn distance(explanation: &mut Explanation, story: &Story, at: &Point) {
    let Some(sighting) = words::sighting(story, at) else { return };
    let Some(hops) = words::hops(sighting.reset_ttl) else { return };
    let routers = words::counted(u32::from(hops), "router");
    explanation
        .evidence
        .push(format!("the RST had TTL {}: it passed {routers}, if it began as usual", sighting.reset_ttl));
    let Some(other) = words::hops(sighting.answer_ttl).filter(|other| *other != hops) else { return };
    explanation.evidence.push(format!(
        "the SYN-ACK had TTL {} ({other} routers): the RST is of somebody else on the way",
        sighting.answer_ttl
    ));
}

/// A namespace of this node refused: its sockets say why, or a rule did.
fn local(explanation: &mut Explanation, story: &Story, by: &By<'_>, silence: Option<&Silence>) {
    let (netns, at) = match by {
        By::Pod(at) => (at.leads_to.as_ref(), at),
        By::Own(at) => (Some(&at.netns), at),
        By::Outside(_) | By::Unknown => return,
    };
    let port = words::tuple_at(story, at).server.port();
    let name = words::protocol(story.tuple.protocol);
    if let Some(netns) = netns {
        let kind = if words::is_tcp(story) { "tl" } else { "ua" };
        explanation.remedy.push(words::within(netns, &format!("ss -{kind}np '( sport = :{port} )'")));
    }
    let expected = silence.and_then(|silence| silence.expected.as_ref());
    let absent = expected.and_then(|expected| expected.absent.as_ref()).filter(|absent| absent.is_listed);
    if let Some(absent) = absent {
        explanation.confidence = Confidence::Derived;
        explanation.cause = Cause::NoSocket;
        let _ = match absent.same_port.first() {
            Some((held, _)) => write!(explanation.summary, ": {} does not take them", sockets::labelled(held)),
            None => write!(explanation.summary, ": nobody has {name} port {port} there"),
        };
        if absent.ports > 0 {
            let shown: Vec<String> = absent.served.iter().map(sockets::labelled).collect();
            explanation.evidence.push(format!("what listens there: {}", sockets::list(&shown, absent.ports)));
        }
        explanation
            .remedy
            .push(format!("start the program that is to serve {name} {port}, or send to a port that is served"));
        return;
    }
    let what = if let Some(held) = expected.and_then(|expected| expected.taker.as_ref()) {
        explanation.evidence.push(format!("{} is open now", sockets::labelled(held)));
        // Somebody has the port: so a rule, or the program was not there yet.
        explanation.cause = Cause::Unknown;
        "whether a rule refused it (REJECT), or the socket was opened after it"
    } else {
        "whether nobody listens, or a rule refused it (REJECT)"
    };
    if let Some(netns) = netns {
        explanation.remedy.push(words::within(netns, "nft list ruleset"));
    }
    words::doubt(explanation, what);
}

fn icmp(story: &Story, from: IpAddr, (kind, code): (u8, u8), by: &By<'_>, silence: Option<&Silence>) -> Explanation {
    let told = meaning(from, kind, code);
    let error = words::icmp(story).map(|(_, error)| error);
    let mtu = error.map_or(0, |error| error.mtu);
    let (opens, goal) = (words::opens(story), words::goal(story));
    let (is_here, place) = match by {
        By::Outside(at) => (false, format!(" (it came in by {})", words::device(at))),
        By::Pod(at) => {
            let behind = at.leads_to.as_ref().map_or_else(|| "a pod".to_owned(), |netns| words::namespace(netns));
            (true, format!(" of {behind}, behind {}", words::device(at)))
        }
        By::Own(at) => (true, format!(" of {}", words::namespace(&at.netns))),
        By::Unknown => (false, String::new()),
    };
    let says = match told.cause {
        Cause::Mtu if mtu > 0 => format!("{} (its next hop takes {mtu} bytes)", told.says),
        _ => told.says.to_owned(),
    };
    let were = if story.attempts <= 1 { "was" } else { "were" };
    let who = if told.is_firewall && !is_here { format!("a firewall at {from} refuses it") } else { told.who(from) };
    let summary = format!("{opens} to {goal} {were} answered with ICMP \"{says}\" by {from}{place}: {who}");
    let cause = if is_here || matches!(told.cause, Cause::Mtu | Cause::Ttl) { told.cause } else { Cause::Upstream };
    let mut explanation = Explanation::new(cause, Confidence::Derived, summary);
    let name = if from.is_ipv6() { "ICMPv6" } else { "ICMP" };
    let times = error.map_or(1, |error| error.count.max(1));
    explanation.evidence.push(format!("{name} type {kind} code {code} ({says}) came from {from}, {times} times"));
    if let Some(hops) = error.and_then(|error| words::hops(error.ttl)) {
        let routers = words::counted(u32::from(hops), "router");
        explanation.evidence.push(format!("it passed {routers} on its way here, if its TTL began as usual"));
    }
    remedies(&mut explanation, story, from, &told, by, mtu);
    if is_here && is_port_unreachable(from, kind, code) {
        explanation.confidence = Confidence::Inferred;
        local(&mut explanation, story, by, silence);
    } else if is_here {
        explanation.confidence = Confidence::Inferred;
        words::doubt(&mut explanation, "which route, neighbour or rule of this node it was: the drop was not seen");
    }
    explanation
}

fn remedies(explanation: &mut Explanation, story: &Story, from: IpAddr, told: &Meaning, by: &By<'_>, mtu: u32) {
    let server = words::real_server(story);
    let (ip, port) = (server.ip(), server.port());
    let tool = if ip.is_ipv6() { "ip -6" } else { "ip" };
    let probe = if words::is_tcp(story) { "-T" } else { "-U" };
    let (By::Outside(at) | By::Own(at) | By::Pod(at)) = by else { return };
    let within = |command: &str| words::within(&at.netns, command);
    match told.cause {
        Cause::Mtu => {
            explanation.remedy.push(within(&format!("tracepath -n {ip}")));
            explanation.remedy.push(within(&format!("{tool} route get {ip}")));
            if mtu > 0 {
                explanation.remedy.push(format!("set the MTU of the interface or route to {ip} to {mtu}"));
            }
        }
        _ if told.is_firewall && matches!(by, By::Outside(_)) => {
            let name = words::protocol(story.tuple.protocol);
            explanation.remedy.push(format!("allow {name} {port} to {ip} in the ruleset of {from}"));
            explanation.remedy.push(within(&format!("traceroute -n {probe} -p {port} {ip}")));
        }
        _ => {
            explanation.remedy.push(within(&format!("{tool} route get {ip}")));
            explanation.remedy.push(within(&format!("traceroute -n {probe} -p {port} {ip}")));
        }
    }
    if told.is_firewall && matches!(by, By::Own(_) | By::Pod(_)) {
        explanation.remedy.push(within("nft list ruleset"));
    }
}

/// What an error says.
struct Meaning {
    says: &'static str,
    /// Of one that this node sent.
    cause: Cause,
    is_firewall: bool,
    /// What its sender means by it.
    because: &'static str,
}

impl Meaning {
    fn who(&self, from: IpAddr) -> String {
        self.because.replace("FROM", &from.to_string())
    }
}

/// Types and codes of RFC 792, 1122, 1812 and 4443.
fn meaning(from: IpAddr, kind: u8, code: u8) -> Meaning {
    let of = |says, cause, is_firewall, because| Meaning { says, cause, is_firewall, because };
    let prohibited = || of(PROHIBITED, Cause::NetfilterRule, true, "a rule at FROM refuses it");
    let port = || {
        of("port unreachable", Cause::NoSocket, false, "nobody has the port open at FROM, or a rule there refuses it")
    };
    let host = || of("host unreachable", Cause::Neighbour, false, "FROM found no neighbour for it");
    let route = || of("network unreachable", Cause::NoRoute, false, "FROM has no route to it");
    match (from.is_ipv6(), kind, code) {
        (false, 3, 9 | 10 | 13) | (true, 1, 1) => prohibited(),
        (true, 1, 5) => {
            of("source address failed policy", Cause::NetfilterRule, true, "FROM refuses its source address")
        }
        (true, 1, 6) => of("reject route", Cause::RouteReject, false, "a route of FROM refuses it"),
        (false, 3, 3) | (true, 1, 4) => port(),
        (false, 3, 1 | 7) | (true, 1, 3) => host(),
        (false, 3, 0 | 6) | (true, 1, 0) => route(),
        (false, 3, 2) => of("protocol unreachable", Cause::NoSocket, false, "FROM does not take this protocol"),
        (false, 3, 4) => of("fragmentation needed", Cause::Mtu, false, "it is too large for the path beyond FROM"),
        (true, 2, _) => of("packet too big", Cause::Mtu, false, "it is too large for the path beyond FROM"),
        (false, 11, _) | (true, 3, _) => of(
            "time exceeded",
            Cause::Ttl,
            false,
            "its TTL or hop limit was used up at FROM: a loop of routes, perhaps",
        ),
        _ => of("unreachable", Cause::Unknown, false, "FROM refuses it"),
    }
}
