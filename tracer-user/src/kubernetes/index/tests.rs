//! One pod of many origins, time, and a simulated cluster that reuses its addresses.

mod simulation;

use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1000 * MS;
/// Where the clock of these tests begins.
const START: u64 = 1000 * SECOND;

fn pod(name: &str, uid: &str, address: &str) -> Pod {
    let mut pod = Pod::new("shop", name, uid);
    pod.addresses = if address.is_empty() { Box::default() } else { [address.parse().unwrap()].into() };
    pod
}

fn seen(origin: Origin, pod: Pod, since: u64) -> PodSeen {
    PodSeen { origin, pod, since, netns: None, containers: Vec::new() }
}

fn gone(origin: Origin, name: &str, uid: &str, at: u64) -> Change {
    Change::PodGone { origin, id: ObjectName::new("shop", name), uid: uid.into(), at }
}

fn tell(index: &mut Index, seen: PodSeen, now: u64) {
    index.apply_at(Change::Pod(Box::new(seen)), now);
}

fn name(holder: &Holder) -> String {
    match holder {
        Holder::Pod(pod) => format!("{} {}", pod.id, pod.uid),
        Holder::Nobody => "nobody".to_owned(),
        Holder::Contested(why) => {
            format!("contested: {}", why.rsplit_once(" at ").map_or(why.as_str(), |(why, _)| why))
        }
    }
}

fn at(index: &Index, address: &str, time: u64) -> String {
    name(&index.pod_at(address.parse().unwrap(), Span::at(time)))
}

#[test]
fn what_two_origins_say_is_one_pod() {
    let mut index = Index::default();
    let mut api = pod("web-0", "u1", "10.244.9.9");
    api.labels = [("app", "new")].into_iter().collect();
    let mut runtime = pod("web-0", "u1", "10.244.1.7");
    runtime.labels = [("app", "old")].into_iter().collect();
    tell(&mut index, seen(Origin::Api, api, START), START);
    let containers = vec![ContainerSeen { id: "c1".into(), name: "web".into(), cgroup: Some(77) }];
    tell(&mut index, PodSeen { netns: Some(5), containers, ..seen(Origin::Runtime, runtime, START - SECOND) }, START);
    let span = Span::at(START + 1);
    let found = index.pod_at("10.244.1.7".parse().unwrap(), span);
    assert_eq!(found.pod().unwrap().labels.get("app"), Some("new"), "the API's labels win");
    assert_eq!(at(&index, "10.244.9.9", START + 1), "nobody", "the runtime's address wins");
    for holder in [index.pod_of_netns(5, span), index.pod_of_container("c1"), index.pod_of_cgroup(77, span)] {
        assert_eq!(name(&holder), "shop/web-0 u1");
    }
    let id = ObjectName::new("shop", "web-0");
    assert_eq!((index.netns_of(&id), index.world().pods_at("10.244.1.7".parse().unwrap()).count()), (Some(5), 1));

    // The runtime's word ends it, while the API still lists the pod.
    index.apply_at(gone(Origin::Runtime, "web-0", "u1", START + SECOND), START + SECOND);
    assert_eq!((index.netns_of(&id), at(&index, "10.244.1.7", START + 2 * SECOND)), (None, "nobody".to_owned()));
    assert_eq!(at(&index, "10.244.1.7", START + SECOND - 1), "shop/web-0 u1", "as it was");
    assert!(index.world().pod(&id).is_some_and(|pod| pod.addresses.is_empty()));
    let last = index.last_pod_at("10.244.1.7".parse().unwrap(), START + 2 * SECOND);
    assert_eq!(last.map(|(pod, until)| (pod.id.clone(), until)), Some((id.clone(), START + SECOND)));
    assert_eq!(index.last_pod_at("10.244.1.7".parse().unwrap(), START + 100 * SECOND), None, "a minute is over");
    // A late word of the API does not bring the address back.
    tell(&mut index, seen(Origin::Api, pod("web-0", "u1", "10.244.1.7"), START), START + 2 * SECOND);
    assert_eq!(at(&index, "10.244.1.7", START + 3 * SECOND), "nobody");
    index.apply_at(gone(Origin::Api, "web-0", "u1", START + 3 * SECOND), START + 3 * SECOND);
    assert!(index.world().pod(&id).is_none());
}

#[test]
fn an_address_that_changes_hands_is_whose_it_was_then() {
    let mut index = Index::default();
    let runtime = |name, uid, since| seen(Origin::Runtime, pod(name, uid, "10.244.1.7"), since);
    tell(&mut index, runtime("a", "u1", START), START);
    index.apply_at(gone(Origin::Runtime, "a", "u1", START + 10 * SECOND), START + 10 * SECOND);
    tell(&mut index, runtime("b", "u2", START + 12 * SECOND), START + 13 * SECOND);
    let at = |time| at(&index, "10.244.1.7", time);
    assert_eq!([START - 1, START + 11 * SECOND].map(at), ["nobody", "nobody"]);
    assert_eq!([START, START + 12 * SECOND].map(at), ["shop/a u1", "shop/b u2"]);
    let across = index.pod_at("10.244.1.7".parse().unwrap(), Span { from: START + SECOND, to: START + 13 * SECOND });
    assert_eq!(name(&across), "contested: 10.244.1.7 went from shop/a to shop/b");
    let partly =
        index.pod_at("10.244.1.7".parse().unwrap(), Span { from: START + 11 * SECOND, to: START + 13 * SECOND });
    assert!(name(&partly).starts_with("contested: 10.244.1.7 is shop/b's since "), "{partly:?}");
}

#[test]
fn two_that_have_the_same_at_once_are_both_told_and_none_is_named() {
    let mut index = Index::default();
    tell(&mut index, seen(Origin::Runtime, pod("a", "u1", "10.244.1.7"), START), START);
    tell(&mut index, seen(Origin::Runtime, pod("b", "u2", "10.244.1.7"), START + SECOND), START + SECOND);
    assert_eq!(at(&index, "10.244.1.7", START + 5), "shop/a u1");
    assert_eq!(
        at(&index, "10.244.1.7", START + 2 * SECOND),
        "contested: 10.244.1.7 is claimed by shop/a and by shop/b"
    );
    let liars = (0..100)
        .map(|number| seen(Origin::Runtime, pod(&format!("l{number}"), &format!("l{number}"), "10.244.1.8"), 0));
    liars.for_each(|seen| tell(&mut index, seen, START));
    let history = &index.addresses[&"10.244.1.8".parse::<IpAddr>().unwrap()];
    assert!(size_of_val(history) <= 64 && at(&index, "10.244.1.8", START) == "nobody");
}

#[test]
fn a_stateful_pod_that_comes_again_is_another_one() {
    let mut index = Index::default();
    tell(&mut index, seen(Origin::Api, pod("db-0", "u1", "10.244.1.7"), START), START);
    tell(&mut index, seen(Origin::Api, pod("db-0", "u2", "10.244.2.9"), START + 20 * SECOND), START + 20 * SECOND);
    // The first one's end, and a late change of it, come after.
    tell(&mut index, seen(Origin::Api, pod("db-0", "u1", "10.244.1.7"), START), START + 21 * SECOND);
    index.apply_at(gone(Origin::Api, "db-0", "u1", START + 22 * SECOND), START + 22 * SECOND);
    let shown = index.world().pod(&ObjectName::new("shop", "db-0")).unwrap();
    assert_eq!(&*shown.uid, "u2");
    assert_eq!(at(&index, "10.244.1.7", START + SECOND), "shop/db-0 u1");
    assert_eq!(at(&index, "10.244.2.9", START + 23 * SECOND), "shop/db-0 u2");
}

#[test]
fn a_static_pod_is_its_mirror_whichever_comes_first() {
    let hash = "0123456789abcdef0123456789abcdef";
    for api_first in [true, false] {
        let mut index = Index::default();
        let mut mirror = pod("etcd-node1", "11111111-2222-3333-4444-555555555555", "10.244.1.7");
        mirror.labels = [("tier", "control-plane")].into_iter().collect();
        let api = seen(Origin::Api, mirror, START);
        let runtime = PodSeen { netns: Some(9), ..seen(Origin::Runtime, pod("etcd-node1", hash, "10.244.1.7"), START) };
        let told = if api_first { [api, runtime] } else { [runtime, api] };
        for seen in told {
            tell(&mut index, seen, START);
        }
        let found = index.pod_of_netns(9, Span::at(START + 1));
        let found = found.pod().unwrap();
        assert_eq!(
            (found.labels.get("tier"), &*found.uid),
            (Some("control-plane"), "11111111-2222-3333-4444-555555555555")
        );
        assert_eq!(at(&index, "10.244.1.7", START + 1), format!("shop/etcd-node1 {}", found.uid), "{api_first}");
        assert_eq!(index.netns_of(&ObjectName::new("shop", "etcd-node1")), Some(9));
        assert_eq!(index.world().pods().count(), 1);
        index.apply_at(gone(Origin::Runtime, "etcd-node1", hash, START + SECOND), START + SECOND);
        index.apply_at(
            gone(Origin::Api, "etcd-node1", "11111111-2222-3333-4444-555555555555", START + SECOND),
            START + SECOND,
        );
        assert_eq!(index.world().pods().count(), 0);
    }
}

#[test]
fn who_has_no_address_of_its_own_is_found_by_its_processes_only() {
    let mut index = Index::default();
    let mut proxy = pod("proxy", "u1", "192.168.0.4");
    proxy.host_network = true;
    let containers = vec![ContainerSeen { id: "c9".into(), name: String::new(), cgroup: Some(9) }];
    tell(&mut index, PodSeen { netns: Some(1), containers, ..seen(Origin::Runtime, proxy, START) }, START);
    assert_eq!(at(&index, "192.168.0.4", START + 1), "nobody");
    assert_eq!(name(&index.pod_of_netns(1, Span::at(START + 1))), "nobody", "the host's");
    assert_eq!(name(&index.pod_of_cgroup(9, Span::at(START + 1))), "shop/proxy u1");
}

#[test]
fn what_is_gone_is_forgotten_after_a_while_and_costs_no_more() {
    let mut index = Index::default();
    for number in 0..20_000_u64 {
        let (name, address) = (format!("p{number}"), format!("10.{}.{}.1", number / 256, number % 256));
        let containers = vec![ContainerSeen { id: name.clone(), name: String::new(), cgroup: Some(number) }];
        let now = START + number * MS;
        tell(
            &mut index,
            PodSeen { netns: Some(7), containers, ..seen(Origin::Runtime, pod(&name, &name, &address), now) },
            now,
        );
        index.apply_at(gone(Origin::Runtime, &name, &name, now + 1), now + 1);
    }
    assert!(index.pods.len() <= 4096 && index.addresses.len() <= 16_384 && index.containers.len() <= 16_384);
    assert!(index.world().pods().count() == 0 && index.given_up.len() <= 16_384 && index.cgroups.len() <= 16_384);
    assert_eq!(at(&index, "10.78.31.1", START + 19_999 * MS), "shop/p19999 p19999");
}

#[test]
fn nodes_and_their_ranges_are_found_and_go_with_a_listing() {
    let mut index = Index::of_whole_cluster(true);
    let node = |name: &str, address: &str, range: &str| {
        Change::Object(tracer_policy::read::Object::Node(tracer_policy::model::Node {
            name: name.into(),
            labels: tracer_policy::model::Labels::default(),
            addresses: [address.parse().unwrap()].into(),
            pod_ranges: [range.parse().unwrap()].into(),
        }))
    };
    index.apply_at(node("node1", "192.168.0.4", "10.244.1.0/24"), START);
    index.apply_at(node("node2", "192.168.0.5", "10.244.2.0/24"), START);
    let free = |index: &Index, address: &str| index.is_of_no_pod(address.parse().unwrap());
    assert!(!free(&index, "10.244.1.200"), "before the pods are listed");
    index.apply_at(Change::PodsAre { origin: Origin::Api, uids: [].into(), at: START }, START);
    assert!(free(&index, "10.244.1.200") && free(&index, "10.244.2.1") && !free(&index, "10.244.3.1"));
    index.apply_at(node("node2", "192.168.0.6", "10.244.3.0/24"), START);
    let node_at = |index: &Index, address: &str| index.node_at(address.parse().unwrap()).map(ToString::to_string);
    assert_eq!((node_at(&index, "192.168.0.5"), node_at(&index, "192.168.0.6")), (None, Some("node2".to_owned())));
    let names = [ObjectName::new("", "node2")].into();
    index.apply_at(Change::KindIs { kind: Kind::Node, names }, START);
    assert_eq!((node_at(&index, "192.168.0.4"), free(&index, "10.244.1.200")), (None, false));
    assert!(node_at(&index, "192.168.0.6").is_some());
}
