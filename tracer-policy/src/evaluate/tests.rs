//! The nearest rule, and how it is said.

use std::sync::Arc;

use super::*;
use crate::model::{
    ContainerPort, Labels, Namespace, NetworkPolicy, ObjectName, Operator, Peer, Policy, PortMatch, PortRange,
    Requirement, Rule, Selector,
};

fn labels(text: &str) -> Labels {
    text.split(',').filter_map(|pair| pair.split_once('=')).collect()
}

fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
    Requirement { key: key.into(), operator, values: values.iter().map(|value| (*value).into()).collect() }
}

fn select(text: &str) -> Selector {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    Selector { requirements: pairs.map(|(key, value)| requirement(key, Operator::In, &[value])).collect() }
}

fn pods(selector: &str) -> Peer {
    Peer::Pods { namespaces: None, pods: Some(select(selector)) }
}

fn pods_of(namespaces: &str, pods: &str) -> Peer {
    Peer::Pods { namespaces: Some(select(namespaces)), pods: Some(select(pods)) }
}

fn block(range: &str, except: &[&str]) -> Peer {
    let except = except.iter().map(|range| range.parse().unwrap()).collect();
    Peer::Block { range: range.parse().unwrap(), except }
}

fn tcp(first: u16, last: u16) -> PortMatch {
    PortMatch { protocol: Protocol::Tcp, range: PortRange::Numbers(first, last) }
}

fn named(name: &str) -> PortMatch {
    PortMatch { protocol: Protocol::Tcp, range: PortRange::Name(name.into()) }
}

fn rule(peers: &[Peer], ports: &[PortMatch]) -> Rule {
    Rule { peers: peers.into(), ports: ports.into() }
}

fn pod(namespace: &str, name: &str, text: &str, address: &str) -> Pod {
    let mut pod = Pod::new(namespace, name, name);
    pod.labels = labels(text);
    pod.addresses = [address.parse().unwrap()].into();
    pod.node = Some("node-1".into());
    pod
}

/// `shop/db` serves `pg` at 5432; its policies are `a`, `b`, ... in the order of the list.
fn world(policies: &[&[Rule]], direction: Direction) -> World {
    let mut world = World::default();
    world.set_knows_policies(true);
    for name in ["shop", "default"] {
        world.set_namespace(Namespace { name: name.into(), labels: labels(&format!("team={name}")) });
    }
    for (rules, name) in policies.iter().zip('a'..) {
        let rules: Option<Box<[Rule]>> = Some((*rules).into());
        let (ingress, egress) = if direction == Direction::Ingress { (rules, None) } else { (None, rules) };
        let id = ObjectName::new("shop", name.to_string());
        world.set_policy(Arc::new(Policy::Network(NetworkPolicy { id, pods: select("app=db"), ingress, egress })));
    }
    world
}

fn database() -> Pod {
    let mut pod = pod("shop", "db", "app=db", "10.1.0.1");
    pod.ports = [ContainerPort { name: "pg".into(), number: 5432, protocol: Protocol::Tcp }].into();
    pod
}

fn ask(world: &World, source: End<'_>, destination: End<'_>, port: u16) -> Answer {
    evaluate(world, &Connection { source, destination, protocol: Protocol::Tcp, port })
}

/// From a pod to the database: policy, rule, peer, and the sentence.
fn near(policies: &[&[Rule]], client: &Pod, port: u16) -> (String, u32, u32, String) {
    let (world, server) = (world(policies, Direction::Ingress), database());
    let answer = ask(&world, End::Pod(client, client.addresses[0]), End::Pod(&server, server.addresses[0]), port);
    told(&answer.ingress)
}

fn told(side: &Side) -> (String, u32, u32, String) {
    assert_eq!((side.verdict, side.why, &side.decided_by), (Verdict::Denied, Why::Default, &None));
    let nearest = side.nearest.as_ref().unwrap();
    (nearest.policy.id.name.to_string(), nearest.rule, nearest.peer, nearest.describe(side.direction))
}

fn is(policy: &str, rule: u32, peer: u32, sentence: &str) -> (String, u32, u32, String) {
    (policy.to_owned(), rule, peer, sentence.to_owned())
}

fn curl() -> Pod {
    pod("shop", "curl", "app=curl,tier=test", "10.1.0.2")
}

#[test]
fn a_label_is_absent_or_has_another_value() {
    assert_eq!(
        near(&[&[rule(&[pods("app=client")], &[])]], &curl(), 5432),
        is("a", 1, 1, "the client's label app is \"curl\", the rule wants app=client")
    );
    assert_eq!(
        near(&[&[rule(&[pods("role=client")], &[])]], &curl(), 5432),
        is("a", 1, 1, "the client lacks the label role=client")
    );
    let peer = |operator, values: &[&str]| Peer::Pods {
        namespaces: None,
        pods: Some(Selector { requirements: [requirement("app", operator, values)].into() }),
    };
    let sentence = |peer| near(&[&[rule(&[peer], &[])]], &curl(), 5432).3;
    assert_eq!(
        sentence(peer(Operator::In, &["a", "b"])),
        "the client's label app is \"curl\", the rule wants app in (a,b)"
    );
    assert_eq!(sentence(peer(Operator::DoesNotExist, &[])), "the client's label app is \"curl\", the rule wants !app");
    assert_eq!(
        sentence(peer(Operator::NotIn, &["curl"])),
        "the client's label app is \"curl\", the rule wants app!=curl"
    );
}

#[test]
fn a_port_is_another_or_unknown_by_its_name() {
    let sentence = |ports: &[PortMatch], port| near(&[&[rule(&[], ports)]], &curl(), port);
    assert_eq!(sentence(&[tcp(5432, 5432)], 5433), is("a", 1, 0, "port 5432 is allowed, 5433 was used"));
    assert_eq!(sentence(&[tcp(80, 90), tcp(443, 443)], 91).3, "the ports 80-90, 443 are allowed, 91 was used");
    assert_eq!(sentence(&[tcp(80, 90)], 91).3, "the ports 80-90 are allowed, 91 was used");
    assert_eq!(sentence(&[named("pg")], 5433).3, "port pg (5432) is allowed, 5433 was used");
    assert_eq!(sentence(&[named("http-alt")], 5433).3, "the server has no port named http-alt");
    assert_eq!(sentence(&[named("http"), tcp(80, 80)], 5433).3, "the ports http, 80 are allowed, 5433 was used");
    let udp = |range| PortMatch { protocol: Protocol::Udp, range };
    assert_eq!(sentence(&[udp(PortRange::Numbers(53, 53))], 53).3, "port 53/udp is allowed, 53/tcp was used");
    assert_eq!(sentence(&[udp(PortRange::All)], 53).3, "udp is allowed, tcp was used");
    let many: Vec<PortMatch> = (1..=1000).map(|port| tcp(port, port)).collect();
    assert_eq!(sentence(&many, 5433).3, "the ports 1, 2, 3, 4, 5, 6, 7, 8, and 992 more are allowed, 5433 was used");
}

#[test]
fn a_namespace_is_another_or_lacks_a_label() {
    let client = pod("default", "curl", "app=client", "10.1.0.2");
    let sentence = |peer| near(&[&[rule(&[peer], &[])]], &client, 5432).3;
    assert_eq!(
        sentence(pods("app=client")),
        "the policy means pods of its own namespace shop, the client is in default"
    );
    assert_eq!(sentence(pods_of("tier=web", "app=client")), "the client's namespace lacks the label tier=web");
    assert_eq!(
        sentence(pods_of("team=web", "app=client")),
        "the label team of the client's namespace is \"default\", the rule wants team=web"
    );
    assert_eq!(
        sentence(pods_of("kubernetes.io/metadata.name=shop", "app=db")),
        "the label kubernetes.io/metadata.name of the client's namespace is \"default\", the rule wants \
         kubernetes.io/metadata.name=shop, and the client's label app is \"client\", the rule wants app=db"
    );
}

#[test]
fn an_address_is_in_no_range_and_egress_is_about_the_server() {
    let rules =
        [rule(&[block("10.0.0.0/24", &[]), block("10.8.0.0/15", &["10.9.0.0/16"])], &[]), rule(&[pods("app=x")], &[])];
    let (world, client) = (world(&[&rules], Direction::Egress), database());
    let answer = ask(&world, End::Pod(&client, client.addresses[0]), End::Outside("10.9.0.1".parse().unwrap()), 443);
    assert_eq!(
        told(&answer.egress),
        is("a", 1, 1, "10.9.0.1 is in no allowed range (10.0.0.0/24, 10.8.0.0/15 except 10.9.0.0/16)")
    );
    let server = curl();
    let answer = ask(&world, End::Pod(&client, client.addresses[0]), End::Pod(&server, server.addresses[0]), 443);
    assert_eq!(told(&answer.egress), is("a", 2, 1, "the server's label app is \"curl\", the rule wants app=x"));
}

#[test]
fn pods_are_wanted_where_there_is_none_or_nothing_at_all() {
    let outside = End::Outside("203.0.113.9".parse().unwrap());
    let side = |policies: &[&[Rule]]| {
        let server = database();
        ask(&world(policies, Direction::Ingress), outside, End::Pod(&server, server.addresses[0]), 5432).ingress
    };
    assert_eq!(
        told(&side(&[&[rule(&[pods("")], &[])]])),
        is("a", 1, 1, "the rule allows pods only, and the client 203.0.113.9 is not a pod of the pod network")
    );
    assert_eq!(told(&side(&[&[]])), is("a", 0, 0, "the policy has no ingress rule"));
}

#[test]
fn the_fewest_changes_are_nearest_then_the_likeliest_slip_then_the_first() {
    let port = || rule(&[pods("app=curl")], &[tcp(5433, 5433)]);
    let label = || rule(&[pods("app=client")], &[tcp(5432, 5432)]);
    let two = || rule(&[pods("app=client")], &[tcp(5433, 5433)]);
    let namespace = || rule(&[pods_of("team=web", "app=curl")], &[]);
    let address = || rule(&[block("10.2.0.0/16", &[])], &[]);
    let place = |policies: &[&[Rule]]| {
        let (policy, rule, peer, _) = near(policies, &curl(), 5432);
        (policy, rule, peer)
    };
    let at = |policy: &str, rule, peer| (policy.to_owned(), rule, peer);
    assert_eq!(place(&[&[], &[two(), address(), namespace(), port(), label()]]), at("b", 5, 1));
    assert_eq!(place(&[&[], &[two(), address(), namespace(), port()]]), at("b", 4, 0));
    assert_eq!(place(&[&[], &[two(), address(), namespace()]]), at("b", 3, 1));
    assert_eq!(place(&[&[], &[two(), address()]]), at("b", 2, 1));
    assert_eq!(place(&[&[], &[two()]]), at("b", 1, 1));
    assert_eq!(place(&[&[port(), label()], &[label()]]), at("a", 2, 1), "the first of equals");
    let peers = rule(&[address().peers[0].clone(), pods("app=a,tier=b"), pods("app=a")], &[]);
    assert_eq!(place(&[&[peers]]), at("a", 1, 3));
}

#[test]
fn what_selects_and_what_decides_is_told_in_the_order_of_names() {
    let allows = || rule(&[], &[tcp(5432, 5432)]);
    let policies: &[&[Rule]] = &[&[], &[rule(&[pods("app=x")], &[]), allows()], &[allows()]];
    let (world, client, server) = (world(policies, Direction::Ingress), curl(), database());
    let answer = ask(&world, End::Pod(&client, client.addresses[0]), End::Pod(&server, server.addresses[0]), 5432);
    assert_eq!((answer.verdict(), answer.egress.why), (Verdict::Allowed, Why::NoPolicy));
    let side = answer.deciding();
    let names: Vec<String> = side.selected_by.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["NetworkPolicy shop/a", "NetworkPolicy shop/b", "NetworkPolicy shop/c"]);
    let decided = side.decided_by.as_ref().map(|rule| (rule.policy.to_string(), rule.number));
    assert_eq!((decided, side.why, &side.nearest), (Some(("NetworkPolicy shop/b".to_owned(), 2)), Why::Rule, &None));
}
