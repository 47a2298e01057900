//! A socket that took no more: how full it is, and what makes room.

use super::words::{address, holder, labelled, program, show, stopped, who};
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::Observation;
use crate::explain::node::command;
use crate::node::socket::busy::{Busy, Settings};
use crate::node::socket::diag::{Memory, TCP};
use crate::node::socket::{Held, is_cookie};

/// What the kernel counts for a packet besides its bytes, at most for small ones: `sk_buff`, `skb_shared_info`, headroom and
/// rounding up (`SKB_TRUESIZE`, include/linux/skbuff.h).
const OVERHEAD: u32 = 1280;
/// A page of memory, as `tcp_mem` and `udp_mem` count (4 KiB but on few machines).
const PAGE: u64 = 4096;

pub(super) fn refine(explanation: &mut Explanation, busy: &Busy, drop: &Observation<'_>) {
    if drop.reason == Some("PROTO_MEM") {
        protocol_memory(explanation, busy, drop);
    }
    let Some(held) = &busy.socket else {
        let gone = "which socket it was for: none at its address and port is there now".to_owned();
        explanation.unknown.get_or_insert(gone);
        return;
    };
    explanation.evidence.extend(holder(held));
    let is_listener = held.socket.listens && held.socket.protocol == TCP;
    if is_listener && (drop.reason == Some("TCP_LISTEN_OVERFLOW") || is_cookie(drop.symbol())) {
        accept_queue(explanation, held, &busy.settings, drop);
    } else if drop.reason != Some("PROTO_MEM") {
        buffer(explanation, held, &busy.settings, drop);
    }
    if let Some((says, go_on)) = stopped(held) {
        explanation.summary = format!("{}: its program is stopped", explanation.summary);
        explanation.evidence.push(says);
        explanation.remedy.insert(0, go_on);
    }
    counted(explanation, busy, held);
    if drop.reason.is_none() {
        // What a filter or a checksum refuses ends at the same place and is counted by the socket too.
        let full = held.socket.memory.as_ref().is_some_and(is_full);
        let at_best = if full { Confidence::Derived } else { Confidence::Inferred };
        explanation.confidence = explanation.confidence.max(at_best);
    }
}

/// What the socket's own count of drops says, and how sure it is that it was this socket.
fn counted(explanation: &mut Explanation, busy: &Busy, held: &Held) {
    let drops = held.socket.memory.map_or(0, |memory| memory.drops);
    let rose = busy.drops_before.filter(|before| *before < drops);
    match rose {
        Some(before) => explanation.evidence.push(format!("its count of drops rose from {before} to {drops}")),
        None if drops > 0 => explanation.evidence.push(format!("it has dropped {drops} so far")),
        None => {}
    }
    if busy.is_named {
        explanation.evidence.push("the event names this socket by its cookie".to_owned());
    }
    if busy.alternatives > 0 {
        let others = busy.alternatives;
        explanation.evidence.push(format!("{others} more sockets share its address and port (SO_REUSEPORT)"));
    }
    if busy.is_named || (rose.is_some() && busy.alternatives == 0) {
        explanation.confidence = Confidence::Certain;
    } else if busy.alternatives > 0 && rose.is_none() {
        explanation.confidence = Confidence::Inferred;
        let which = "which of the sockets that share the port it was: the fullest is shown".to_owned();
        explanation.unknown.get_or_insert(which);
    }
}

fn accept_queue(explanation: &mut Explanation, held: &Held, settings: &Settings, drop: &Observation<'_>) {
    let (waiting, backlog) = (held.socket.receive_queue, held.socket.send_queue);
    let (label, who, port) = (labelled(held), who(held), held.socket.local.port());
    // The kernel compares with "greater" (`sk_acceptq_is_full`): one more than the backlog fits.
    let is_full = waiting > backlog;
    if is_full {
        explanation.summary = format!(
            "the accept queue of {label} is full: {}, the backlog is {backlog}",
            super::words::waiting(waiting)
        );
    } else {
        explanation.summary = format!("the accept queue of {label} was full: its backlog is {backlog}");
        let open = format!("how full it was: {} now", super::words::waiting(waiting));
        explanation.unknown.get_or_insert(open);
    }
    explanation.evidence.push(format!("{} to be accepted, its backlog is {backlog}", super::words::waiting(waiting)));
    explanation.evidence.extend(settings.somaxconn.map(|most| format!("net.core.somaxconn is {most}")));
    explanation.evidence.extend(settings.syn_backlog.zip(settings.syncookies).map(|(most, cookies)| {
        format!("net.ipv4.tcp_max_syn_backlog is {most}, net.ipv4.tcp_syncookies is {cookies}")
    }));
    let mut remedy = vec![show(drop, TCP, port, true)];
    remedy.extend(busy_program(held));
    // listen(2) cuts what the program asks for to the setting.
    let capped = settings.somaxconn.filter(|most| *most == u64::from(backlog));
    if let Some(most) = capped {
        let more = most.saturating_mul(4).max(4096);
        remedy.push(command(drop, &format!("sysctl -w net.core.somaxconn={more}")));
        remedy.push(format!("restart {who}: the setting counts when it calls listen()"));
        explanation.sysctl = Some(vec![sysctl("net.core.somaxconn", most)]);
    } else {
        let most = settings.somaxconn.map(|most| format!(" (net.core.somaxconn allows {most})")).unwrap_or_default();
        remedy.push(format!("raise the backlog that {who} passes to listen(), {backlog} now{most}"));
    }
    remedy.push(format!("let {who} accept faster: more threads, workers or replicas"));
    explanation.remedy = remedy;
}

/// Whether one more packet may not fit.
fn is_full(memory: &Memory) -> bool {
    let Memory { received, limit, backlog, .. } = *memory;
    let room = limit.saturating_sub(received.saturating_add(backlog));
    room < (limit / 10).max(OVERHEAD.min(limit / 2))
}

fn buffer(explanation: &mut Explanation, held: &Held, settings: &Settings, drop: &Observation<'_>) {
    let Some(memory) = held.socket.memory else {
        let open =
            "how full its buffer is: this kernel does not list sockets over netlink, and /proc/net has no limits";
        explanation.unknown.get_or_insert(open.to_owned());
        return;
    };
    let Memory { received, limit, backlog, .. } = memory;
    let label = labelled(held);
    let is_full = is_full(&memory);
    // Without a reason only a full buffer tells it from what a filter refused.
    let may_be_filtered = !is_full && drop.reason.is_none();
    explanation.summary = if is_full {
        format!("the receive buffer of {label} is full: {received} of {limit} bytes")
    } else if may_be_filtered {
        format!("{label} did not take it: its receive buffer, {limit} bytes, was full, or a BPF program refused it")
    } else {
        format!("the receive buffer of {label}, {limit} bytes, was full")
    };
    if may_be_filtered {
        let open = "whether its buffer was full or a program of the socket or its cgroup refused it: the buffer holds";
        explanation
            .unknown
            .get_or_insert(format!("{open} {received} bytes now, and this kernel gives no drop reasons"));
    } else if !is_full {
        explanation.unknown.get_or_insert(format!("how full it was: it holds {received} bytes now"));
    }
    explanation.evidence.push(format!(
        "{} holds {received} bytes of the {limit} that it may (sk_rmem_alloc, sk_rcvbuf)",
        address(held)
    ));
    if backlog > 0 {
        explanation.evidence.push(format!("{backlog} bytes wait in its backlog"));
    }
    let mut remedy = vec![show(drop, held.socket.protocol, held.socket.local.port(), false)];
    remedy.extend(busy_program(held));
    let (cap, sysctls) =
        if held.socket.protocol == TCP { tcp_limit(settings, drop) } else { datagram_limit(held, limit, settings) };
    remedy.extend(cap);
    explanation.evidence.extend(sysctls.iter().map(|sysctl| format!("{} is {}", sysctl.name, sysctl.value)));
    explanation.sysctl = (!sysctls.is_empty()).then_some(sysctls);
    explanation.remedy = remedy;
}

/// What bounds the buffer of a datagram socket. The settings are the whole machine's, so the commands enter no namespace.
fn datagram_limit(held: &Held, limit: u32, settings: &Settings) -> (Vec<String>, Vec<Sysctl>) {
    let who = who(held);
    let (default, most) = (settings.receive_default, settings.receive_max);
    let limit = u64::from(limit);
    if default == Some(limit) {
        let more = limit.saturating_mul(4);
        let remedy = vec![
            format!("sysctl -w net.core.rmem_default={more}"),
            format!(
                "restart {who}: the setting is the whole machine's and counts for sockets opened after it; or set SO_RCVBUF in {who}"
            ),
        ];
        return (remedy, vec![sysctl("net.core.rmem_default", limit)]);
    }
    // The kernel doubles what SO_RCVBUF asks for, and cuts it to the maximum before (`sock_setsockopt`).
    if let Some(most) = most.filter(|most| most.saturating_mul(2) == limit) {
        let more = most.saturating_mul(4);
        let remedy = vec![
            format!("sysctl -w net.core.rmem_max={more}"),
            format!("restart {who}: its SO_RCVBUF asks for all that net.core.rmem_max allows, or more"),
        ];
        return (remedy, vec![sysctl("net.core.rmem_max", most)]);
    }
    let allowed = most.map(|most| format!(" (net.core.rmem_max allows {most})")).unwrap_or_default();
    let asked = limit / 2;
    let remedy = vec![format!("raise the SO_RCVBUF that {who} sets, {asked} bytes now{allowed}")];
    (remedy, most.map(|most| sysctl("net.core.rmem_max", most)).into_iter().collect())
}

/// What bounds the buffer of a TCP connection that set none.
fn tcp_limit(settings: &Settings, drop: &Observation<'_>) -> (Vec<String>, Vec<Sysctl>) {
    let Some([least, default, most]) = settings.tcp_receive else { return (Vec::new(), Vec::new()) };
    let more = most.saturating_mul(2);
    let remedy = command(drop, &format!("sysctl -w net.ipv4.tcp_rmem='{least} {default} {more}'"));
    let value = format!("{least} {default} {most}");
    let sysctl = Sysctl { name: "net.ipv4.tcp_rmem".to_owned(), effective: value.clone(), value };
    (vec![remedy], vec![sysctl])
}

/// How to find out why a program does not read.
fn busy_program(held: &Held) -> Vec<String> {
    let Some(owner) = &held.owner else { return Vec::new() };
    let mut remedy = vec![format!("top -b -n 1 -H -p {}", owner.pid)];
    remedy.push(format!(
        "find out why {} does not keep up: a busy processor, a lock, a CPU limit of its cgroup",
        program(owner)
    ));
    remedy
}

/// All sockets of the protocol together hold too much.
fn protocol_memory(explanation: &mut Explanation, busy: &Busy, drop: &Observation<'_>) {
    let name = if drop.protocol == Some(TCP) { "tcp" } else { "udp" };
    let Some(memory) = busy.settings.memory else { return };
    let [low, pressure, most] = memory.limits;
    let used = memory.used;
    explanation.evidence.push(format!(
        "{name} sockets of this machine hold {used} pages; net.ipv4.{name}_mem is {low} {pressure} {most}"
    ));
    let value = format!("{low} {pressure} {most}");
    let setting = Sysctl { name: format!("net.ipv4.{name}_mem"), effective: value.clone(), value };
    explanation.sysctl = Some(vec![setting]);
    explanation.remedy = vec![command(drop, "cat /proc/net/sockstat"), command(drop, "ss -anmp")];
    if used >= pressure {
        explanation.summary = format!(
            "the {name} sockets of this machine hold {} of {} MiB that net.ipv4.{name}_mem allows",
            mebibytes(used),
            mebibytes(most)
        );
        let (low, pressure, most) = (low.saturating_mul(2), pressure.saturating_mul(2), most.saturating_mul(2));
        explanation.remedy.push(format!("sysctl -w net.ipv4.{name}_mem='{low} {pressure} {most}'"));
    } else {
        let open = "which limit it was: the machine's is not reached now, so it may be the memory limit of a cgroup";
        explanation.unknown.get_or_insert(open.to_owned());
        explanation.remedy.push("look at memory.max and memory.events of the program's cgroup".to_owned());
    }
}

const fn mebibytes(pages: u64) -> u64 {
    pages.saturating_mul(PAGE) >> 20
}

fn sysctl(name: &str, value: u64) -> Sysctl {
    Sysctl { name: name.to_owned(), value: value.to_string(), effective: value.to_string() }
}
