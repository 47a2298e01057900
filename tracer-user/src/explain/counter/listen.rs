//! Connection attempts that a listener refused: its accept queue or its SYN queue is full.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::{Beside, remedies, rose};
use crate::counter::table::{OVERFLOWS, PROTOCOLS};
use crate::counter::{Listener, Listening, Protocol, Rise};
use crate::event::{Confidence, Explanation, Sysctl};
use crate::explain::node::socket::words;

/// What a listener's backlog should at least be, and the kernel's own limit since 5.4.
const AMPLE: u32 = 4096;

pub(super) fn explanation(
    rise: &Rise,
    protocol: &'static Protocol,
    listening: &Listening,
    beside: &Beside<'_>,
) -> Explanation {
    let is_queue = PROTOCOLS.get(OVERFLOWS) == Some(protocol);
    let first = listening.suspects.first();
    let mut explanation = Explanation::new(protocol.cause, Confidence::Certain, protocol.says);
    if is_queue {
        explanation.evidence.push(rose(rise, beside));
        accept_queue(&mut explanation, listening, beside);
    } else {
        explanation.evidence.push(format!(
            "TcpExtListenDrops rose by {} more than TcpExtListenOverflows, the refusals by full accept queues",
            rise.delta
        ));
        half_open(&mut explanation, listening, beside);
    }
    explanation.evidence.extend(listening.suspects.iter().flat_map(facts));
    explanation.evidence.push("a refused SYN is freed as consumed: no drop event shows it".to_owned());
    if is_queue && first.is_some_and(|listener| listener.drops.is_none()) {
        // That a queue is full now does not show that it was full then.
        explanation.confidence = Confidence::Derived;
    }
    open(&mut explanation, listening);
    explanation
}

/// `tcp 0.0.0.0:80 (nginx[17])`.
fn named(listener: &Listener) -> String {
    let owner = listener.owner.as_ref().map(|owner| format!(" ({}[{}])", owner.comm, owner.pid));
    format!("tcp {}{}", listener.address, owner.unwrap_or_default())
}

fn accept_queue(explanation: &mut Explanation, listening: &Listening, beside: &Beside<'_>) {
    let Some(listener) = listening.suspects.first() else {
        explanation.remedy = remedies(PROTOCOLS.get(OVERFLOWS).map_or(&[], |row| row.remedy), None, beside);
        return;
    };
    explanation.summary =
        format!("the accept queue of {} is full: its backlog is {}", named(listener), listener.backlog);
    explanation.remedy = vec![look_at(listener.address, beside), larger_backlog(listener)];
    let limit = listening.somaxconn.as_deref();
    if limit.and_then(|limit| limit.parse().ok()) == Some(listener.backlog) {
        // The kernel cuts a backlog to it; a listener has a new limit when it listens again.
        let larger = listener.backlog.saturating_mul(4).max(AMPLE);
        explanation.remedy.insert(1, command(beside, &format!("sysctl -w net.core.somaxconn={larger}")));
        explanation.sysctl = settings(&[("net.core.somaxconn", limit)]);
    }
    if let Some(limit) = limit {
        explanation.evidence.push(format!("net.core.somaxconn, which limits each backlog, is {limit}"));
    }
}

fn half_open(explanation: &mut Explanation, listening: &Listening, beside: &Beside<'_>) {
    let cookies = listening.syncookies.as_deref();
    let limits =
        [("net.ipv4.tcp_syncookies", cookies), ("net.ipv4.tcp_max_syn_backlog", listening.max_syn_backlog.as_deref())];
    let whose = listening.suspects.first().map_or_else(|| "a listener".to_owned(), named);
    for (name, value) in limits {
        explanation.evidence.extend(value.map(|value| format!("{name} is {value}")));
    }
    if listening.half_open > 0 {
        let backlog = listening.suspects.first().map(|listener| format!(" of {}", listener.backlog));
        explanation.summary = format!(
            "the SYN queue of {whose} is full: as many connections as its backlog{} are half open, and SYN cookies are off",
            backlog.unwrap_or_default()
        );
        explanation.evidence.push(format!("TcpExtTCPReqQFullDrop rose by {}", listening.half_open));
    } else if cookies == Some("0") {
        // `tcp_conn_request`: without cookies the last quarter is kept for peers that are known.
        explanation.confidence = Confidence::Derived;
        let most = limits[1].1.map(|most| format!(" of {most}"));
        explanation.summary = format!(
            "the SYN queue of {whose} is full: three quarters of net.ipv4.tcp_max_syn_backlog{} are half open, and SYN \
             cookies are off",
            most.unwrap_or_default()
        );
    } else {
        explanation.confidence = Confidence::Inferred;
        explanation.summary = format!("{whose} refused connection attempts, and not because its accept queue is full");
        explanation.unknown = Some(
            "why: there may be no memory for them, no route back to the client, or a security module refuses them"
                .to_owned(),
        );
        explanation.remedy = match listening.suspects.first() {
            Some(listener) => vec![look_at(listener.address, beside)],
            None => remedies(&["{ns}ss -ltn"], None, beside),
        };
        return;
    }
    explanation.sysctl = settings(&limits);
    explanation.remedy = vec![command(beside, "sysctl -w net.ipv4.tcp_syncookies=1")];
    let first = listening.suspects.first();
    if listening.half_open > 0 {
        explanation.remedy.extend(first.map(larger_backlog));
    } else if let Some(most) = limits[1].1.and_then(|most| most.parse::<u32>().ok()).filter(|most| *most < AMPLE) {
        let larger = most.saturating_mul(4).max(AMPLE);
        explanation.remedy.push(command(beside, &format!("sysctl -w net.ipv4.tcp_max_syn_backlog={larger}")));
    }
    if let Some(listener) = first {
        let half_open = format!("ss -tn state syn-recv '( sport = :{} )'", listener.address.port());
        explanation.remedy.push(command(beside, &half_open));
    }
}

/// What was seen of a listener.
fn facts(listener: &Listener) -> Vec<String> {
    let Listener { address, queue, backlog, drops, owner, .. } = listener;
    let mut facts = vec![format!(
        "{} to be accepted from tcp {address}, its backlog is {backlog}{}",
        words::waiting(*queue),
        if listener.is_full() { ": it is full" } else { "" }
    )];
    if let Some(drops) = drops {
        facts.push(format!("the drop counter of tcp {address} itself rose by {drops}"));
    }
    if let Some(owner) = owner {
        let mut who = format!("tcp {address} is held by {} (pid {})", owner.comm, owner.pid);
        let place = [("container", &owner.place.container), ("pod", &owner.place.pod), ("unit", &owner.place.unit)];
        for (word, value) in place {
            if let Some(value) = value {
                let _infallible = write!(who, ", {word} {value}");
            }
        }
        facts.push(who);
        if owner.is_stopped {
            let (comm, pid) = (&owner.comm, owner.pid);
            facts.push(format!(
                "{comm} is stopped (by SIGSTOP, job control or a debugger): kill -CONT {pid} lets it go on"
            ));
        }
    }
    facts
}

fn open(explanation: &mut Explanation, listening: &Listening) {
    let mut unknown: Vec<String> = explanation.unknown.take().into_iter().collect();
    unknown.extend(listening.unknown.iter().cloned());
    if listening.suspects.is_empty() && listening.unknown.is_empty() {
        unknown.push(format!(
            "which listener: none of the {} that listen now shows it, so it may have been closed since",
            listening.count
        ));
    }
    explanation.unknown = (!unknown.is_empty()).then(|| unknown.join("; "));
}

fn larger_backlog(listener: &Listener) -> String {
    let program = listener.owner.as_ref().map_or("the program", |owner| owner.comm.as_str());
    format!(
        "have {program} accept faster, or listen with a larger backlog than {} and start it again",
        listener.backlog
    )
}

fn look_at(address: SocketAddr, beside: &Beside<'_>) -> String {
    command(beside, &format!("ss -ltnp '( sport = :{} )'", address.port()))
}

fn command(beside: &Beside<'_>, command: &str) -> String {
    match beside.netns_entry {
        Some(entry) => format!("{entry} {command}"),
        None => command.to_owned(),
    }
}

fn settings(settings: &[(&str, Option<&str>)]) -> Option<Vec<Sysctl>> {
    let known = settings.iter().filter_map(|(name, value)| {
        let value = (*value)?.to_owned();
        Some(Sysctl { name: (*name).to_owned(), effective: value.clone(), value })
    });
    Some(known.collect::<Vec<_>>()).filter(|known| !known.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{POD, rise};
    use super::*;
    use crate::counter::What;
    use crate::counter::table::DROPS;
    use crate::node::socket::{Owner, Place};

    fn listener() -> Listener {
        let place = Place { pod: Some("p-1".into()), ..Place::default() };
        Listener {
            address: "[::]:8080".parse().unwrap(),
            queue: 1,
            backlog: 0,
            drops: Some(2),
            inode: 9,
            owner: Some(Owner { pid: 17, comm: "nginx".into(), place, others: 0, is_stopped: false }),
        }
    }

    fn listening() -> Listening {
        Listening {
            suspects: vec![listener()],
            count: 1,
            somaxconn: Some("4096".into()),
            max_syn_backlog: Some("8".into()),
            syncookies: Some("0".into()),
            ..Listening::default()
        }
    }

    fn said(row: usize, listening: Listening) -> Explanation {
        let row = &PROTOCOLS[row];
        super::super::explain(&rise(&row.full_name(), What::Listen(row, listening)), &POD)
    }

    #[test]
    fn a_full_accept_queue_names_its_listener_and_program() {
        let said = said(OVERFLOWS, listening());
        assert_eq!(said.summary, "the accept queue of tcp [::]:8080 (nginx[17]) is full: its backlog is 0");
        assert_eq!((said.confidence, said.sysctl, said.unknown), (Confidence::Certain, None, None));
        assert_eq!(said.evidence[0], "TcpExtListenOverflows rose from 3 to 5");
        assert_eq!(
            said.evidence[2],
            "1 connection waits to be accepted from tcp [::]:8080, its backlog is 0: it is full"
        );
        assert_eq!(said.evidence[4], "tcp [::]:8080 is held by nginx (pid 17), pod p-1");
        assert_eq!(said.remedy[0], "nsenter --net=/run/netns/pod ss -ltnp '( sport = :8080 )'");
    }

    #[test]
    fn a_backlog_that_the_system_limits_names_the_setting() {
        let mut limited = listening();
        limited.suspects[0] = Listener { queue: 129, backlog: 128, ..listener() };
        limited.somaxconn = Some("128".into());
        let said = said(OVERFLOWS, limited);
        assert_eq!(said.sysctl.unwrap()[0].name, "net.core.somaxconn");
        assert_eq!(said.remedy[1], "nsenter --net=/run/netns/pod sysctl -w net.core.somaxconn=4096");
    }

    #[test]
    fn a_queue_that_is_full_now_is_derived_and_no_listener_is_said_so() {
        let mut silent = listening();
        silent.suspects[0].drops = None;
        assert_eq!(said(OVERFLOWS, silent).confidence, Confidence::Derived);
        let none = said(OVERFLOWS, Listening { suspects: Vec::new(), ..listening() });
        assert_eq!(
            (none.summary.as_str(), none.confidence),
            ("the accept queue of a listener is full", Confidence::Certain)
        );
        assert!(none.unknown.unwrap().starts_with("which listener: none of the 1"));
        assert_eq!(none.remedy, ["nsenter --net=/run/netns/pod ss -ltn"]);
    }

    #[test]
    fn a_full_syn_queue_says_which_limit_it_was() {
        let quarter = said(DROPS, listening());
        assert!(quarter.summary.contains("three quarters of net.ipv4.tcp_max_syn_backlog of 8"), "{}", quarter.summary);
        assert_eq!(quarter.confidence, Confidence::Derived);
        assert_eq!(quarter.sysctl.unwrap().len(), 2);
        assert_eq!(quarter.remedy[0], "nsenter --net=/run/netns/pod sysctl -w net.ipv4.tcp_syncookies=1");
        assert_eq!(quarter.remedy[1], "nsenter --net=/run/netns/pod sysctl -w net.ipv4.tcp_max_syn_backlog=4096");
        let backlog = said(DROPS, Listening { half_open: 2, ..listening() });
        assert!(backlog.summary.contains("as many connections as its backlog of 0"), "{}", backlog.summary);
        assert_eq!(backlog.confidence, Confidence::Certain);
        assert!(backlog.remedy[1].contains("larger backlog than 0"), "tcp_max_syn_backlog does not help: {backlog:?}");
    }

    #[test]
    fn other_refusals_stay_open() {
        let other = said(DROPS, Listening { syncookies: Some("1".into()), ..listening() });
        assert_eq!((other.confidence, other.sysctl), (Confidence::Inferred, None));
        assert!(other.unknown.unwrap().starts_with("why: "));
    }
}
