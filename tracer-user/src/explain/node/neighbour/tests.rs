use super::*;
use crate::event::{Cause, Confidence};
use crate::host::Interface;
use crate::node::neighbour::hop::Route as Way;
use crate::node::neighbour::table::{Asking, Counts, Entry, Table};

const NS: &str = "nsenter --net=/run/netns/pod";

fn drop(reason: &'static str, symbol: &'static str) -> Observation<'static> {
    Observation {
        reason: Some(reason),
        location: Some(symbol),
        destination: "10.99.2.99".parse().ok(),
        netns_entry: Some(NS),
        ..Observation::default()
    }
}

fn facts() -> Neighbours {
    let route =
        Way { text: "default via 10.99.2.99 dev r2".into(), table: Some("main".into()), mtu: None, mtu_locked: false };
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as u32;
    Neighbours {
        hop: Some(NextHop {
            address: "10.99.2.99".parse().unwrap(),
            is_gateway: true,
            device: 21,
            device_name: "r2".into(),
            route: Some(route),
            learned: None,
        }),
        device: Some(Interface { index: 21, name: "r2".into(), flags, mtu: 1500, ..Interface::default() }),
        entry: found("FAILED"),
        counts: Some(Counts { all: 3, failed: 1, ..Counts::default() }),
        asking: Some(Asking { queue_bytes: 0, probes: 3, interval: 1000 }),
        ..Neighbours::default()
    }
}

fn found(state: &str) -> Lookup {
    Lookup::Found(Entry { state: state.into(), probes: 3, link_address: Vec::new(), is_external: false })
}

fn told(facts: &Neighbours, drop: &Observation<'_>) -> Explanation {
    let mut explanation = Explanation::new(Cause::Neighbour, Confidence::Derived, "as it was");
    refine(&mut explanation, facts, drop);
    explanation
}

#[test]
fn the_next_hop_the_entry_and_the_route_are_named() {
    let told = told(&facts(), &drop("NEIGH_FAILED", "neigh_invalidate"));
    assert_eq!(told.summary, "the next hop 10.99.2.99 on r2 did not answer ARP (entry FAILED)");
    assert_eq!(told.confidence, Confidence::Certain);
    assert_eq!(told.route.unwrap().text, "default via 10.99.2.99 dev r2");
    assert_eq!(told.remedy[0], format!("{NS} ip neigh show 10.99.2.99 dev r2"));
    assert!(told.remedy.contains(&format!("{NS} arping -c 3 -I r2 10.99.2.99")), "{:?}", told.remedy);
    assert!(told.evidence.iter().any(|fact| fact.contains("3 IPv4 neighbour entries: 1 FAILED")));
}

#[test]
fn what_contradicts_is_said() {
    let answers = Neighbours { entry: found("REACHABLE"), ..facts() };
    let told = told(&answers, &drop("NOT_SPECIFIED", "neigh_invalidate"));
    assert_eq!((told.summary.as_str(), told.confidence), ("as it was", Confidence::Derived));
    assert!(told.unknown.unwrap().contains("whose entry is REACHABLE"));
}

#[test]
fn nothing_read_changes_nothing() {
    let unread = told(&Neighbours::default(), &drop("NEIGH_FAILED", "neigh_invalidate"));
    assert_eq!((unread.summary.as_str(), unread.remedy.len()), ("as it was", 0));
    let other = told(&facts(), &drop("IPV6_NDISC_HOP_LIMIT", "icmpv6_rcv"));
    assert_eq!(other.summary, "as it was");
}

#[test]
fn neighbour_discovery_from_beyond_the_link_is_told_by_its_hop_limit() {
    let drop = Observation { ttl: Some(64), ..drop("IPV6_NDISC_HOP_LIMIT", "icmpv6_rcv") };
    let told = told(&Neighbours::default(), &drop);
    assert!(told.summary.contains("has hop limit 64, it must have 255"), "{}", told.summary);
}

#[test]
fn a_device_without_carrier_or_down_is_the_reason() {
    let mut facts = facts();
    facts.device.as_mut().unwrap().flags = libc::IFF_UP as u32;
    let text = told(&facts, &drop("NEIGH_FAILED", "neigh_invalidate")).summary;
    assert_eq!(text, "the next hop 10.99.2.99 on r2 did not answer ARP (entry FAILED): r2 has no carrier");
    facts.device.as_mut().unwrap().flags = 0;
    let told = told(&facts, &drop("NEIGH_FAILED", "neigh_invalidate"));
    assert!(told.summary.ends_with(": r2 is down"));
    assert!(told.remedy.contains(&format!("{NS} ip link set dev r2 up")));
}

#[test]
fn the_queue_is_named_with_its_setting() {
    let told = told(&facts(), &drop("NEIGH_QUEUEFULL", "__neigh_event_send"));
    let setting = "net.ipv4.neigh.r2.unres_qlen_bytes";
    assert!(told.summary.ends_with(&format!("answer ARP (entry FAILED): {setting} is 0")), "{}", told.summary);
    assert_eq!(told.sysctl.unwrap()[0].name, setting);
    assert!(told.remedy.contains(&format!("{NS} sysctl -w {setting}=212992")), "{:?}", told.remedy);
}

#[test]
fn a_full_table_is_told_by_its_counter_or_its_size() {
    let table =
        Table { entries: 1024, gc_thresh1: 128, gc_thresh2: 512, gc_thresh3: 1024, table_fulls: 9, res_failed: 0 };
    let drop = drop("NEIGH_CREATEFAIL", "ip_finish_output2");
    let full = Neighbours { table: Some(table), table_fulls_before: Some(4), ..facts() };
    let certain = told(&full, &drop);
    assert_eq!(
        certain.summary,
        "no entry for the next hop 10.99.2.99 on r2: the neighbour table is full (1024 entries, \
         net.ipv4.neigh.default.gc_thresh3 is 1024)"
    );
    assert_eq!(certain.confidence, Confidence::Certain);
    let raise = "sysctl -w net.ipv4.neigh.default.gc_thresh3=4096 net.ipv4.neigh.default.gc_thresh2=2048 \
                 net.ipv4.neigh.default.gc_thresh1=512";
    assert!(certain.remedy.iter().any(|remedy| remedy == raise), "{:?}", certain.remedy);
    let first = told(&Neighbours { table_fulls_before: None, ..full.clone() }, &drop);
    assert_eq!(first.confidence, Confidence::Derived);
    let room = Neighbours { table: Some(Table { entries: 5, ..table }), table_fulls_before: Some(9), ..full };
    let unsure = told(&room, &drop);
    assert_eq!(unsure.summary, "as it was");
    assert!(unsure.unknown.unwrap().contains("5 of 1024"));
}

#[test]
fn a_device_without_ipv6_has_no_ipv6_neighbours() {
    let mut facts = Neighbours { has_no_ipv6: true, ..facts() };
    facts.hop.as_mut().unwrap().address = "fe80::1".parse().unwrap();
    facts.device.as_mut().unwrap().mtu = 1000;
    let told = told(&facts, &drop("NEIGH_CREATEFAIL", "ip_finish_output2"));
    assert_eq!(told.summary, "no entry for the next hop fe80::1 on r2: r2 has no IPv6 (its MTU 1000 is below 1280)");
    assert!(told.remedy.contains(&format!("{NS} ip link set dev r2 mtu 1500")));
}

#[test]
fn a_hostile_interface_name_is_quoted() {
    let mut facts = facts();
    facts.hop.as_mut().unwrap().device_name = "$(reboot)".into();
    for (reason, symbol) in [("NEIGH_FAILED", "neigh_invalidate"), ("NEIGH_QUEUEFULL", "__neigh_event_send")] {
        let told = told(&facts, &drop(reason, symbol));
        let commands = told.remedy.iter().filter(|remedy| remedy.starts_with(NS));
        for command in commands.filter(|command| command.contains("reboot")) {
            assert!(command.contains("$(reboot)'") || command.contains("$(reboot).unres_qlen_bytes'"), "{command}");
        }
    }
}
