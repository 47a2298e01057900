//! What is said of sockets that were read, and of those that were not.

use std::net::SocketAddr;

use crate::event::{Cause, Confidence, Explanation};
use crate::explain::Observation;
use crate::node::socket::absent::{Absent, Vrf, Why};
use crate::node::socket::busy::{Busy, ProtocolMemory, Settings};
use crate::node::socket::diag::{Memory, TCP, UDP};
use crate::node::socket::nat::Lead;
use crate::node::socket::service::{Seen, Translation};
use crate::node::socket::{Held, Owner, Place, Socket, Sockets};

fn held(protocol: u8, local: &str) -> Held {
    let socket = Socket { inode: 9, ..Socket::listening(protocol, local.parse().unwrap()) };
    let owner = Owner { pid: 12, comm: "nginx".into(), ..Owner::default() };
    Held { socket, owner: Some(owner), interface: None }
}

fn drop<'a>(reason: &'a str, protocol: u8, to: &str) -> Observation<'a> {
    let to: SocketAddr = to.parse().unwrap();
    Observation {
        reason: Some(reason),
        protocol: Some(protocol),
        destination: Some(to.ip()),
        destination_port: Some(to.port()),
        netns_entry: Some("nsenter --net=/run/netns/pod"),
        ..Observation::default()
    }
}

fn refined(sockets: &Sockets, drop: &Observation<'_>) -> Explanation {
    let mut explanation = Explanation::new(Cause::NoSocket, Confidence::Derived, "nobody listens there");
    explanation.remedy = vec!["before".into()];
    super::refine(&mut explanation, sockets, drop);
    explanation
}

fn absent(absent: Absent, to: &str) -> Explanation {
    refined(&Sockets::Absent(Box::new(Absent { is_listed: true, ..absent })), &drop("NO_SOCKET", TCP, to))
}

#[test]
fn each_way_of_not_being_there_has_its_sentence() {
    let to = "10.0.0.1:80";
    let near = |local: &str, why: Why| {
        let same_port = vec![(held(TCP, local), why)];
        absent(Absent { same_port, bind_ipv6_only: Some("0".into()), ..Absent::default() }, to)
    };
    assert_eq!(absent(Absent::default(), to).summary, "nothing listens on tcp 10.0.0.1:80");
    let only = near("127.0.0.1:80", Why::Address);
    assert_eq!(only.summary, "nothing listens on tcp 10.0.0.1:80: nginx[12] has this port on 127.0.0.1 only");
    assert_eq!(only.confidence, Confidence::Certain, "the kernel said it and the list agrees");
    assert_eq!(only.remedy[0], "nsenter --net=/run/netns/pod ss -tlnmp '( sport = :80 )'");
    assert!(only.remedy[1].contains("listen on 10.0.0.1 or on 0.0.0.0 (all addresses) instead of 127.0.0.1"));
    let six = near("[::]:80", Why::Ipv6Only);
    assert!(six.summary.ends_with("nginx[12] has this port for IPv6 only ([::]:80)"));
    assert!(six.sysctl.is_none(), "the program asked for it itself");
    let interface = near("0.0.0.0:80", Why::Interface);
    assert!(interface.summary.ends_with("nginx[12] has this port on another interface only"));
    let other = absent(Absent { other_protocol: vec![held(UDP, "0.0.0.0:80")], ..Absent::default() }, to);
    assert!(other.summary.ends_with("nginx[12] has this port for udp only"));
}

#[test]
fn a_vrf_that_unbound_sockets_do_not_see() {
    let same_port = vec![(held(TCP, "0.0.0.0:80"), Why::Vrf)];
    let vrf = Some(Vrf { name: "red".into(), setting: "net.ipv4.tcp_l3mdev_accept" });
    let unseen = absent(Absent { same_port, vrf, ..Absent::default() }, "10.0.0.1:80");
    assert_eq!(
        unseen.summary,
        "nothing listens on tcp 10.0.0.1:80: nginx[12] has this port, but sees no packets of VRF red"
    );
    assert_eq!(unseen.sysctl.unwrap()[0].name, "net.ipv4.tcp_l3mdev_accept");
    let command = "nsenter --net=/run/netns/pod sysctl -w net.ipv4.tcp_l3mdev_accept=1";
    assert!(unseen.remedy.contains(&command.to_owned()), "{:?}", unseen.remedy);
}

#[test]
fn a_socket_that_is_there_now_is_no_proof() {
    let same_port = vec![(held(TCP, "0.0.0.0:80"), Why::NotThen)];
    let late = absent(Absent { same_port, ..Absent::default() }, "10.0.0.1:80");
    assert_eq!(late.summary, "nothing listened on tcp 10.0.0.1:80 when it came; nginx[12] does now");
    assert_eq!(late.confidence, Confidence::Derived);
    assert!(late.unknown.unwrap().contains("opened after it came"));
    assert!(late.evidence.contains(&"tcp 0.0.0.0:80 (nginx[12]) would take it now".to_owned()));
}

#[test]
fn what_could_not_be_listed_is_not_claimed() {
    let unread = refined(&Sockets::Absent(Box::default()), &drop("NO_SOCKET", TCP, "10.0.0.1:80"));
    assert_eq!((unread.summary.as_str(), unread.confidence), ("nobody listens there", Confidence::Derived));
    assert!(unread.evidence.is_empty(), "{:?}", unread.evidence);
    let no_ports = Observation { reason: Some("NO_SOCKET"), ..Observation::default() };
    assert_eq!(refined(&Sockets::Absent(Box::default()), &no_ports).remedy, ["before"]);
}

#[test]
fn the_way_by_a_service_is_told() {
    let asked = Some("10.96.0.1:443".parse().unwrap());
    let client = Some("192.0.2.7:5000".parse().unwrap());
    let connection = Translation { asked, client, seen: Seen::Connection, by: Some("host".into()), entry: None };
    let served = vec![held(TCP, "0.0.0.0:8443"), held(TCP, "127.0.0.1:9")];
    let through =
        absent(Absent { translation: Some(connection), served, ports: 2, ..Absent::default() }, "10.244.1.5:6443");
    assert_eq!(through.summary, "nothing listens on tcp 10.244.1.5:6443, the target of 10.96.0.1:443");
    let fact = "connection tracking of namespace host: it was sent to 10.96.0.1:443 and translated to 10.244.1.5:6443; the client is 192.0.2.7:5000";
    assert!(through.evidence.contains(&fact.to_owned()), "{:?}", through.evidence);
    assert!(
        through.evidence.contains(&"tcp ports that are served: 8443 (nginx[12]), 127.0.0.1:9 (nginx[12])".to_owned())
    );
    assert!(through.remedy.last().unwrap().ends_with("a port that is served, such as 8443 (nginx[12])"));

    let asked = Translation { asked, client: None, seen: Seen::Connection, by: None, entry: None };
    let same_port = vec![(held(TCP, "127.0.0.1:6443"), Why::Address)];
    let local = absent(Absent { translation: Some(asked), same_port, ..Absent::default() }, "10.244.1.5:6443");
    assert_eq!(
        local.summary,
        "nothing listens on tcp 10.244.1.5:6443, the target of 10.96.0.1:443: nginx[12] has this port on 127.0.0.1 only"
    );

    let lead = Lead {
        asked: None,
        port: Some(8080),
        text: "-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.244.1.5:6443".into(),
        show: "iptables-nft -t nat -S DOCKER".into(),
        comment: Some("shop/web;reboot:https".into()),
    };
    let rule = Translation { asked: None, client: None, seen: Seen::Rule(lead), by: Some("host".into()), entry: None };
    let through = absent(Absent { translation: Some(rule), ..Absent::default() }, "10.244.1.5:6443");
    assert!(through.summary.ends_with(", the target of port 8080 of host"));
    assert!(through.remedy.contains(&"iptables-nft -t nat -S DOCKER".to_owned()));
    assert!(
        through.remedy.contains(&"kubectl -n shop get service 'web;reboot' -o yaml".to_owned()),
        "{:?}",
        through.remedy
    );
}

#[test]
fn a_protocol_without_handler_is_named() {
    let sctp =
        |is_known| refined(&Sockets::NoHandler { protocol: 132, is_known }, &drop("IP_NOPROTO", 132, "10.0.0.1:1"));
    assert_eq!(sctp(Some(false)).summary, "nothing on this machine takes packets of IP protocol 132, SCTP");
    assert!(sctp(Some(false)).evidence[0].contains("its module is not loaded"));
    assert!(sctp(None).evidence.is_empty());
    assert!(sctp(None).remedy.contains(&"modprobe sctp".to_owned()));
}

fn busy(protocol: u8, memory: Memory) -> Busy {
    let mut held = held(protocol, "0.0.0.0:9999");
    held.socket.memory = Some(memory);
    let settings = Settings { receive_default: Some(212_992), receive_max: Some(425_984), ..Settings::default() };
    Busy { socket: Some(held), settings, ..Busy::default() }
}

fn datagram(busy: Busy) -> Explanation {
    refined(&Sockets::Busy(Box::new(busy)), &drop("SOCKET_RCVBUFF", UDP, "10.0.0.1:9999"))
}

#[test]
fn a_full_buffer_and_what_bounds_it() {
    let at = |received, limit| Memory { received, limit, backlog: 0, drops: 7 };
    let full = datagram(busy(UDP, at(212_480, 212_992)));
    assert_eq!(full.summary, "the receive buffer of udp 0.0.0.0:9999 (nginx[12]) is full: 212480 of 212992 bytes");
    assert!(
        full.remedy.contains(&"sysctl -w net.core.rmem_default=851968".to_owned()),
        "the whole machine's: no namespace"
    );
    assert_eq!(full.sysctl.unwrap()[0].name, "net.core.rmem_default");
    assert!(full.evidence.contains(&"it has dropped 7 so far".to_owned()));
    let capped = datagram(busy(UDP, at(851_000, 851_968)));
    assert!(capped.remedy.contains(&"sysctl -w net.core.rmem_max=1703936".to_owned()));
    let own = datagram(busy(UDP, at(4600, 4608)));
    assert!(
        own.remedy
            .last()
            .unwrap()
            .contains("the SO_RCVBUF that nginx[12] sets, 2304 bytes now (net.core.rmem_max allows 425984)")
    );
    let drained = datagram(busy(UDP, at(0, 212_992)));
    assert_eq!(drained.summary, "the receive buffer of udp 0.0.0.0:9999 (nginx[12]), 212992 bytes, was full");
    assert_eq!(drained.unknown.as_deref(), Some("how full it was: it holds 0 bytes now"));
}

#[test]
fn without_limits_the_event_stands_and_the_program_is_named() {
    let mut bare = busy(UDP, Memory::default());
    bare.socket.as_mut().unwrap().socket.memory = None;
    let bare = datagram(bare);
    assert_eq!((bare.summary.as_str(), &bare.remedy[..]), ("nobody listens there", &["before".to_owned()][..]));
    assert_eq!(bare.evidence, ["udp 0.0.0.0:9999 is held by nginx[12]"]);
    assert!(bare.unknown.unwrap().starts_with("how full its buffer is"));
}

#[test]
fn how_sure_it_is_which_socket_it_was() {
    let memory = Memory { received: 212_480, limit: 212_992, backlog: 0, drops: 7 };
    let plain = datagram(busy(UDP, memory));
    assert_eq!(plain.confidence, Confidence::Derived);
    let rose = datagram(Busy { drops_before: Some(3), ..busy(UDP, memory) });
    assert_eq!(rose.confidence, Confidence::Certain);
    assert!(rose.evidence.contains(&"its count of drops rose from 3 to 7".to_owned()));
    let stands = datagram(Busy { drops_before: Some(7), ..busy(UDP, memory) });
    assert_eq!(stands.confidence, Confidence::Derived, "the count stands still");
    let named = datagram(Busy { is_named: true, ..busy(UDP, memory) });
    assert_eq!(named.confidence, Confidence::Certain);
    let shared = datagram(Busy { alternatives: 3, ..busy(UDP, memory) });
    assert_eq!(shared.confidence, Confidence::Inferred);
    assert!(shared.unknown.unwrap().contains("the fullest is shown"));
    let gone = datagram(Busy::default());
    assert_eq!((gone.summary.as_str(), gone.remedy.len()), ("nobody listens there", 1));
    assert!(gone.unknown.unwrap().contains("none at its address and port is there now"));
}

/// Filters drop at the same place, and the socket counts that too.
#[test]
fn without_a_reason_only_a_full_buffer_is_blamed() {
    let at = |received| {
        let memory = Memory { received, limit: 212_992, backlog: 0, drops: 7 };
        let busy = Busy { drops_before: Some(3), ..busy(UDP, memory) };
        let seen = Observation { reason: None, ..drop("", UDP, "10.0.0.1:9999") };
        refined(&Sockets::Busy(Box::new(busy)), &seen)
    };
    let full = at(212_480);
    assert_eq!(full.confidence, Confidence::Derived, "a place is no proof");
    assert!(full.summary.contains("is full: 212480 of 212992 bytes") && full.unknown.is_none());
    let open = at(0);
    assert_eq!(open.confidence, Confidence::Inferred);
    assert!(open.summary.ends_with("its receive buffer, 212992 bytes, was full, or a BPF program refused it"));
    assert!(open.unknown.unwrap().ends_with("the buffer holds 0 bytes now, and this kernel gives no drop reasons"));
}

#[test]
fn the_accept_queue_and_its_backlog() {
    let queue = |waiting, backlog, somaxconn| {
        let mut busy = busy(TCP, Memory::default());
        let held = busy.socket.as_mut().unwrap();
        (held.socket.receive_queue, held.socket.send_queue) = (waiting, backlog);
        let place = Place { container: Some("c0ffee".into()), pod: Some("uid-1".into()), unit: None };
        held.owner.as_mut().unwrap().place = place;
        busy.settings = Settings { somaxconn, ..Settings::default() };
        refined(&Sockets::Busy(Box::new(busy)), &drop("TCP_LISTEN_OVERFLOW", TCP, "10.0.0.1:9999"))
    };
    let full = queue(3, 2, Some(4096));
    assert_eq!(
        full.summary,
        "the accept queue of tcp 0.0.0.0:9999 (nginx[12]) is full: 3 connections wait, the backlog is 2"
    );
    assert!(full.evidence.contains(&"tcp 0.0.0.0:9999 is held by nginx[12], container c0ffee, pod uid-1".to_owned()));
    assert!(full.remedy.contains(
        &"raise the backlog that nginx[12] passes to listen(), 2 now (net.core.somaxconn allows 4096)".to_owned()
    ));
    let capped = queue(129, 128, Some(128));
    assert!(capped.remedy.contains(&"nsenter --net=/run/netns/pod sysctl -w net.core.somaxconn=4096".to_owned()));
    let over = queue(0, 128, None);
    assert!(over.summary.ends_with("was full: its backlog is 128") && over.unknown.is_some());
}

#[test]
fn the_memory_of_a_protocol() {
    let at = |used| {
        let memory = ProtocolMemory { used, limits: [100, 200, 300] };
        let busy = Busy { settings: Settings { memory: Some(memory), ..Settings::default() }, ..Busy::default() };
        refined(&Sockets::Busy(Box::new(busy)), &drop("PROTO_MEM", UDP, "10.0.0.1:9999"))
    };
    let full = at(300);
    assert!(full.summary.starts_with("the udp sockets of this machine hold 1 of 1 MiB that net.ipv4.udp_mem allows"));
    assert!(full.remedy.contains(&"sysctl -w net.ipv4.udp_mem='200 400 600'".to_owned()));
    let free = at(3);
    assert_eq!(free.summary, "nobody listens there");
    assert!(free.unknown.unwrap().contains("memory limit of a cgroup"));
}
