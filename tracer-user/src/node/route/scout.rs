//! Reads what there is to know about the way of one packet.

use std::net::IpAddr;
use std::sync::Arc;

use super::entry::{BLACKHOLE, DEAD, LINKDOWN, PROHIBIT, UNREACHABLE};
use super::forwarding::{Forwarding, Setting};
use super::kernel::{self, Address, Verdict};
use super::lookup::{self, Flow, Tables, Without};
use super::packet::{flow, link_source};
use super::rule::Action;
use super::text;
use super::{Elsewhere, End, Entry, Memory, Next, Passed, Routing, Rule, Told, ToldRule, Way, Why, is_output};
use crate::explain::quoted;
use crate::host::HostError;
use crate::host::error::{Errno, NetlinkError};
use crate::node::neighbour::table;
use crate::node::{Scene, sysctl};

/// `TCP_MINTTL` and the like end elsewhere: only these places are about the hop limit of a forwarded packet.
const FORWARDERS: [&str; 2] = ["ip_forward", "ip6_forward"];

/// What is read inside the namespace for one packet, beside rules and routes.
struct Inside {
    forwarding: Option<Result<Forwarding, Errno>>,
    addresses: Result<Vec<Address>, NetlinkError>,
}

struct Found {
    address: IpAddr,
    is_router: bool,
    device: u32,
    link: Option<Vec<u8>>,
}

pub(super) fn read(scene: &mut Scene<'_>, memory: &mut Memory, destination: IpAddr) -> Result<Routing, HostError> {
    let packet = &scene.question.packet;
    let is_ipv6 = destination.is_ipv6();
    let came_in_by = if is_output(&packet.symbol) { 0 } else { packet.came_in_by };
    let input = (came_in_by != 0).then(|| name(scene, came_in_by)).flatten();
    let flow = flow(scene, destination, came_in_by, input.clone());
    let inside = scene.inside(|| Inside {
        forwarding: input.as_deref().map(|input| Forwarding::read(input, is_ipv6)),
        addresses: kernel::addresses(is_ipv6),
    })?;
    let forwarding = inside.forwarding.and_then(|read| forwarding(scene, memory, read, is_ipv6));
    let addresses = scene.note("the addresses of the namespace", inside.addresses);
    let from = scene.question.packet.dropped.as_deref().and_then(link_source);
    let is_here = |wanted: IpAddr| addresses.as_ref().map(|list| list.iter().any(|own| own.prefix.address == wanted));
    let mut routing = Routing {
        is_local: is_here(destination),
        is_source_local: flow.source.and_then(is_here),
        subnet: addresses.as_ref().and_then(|list| subnet(list, came_in_by, destination)),
        input,
        forwarding,
        from,
        mark: flow.mark,
        ..Routing::default()
    };
    follow(scene, memory, &mut routing, &flow, came_in_by);
    Ok(routing)
}

/// Whether the interface forwards; in the host's own namespace, with the files that switch it off.
fn forwarding(
    scene: &mut Scene<'_>,
    memory: &mut Memory,
    read: Result<Forwarding, Errno>,
    is_ipv6: bool,
) -> Option<Forwarding> {
    let read = read.map_err(|errno| format!("its setting is unreadable: {errno}"));
    let mut forwarding = scene.note("whether the interface forwards", read)?;
    let is_host = scene.host.host().is_some_and(|host| host.inode == scene.question.netns.inode);
    if is_host && !forwarding.is_on(is_ipv6) {
        forwarding.find_files(|name| {
            let read = |_: &mut Scene<'_>| sysctl::set_by(name);
            scene.recent(&mut memory.files, "what sets it at boot", name.to_owned(), read).flatten()
        });
    }
    Some(forwarding)
}

/// Follows rules and routes, with a second look if the kernel says something else.
fn follow(scene: &mut Scene<'_>, memory: &mut Memory, routing: &mut Routing, flow: &Flow, came_in_by: u32) {
    let is_ipv6 = flow.destination.is_ipv6();
    let stays = routing.forwarding.as_ref().is_some_and(|forwarding| !forwarding.is_on(is_ipv6));
    // The kernel finds no way for a source that is not its own, whatever the tables say.
    let asks = came_in_by != 0 || routing.is_source_local != Some(false);
    let mut answered = None;
    let mut tables = None;
    for is_second in [false, true] {
        tables = read_tables(scene, memory, is_ipv6, is_second);
        let way = tables.as_ref().map(|tables| tables.follow(flow, Without::default()));
        let leads = !stays && way.as_ref().is_some_and(lookup::Way::leads);
        answered = if asks && (is_ipv6 || leads) { ask(scene, flow, came_in_by) } else { None };
        if way.as_ref().is_none_or(|way| answered.as_ref().is_none_or(|verdict| agree(way, verdict))) {
            break;
        }
    }
    if let Some(Verdict::Refused(errno)) = answered {
        routing.refused = Some(errno.0);
    }
    let Some(tables) = tables else { return };
    let way = tables.follow(flow, Without::default());
    if let lookup::End::Undecided(rule) = way.end {
        scene.unknown.push(format!("whether the ip rule `{}` holds for this packet", rule.line()));
    } else if !answered.as_ref().is_none_or(|verdict| agree(&way, verdict)) {
        scene.unknown.push(format!("the route: {}", differs(answered.as_ref())));
    } else {
        if way.leads() && FORWARDERS.contains(&scene.question.packet.symbol.as_str()) {
            let found = scene.inside(|| next(flow, came_in_by)).ok().flatten();
            routing.next = found.map(|next| describe(scene, came_in_by, next));
        }
        fill(scene, routing, &tables, flow, &way);
    }
}

/// What the kernel itself says. For a route of IPv4 that it refuses to tell it throws a packet away, which it made for the
/// question (`inet_rtm_getroute`) and which would be seen as a drop: so that is only asked for where there is a route.
fn ask(scene: &mut Scene<'_>, flow: &Flow, came_in_by: u32) -> Option<Verdict> {
    let answer = scene.inside(|| kernel::ask(flow, came_in_by, true));
    let answer = scene.note("the kernel's own route", answer)?;
    scene.note("the kernel's own route", answer)
}

fn next(flow: &Flow, came_in_by: u32) -> Option<Found> {
    let Ok(Verdict::Route(route)) = kernel::ask(flow, came_in_by, false) else { return None };
    let hop = route.hops.first().filter(|hop| hop.device != 0)?;
    let address = hop.via.unwrap_or(flow.destination);
    let entry = table::entry(hop.device, address).ok().flatten();
    let link = entry.map(|entry| entry.link_address).filter(|address| !address.is_empty());
    Some(Found { address, is_router: hop.via.is_some(), device: hop.device, link })
}

fn describe(scene: &Scene<'_>, came_in_by: u32, next: Found) -> Next {
    Next {
        address: next.address,
        is_router: next.is_router,
        device: name(scene, next.device).unwrap_or_else(|| format!("if{}", next.device)),
        is_back: next.device == came_in_by,
        link: next.link,
    }
}

/// Rules and tables, as they were read lately or now. A second look has a reading of its own, which is newer.
fn read_tables(scene: &mut Scene<'_>, memory: &mut Memory, is_ipv6: bool, is_second: bool) -> Option<Arc<Tables>> {
    let key = (scene.question.netns.inode, is_ipv6, is_second);
    let read = |scene: &mut Scene<'_>| scene.inside(|| kernel::tables(is_ipv6).map(Arc::new));
    let tables = scene.recent(&mut memory.tables, "rules and routes", key, read)?;
    let tables = scene.note("rules and routes", tables)?;
    scene.note("rules and routes", tables)
}

/// Whether the way ends as the kernel says it does.
fn agree(way: &lookup::Way<'_>, verdict: &Verdict) -> bool {
    let expected = match (&way.end, verdict) {
        (lookup::End::Undecided(_), _) => return true,
        (lookup::End::Route(route), Verdict::Route(found)) => {
            return route.destination == found.destination && route.kind == found.kind;
        }
        (_, Verdict::Route(_)) => return false,
        (lookup::End::Route(route), _) => refusal(route.kind, false),
        (lookup::End::Refused(Rule { action: Action::Refuse(kind), .. }), _) => refusal(*kind, true),
        (lookup::End::Refused(_) | lookup::End::Nothing, _) => libc::ENETUNREACH,
    };
    let Verdict::Refused(Errno(errno)) = verdict else { return false };
    // Anything else is about the question (a source that may not come in by there), not about the way.
    let is_answer = [libc::EINVAL, libc::EHOSTUNREACH, libc::EACCES, libc::ENETUNREACH].contains(errno);
    *errno == expected || (expected == 0 && *errno == libc::EINVAL) || !is_answer
}

/// `fib_props` of net/ipv4/fib_semantics.c, `ip6_rt_type_to_error` of net/ipv6/route.c, and the actions of rules
/// (`fib4_rule_action`, `fib6_rule_action`).
const fn refusal(kind: u8, is_rule: bool) -> i32 {
    match kind {
        BLACKHOLE => libc::EINVAL,
        UNREACHABLE if is_rule => libc::ENETUNREACH,
        UNREACHABLE => libc::EHOSTUNREACH,
        PROHIBIT => libc::EACCES,
        _ => 0,
    }
}

fn differs(verdict: Option<&Verdict>) -> String {
    match verdict {
        Some(Verdict::Refused(errno)) => {
            format!("the kernel answers {errno}, which the rules and routes that it lists do not explain")
        }
        _ => "the kernel finds another one than the rules and routes that it lists lead to".to_owned(),
    }
}

fn fill(scene: &mut Scene<'_>, routing: &mut Routing, tables: &Tables, flow: &Flow, way: &lookup::Way<'_>) {
    let names = |index| name(scene, index);
    let told = |route: &Entry| tell(route, &names);
    let passed = way.passed.iter().map(|(rule, number, why)| Passed {
        priority: rule.priority,
        table: text::table(*number),
        why: match why {
            lookup::Passed::Empty => Why::Empty,
            lookup::Passed::Throw(route) => Why::Throw(told(route)),
            lookup::Passed::Suppressed(route) => Why::Suppressed(told(route)),
            lookup::Passed::Dead(route) => Why::Dead(told(route)),
        },
    });
    let thrown = way.passed.iter().find_map(|(.., why)| match why {
        lookup::Passed::Throw(route) => Some(*route),
        _ => None,
    });
    let without = match way.end {
        lookup::End::Route(route) => Without { route: Some(route), ..Without::default() },
        lookup::End::Refused(rule) => Without { rule: Some(rule), ..Without::default() },
        _ => Without { route: thrown, ..Without::default() },
    };
    let dead = way.passed.iter().find_map(|(.., why)| match why {
        lookup::Passed::Dead(route) => route.hops.iter().find(|hop| hop.flags & LINKDOWN != 0),
        _ => None,
    });
    routing.way =
        end(&way.end, &names).map(|end| Way { end, rule: way.rule.map(Rule::line), passed: passed.collect() });
    routing.otherwise = end(&tables.follow(flow, without).end, &names);
    if way.end == lookup::End::Nothing {
        let routes = tables.elsewhere(flow, way).into_iter();
        routing.elsewhere =
            routes.map(|route| Elsewhere { route: told(route), rules: tables.leading(route.table) }).collect();
    }
    if let Some(device) = dead.and_then(|hop| names(hop.device)) {
        let is_ipv6 = flow.destination.is_ipv6();
        let read = scene.inside(|| Setting::linkdown(&device, is_ipv6));
        routing.linkdown = read.ok().flatten();
    }
}

fn end(end: &lookup::End<'_>, names: &dyn Fn(u32) -> Option<String>) -> Option<End> {
    Some(match end {
        lookup::End::Route(route) => End::Route(tell(route, names)),
        lookup::End::Refused(rule) => End::Rule(ToldRule {
            text: rule.line(),
            key: rule.key(|name| quoted(name).into_owned()),
            kind: match rule.action {
                Action::Refuse(kind) => kind,
                _ => 0,
            },
        }),
        lookup::End::Nothing => End::Nothing,
        lookup::End::Undecided(_) => return None,
    })
}

fn tell(route: &Entry, names: &dyn Fn(u32) -> Option<String>) -> Told {
    let device = route.hops.first().and_then(|hop| names(hop.device));
    Told {
        text: route.text(names),
        table: text::table(route.table),
        key: route.key(names, |name| quoted(name).into_owned()),
        kind: route.kind,
        protocol: route.protocol,
        device,
        is_linkdown: route.hops.iter().any(|hop| hop.flags & LINKDOWN != 0 && hop.flags & DEAD != 0),
    }
}

fn name(scene: &Scene<'_>, index: u32) -> Option<String> {
    let on = &scene.question.packet.interface;
    let by_event = on.name.clone().filter(|_| on.index == index);
    by_event.or_else(|| scene.interface_name(index).map(str::to_owned))
}

/// Bits of the network of the device's addresses that holds the destination; the smallest network.
fn subnet(addresses: &[Address], device: u32, destination: IpAddr) -> Option<u8> {
    let own = addresses.iter().filter(|own| own.device == device && !own.prefix.is_host());
    own.filter(|own| own.prefix.contains(destination)).map(|own| own.prefix.length).max()
}
