//! Each kind of end.

use tracer_policy::model::{Labels, Node, ObjectName, Pod, Protocol, Service, ServicePort, TargetPort, Workload};
use tracer_policy::read::Object;

use super::*;
use crate::event::{
    Cause, Confidence, Conntrack, ConntrackState, Explanation, Hook, Outcome, PodName, Process, QueryOutcome,
    ServiceName, Socket, Translated,
};
use crate::kubernetes::{Change, Origin, PodSeen, index::ContainerSeen};

const NOW: u64 = 1_000_000_000_000;

fn seen(name: &str, address: &str, netns: Option<u32>) -> PodSeen {
    let mut pod = Pod::new("shop", name, format!("uid-of-{name}"));
    pod.addresses = [address.parse().unwrap()].into();
    pod.workload = Some(Workload { kind: "Deployment".into(), name: "web".into() });
    PodSeen { origin: Origin::Runtime, pod, since: NOW, netns, containers: Vec::new() }
}

fn index() -> Index {
    let mut index = Index::of_whole_cluster(true);
    let mut tell = |change| index.apply_at(change, NOW);
    tell(Change::Pod(Box::new(seen("client", "10.244.1.5", Some(5)))));
    tell(Change::Pod(Box::new(seen("web-0", "10.244.1.7", Some(7)))));
    let mut proxy = seen("proxy", "192.168.0.4", None);
    proxy.pod.host_network = true;
    let container = ContainerSeen { id: "c1".into(), name: "proxy".into(), cgroup: Some(99) };
    tell(Change::Pod(Box::new(PodSeen { containers: vec![container], ..proxy })));
    tell(Change::Object(Object::Node(Node {
        name: "node1".into(),
        labels: Labels::default(),
        addresses: ["192.168.0.4".parse().unwrap()].into(),
        pod_ranges: ["10.244.1.0/24".parse().unwrap()].into(),
    })));
    let service = |name: &str, address: &str, port: (Option<&str>, u16)| {
        let port = ServicePort {
            name: port.0.map(Into::into),
            number: port.1,
            protocol: Protocol::Tcp,
            target: TargetPort::Number(8080),
            node_port: None,
        };
        Change::Object(Object::Service(Service {
            id: ObjectName::new("shop", name),
            addresses: [address.parse().unwrap()].into(),
            ports: [port].into(),
            selector: None,
        }))
    };
    tell(service("web", "10.96.0.10", (Some("http"), 80)));
    tell(service("one", "10.96.0.20", (None, 81)));
    tell(service("two", "10.96.0.20", (None, 82)));
    tell(Change::PodsAre { origin: Origin::Api, uids: [].into(), at: NOW });
    index
}

fn named(address: &str) -> Endpoint {
    let mut end = Endpoint::of(address);
    name_end(&mut end, "tcp", &index(), Span::at(NOW + 1));
    end
}

fn drop(source: &str, destination: &str) -> Drop {
    Drop::between(source, destination, Explanation::new(Cause::Unknown, Confidence::Unknown, "x"))
}

#[expect(clippy::unnecessary_wraps, reason = "as events have it")]
fn pod(name: &str) -> Option<PodName> {
    Some(PodName { namespace: "shop".into(), name: name.into(), uid: format!("uid-of-{name}") })
}

#[expect(clippy::unnecessary_wraps, reason = "as events have it")]
fn service(name: &str, port: Option<&str>) -> Option<ServiceName> {
    Some(ServiceName { namespace: "shop".into(), name: name.into(), port: port.map(str::to_owned) })
}

#[test]
fn an_address_is_a_pods_a_services_a_nodes_or_known_everywhere() {
    let end = named("10.244.1.7:8080");
    assert_eq!((end.pod, end.workload.map(|workload| workload.name)), (pod("web-0"), Some("web".to_owned())));
    assert_eq!(named("[::ffff:10.244.1.7]:8080").pod, pod("web-0"));
    assert_eq!(named("10.96.0.10:80").service, service("web", Some("http")));
    assert_eq!(named("10.96.0.10:443").service, service("web", None), "the Service has no such port");
    assert_eq!(named("10.96.0.20:82").service, service("two", Some("82")), "two share the address");
    assert_eq!(named("10.96.0.20:83"), Endpoint::of("10.96.0.20:83"));
    assert_eq!(named("192.168.0.4:10250").node.as_deref(), Some("node1"));
    assert_eq!(named("169.254.169.254:80").name.as_deref(), Some("cloud metadata service"));
    assert_eq!(named("168.63.129.16:53").name.as_deref(), Some("Azure wire server"));
    assert_eq!(named("169.254.20.10:53").name.as_deref(), Some("node-local DNS"));
    assert_eq!(named("169.254.20.10:80"), Endpoint::of("169.254.20.10:80"));
    assert_eq!(named("10.244.1.99:80").unknown_why.as_deref(), Some("no pod or Service of the cluster has it"));
    assert_eq!(named("52.1.2.3:443"), Endpoint::of("52.1.2.3:443"), "of the rest nothing is known");
}

#[test]
fn who_has_just_gone_is_told_as_such_and_who_came_after_is_not_named_for_before() {
    let mut index = index();
    let uid = "uid-of-web-0".into();
    let (id, later) = (ObjectName::new("shop", "web-0"), NOW + 1_000_000_000);
    index.apply_at(Change::PodGone { origin: Origin::Runtime, id, uid, at: later }, later);
    let end = |index: &Index, span| {
        let mut drop = drop("10.244.1.5:40000", "10.244.1.7:8080");
        name_drop(&mut drop, index, span);
        drop.packet.destination
    };
    let after = end(&index, Span::at(later + 1));
    assert_eq!(after.pod, None);
    assert!(after.name.as_deref().is_some_and(|name| name.starts_with("pod shop/web-0 until ")), "{after:?}");
    let new = PodSeen { since: later + 5, ..seen("new", "10.244.1.7", Some(8)) };
    index.apply_at(Change::Pod(Box::new(new)), later + 5);
    assert_eq!(end(&index, Span::at(later - 1)).pod, pod("web-0"));
    assert_eq!(end(&index, Span::at(later + 6)).pod, pod("new"));
    let across = end(&index, Span { from: later - 1, to: later + 6 });
    let why = across.unknown_why.unwrap();
    assert!(across.pod.is_none() && why.starts_with("10.244.1.7 went from shop/web-0 to shop/new at "), "{why}");
}

#[test]
fn a_drop_has_the_names_of_its_namespace_and_of_the_service_it_came_through() {
    let mut event = drop("10.244.1.5:40000", "10.244.1.7:8080");
    event.netns.inode = 7;
    let end = |text: &str| {
        let end = Endpoint::of(text);
        ConntrackEnd { address: end.address.unwrap(), port: end.port }
    };
    let tuple = |source, destination| ConntrackTuple {
        protocol: "tcp".into(),
        source: end(source),
        destination: end(destination),
    };
    event.conntrack = Some(Conntrack {
        state: ConntrackState::New,
        mark: None,
        status: None,
        original: Some(tuple("10.244.1.5:40000", "10.96.0.10:80")),
        reply: Some(tuple("10.244.1.7:8080", "10.244.1.5:40000")),
    });
    name_drop(&mut event, &index(), Span::at(NOW + 1));
    assert_eq!((event.netns.pod, event.packet.source.pod), (pod("web-0"), pod("client")));
    assert_eq!(event.packet.source.service, None);
    assert_eq!(
        (event.packet.destination.pod, event.packet.destination.service),
        (pod("web-0"), service("web", Some("http")))
    );
}

#[test]
fn loopback_is_the_pods_in_its_namespace_and_nobodys_elsewhere() {
    for (netns, expected) in [(7, pod("web-0")), (1, None)] {
        let mut event = drop("127.0.0.1:40000", "127.0.0.1:8080");
        event.netns.inode = netns;
        name_drop(&mut event, &index(), Span::at(NOW + 1));
        assert_eq!((&event.packet.source.pod, &event.packet.destination.pod), (&expected, &expected));
    }
}

#[test]
fn a_pod_on_the_nodes_network_is_known_by_its_socket_or_its_program() {
    let by_socket =
        |event: &mut Drop| event.socket = Some(Socket { cookie: None, cgroup: Some(99), uid: None, gid: None });
    let by_program = |event: &mut Drop| {
        event.process = Some(Process { pid: 1, comm: "proxy".into(), container: Some("c1".into()), pod: None });
    };
    for (hook, own) in [(Hook::Input, false), (Hook::Output, true)] {
        for program in [true, false] {
            let mut event = drop("192.168.0.4:40000", "192.168.0.4:10250");
            event.hook = hook;
            if program {
                by_program(&mut event);
            } else {
                by_socket(&mut event);
            }
            name_drop(&mut event, &index(), Span::at(NOW + 1));
            let (source, destination) = (event.packet.source.pod.is_some(), event.packet.destination.pod.is_some());
            assert_eq!((source, destination), (own, !own), "{hook} {program}");
            assert_eq!(event.process.and_then(|process| process.pod), pod("proxy").filter(|_| program));
        }
    }
    // What is forwarded has another address than the socket's pod.
    let mut event = drop("10.244.1.5:40000", "52.1.2.3:443");
    (event.hook, event.packet.source.address) = (Hook::Output, "9.9.9.9".parse().ok());
    by_socket(&mut event);
    name_drop(&mut event, &index(), Span::at(NOW + 1));
    assert_eq!(event.packet.source.pod, None);
}

#[test]
fn an_attempt_is_named_before_and_after_translation() {
    let end = Endpoint::of;
    let mut flow = Flow {
        time: String::new(),
        outcome: Outcome::NoAnswer,
        protocol: "tcp".into(),
        source: end("10.244.1.5:40000"),
        destination: end("10.96.0.10:80"),
        translated: Some(Translated { source: end("10.244.1.5:40000"), destination: end("10.244.1.7:8080") }),
        attempts: 1,
        first: String::new(),
        last: String::new(),
        rtt_us: None,
        seen: Vec::new(),
        explanation: None,
    };
    name_flow(&mut flow, &index(), Span { from: NOW + 1, to: NOW + 9 });
    assert_eq!((flow.source.pod, flow.destination.service), (pod("client"), service("web", Some("http"))));
    let behind = flow.translated.unwrap().destination;
    assert_eq!((behind.pod, behind.service), (pod("web-0"), service("web", Some("http"))));
}

#[test]
fn a_query_is_named_with_its_namespaces() {
    let netns = |inode| Netns { inode, name: None, pod: None };
    let mut dns = Dns {
        time: String::new(),
        query: "a".into(),
        kind: "A".into(),
        outcome: QueryOutcome::NoAnswer,
        rcode: None,
        no_answer: true,
        latency_us: None,
        attempts: 1,
        protocol: "tcp".into(),
        client: Endpoint::of("10.244.1.5:40000"),
        server: Endpoint::of("10.96.0.10:80"),
        translated: Some(Endpoint::of("10.244.1.7:8080")),
        netns: netns(1),
        client_netns: Some(netns(5)),
        search: None,
        wasted: None,
        explanation: None,
    };
    name_dns(&mut dns, &index(), Span::at(NOW + 1));
    assert_eq!((dns.netns.pod, dns.client_netns.unwrap().pod), (None, pod("client")));
    assert_eq!((dns.client.pod, dns.server.service), (pod("client"), service("web", Some("http"))));
    assert_eq!(dns.translated.unwrap().service, service("web", Some("http")));
}

#[test]
fn names_are_kept_for_the_next_packet_only_where_they_are_its_too() {
    let index = index();
    let mut first = drop("10.244.1.5:40000", "10.96.0.10:80");
    name_drop(&mut first, &index, Span::at(NOW + 1));
    assert!(is_steady(&first, &index, Span::at(NOW + 1)) && !is_steady(&first, &index, Span::at(NOW - 1)));
    let mut next = drop("10.244.1.5:50000", "10.96.0.10:80").packet;
    assert!(keep_names(&mut first.packet, &mut next));
    assert_eq!(
        (next.source.pod.is_some(), next.source.port, next.destination.service.is_some()),
        (true, Some(50000), true)
    );
    let mut other = drop("10.244.1.5:50000", "10.96.0.10:443").packet;
    assert!(!keep_names(&mut next, &mut other) && other.source.pod.is_none(), "another port of the Service");
    let mut other = drop("10.244.1.6:50000", "10.96.0.10:80").packet;
    assert!(!keep_names(&mut next, &mut other));
}
