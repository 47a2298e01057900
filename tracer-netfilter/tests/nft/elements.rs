//! Elements of sets and maps.

use std::net::Ipv4Addr;

use tracer_netfilter::model::{Counter, Element, ElementData, Elements, Verdict};
use tracer_netfilter::nft::{self, NftError};

use super::{Namespace, read, table};

/// The elements of a set of table `t`.
fn elements(namespace: &Namespace, set: &str) -> Elements {
    let ruleset = read(namespace);
    let t = table(&ruleset, "t");
    namespace.inside(|| nft::elements(t, set)).expect("it can be read")
}

fn with(definition: &str) -> Namespace {
    let namespace = Namespace::new();
    namespace.nft(&format!("table ip t {{ counter c {{ }}; chain other {{ }}; {definition} }}"));
    namespace
}

/// First and last addresses of IPv4 ranges.
fn ranges(elements: &Elements) -> Vec<(String, String)> {
    let address = |key: &[u8]| Ipv4Addr::from(<[u8; 4]>::try_from(key).expect("an IPv4 address")).to_string();
    elements
        .iter()
        .map(|element| (address(&element.key), address(element.key_end.as_ref().unwrap_or(&element.key))))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect()
}

fn verdict(element: Option<&Element>) -> Option<&Verdict> {
    match &element?.data {
        Some(ElementData::Verdict(verdict)) => Some(verdict),
        _ => None,
    }
}

#[test]
fn single_values_and_their_comments() {
    let namespace = with("set s { type ipv4_addr; elements = { 10.0.0.2, 10.0.0.1 comment \"first\" } }");
    let found = elements(&namespace, "s");
    assert_eq!(ranges(&found), pairs(&[("10.0.0.1", "10.0.0.1"), ("10.0.0.2", "10.0.0.2")]));
    assert_eq!(found.find(&[10, 0, 0, 1]).and_then(|element| element.comment.as_deref()), Some("first"));
    assert!(found.find(&[10, 0, 0, 3]).is_none());
}

#[test]
fn ranges_are_closed_whatever_order_the_kernel_lists_them_in() {
    let namespace = with(
        "set s { type ipv4_addr; flags interval; elements = { 192.168.1.1, 10.0.0.0/8, 0.0.0.0-0.0.0.7, \
         11.0.0.0-11.0.0.9, 224.0.0.0-255.255.255.255 } }",
    );
    let found = elements(&namespace, "s");
    let expected = [
        ("0.0.0.0", "0.0.0.7"),
        ("10.0.0.0", "10.255.255.255"),
        ("11.0.0.0", "11.0.0.9"),
        ("192.168.1.1", "192.168.1.1"),
        ("224.0.0.0", "255.255.255.255"),
    ];
    assert_eq!(ranges(&found), pairs(&expected));
    assert!(found.find(&[10, 200, 0, 0]).is_some() && found.find(&[255; 4]).is_some());
    assert!(found.find(&[11, 0, 0, 10]).is_none() && found.find(&[0, 0, 0, 8]).is_none());
}

#[test]
fn neighbouring_ranges_of_a_map_keep_their_own_data() {
    let namespace = with(
        "map m { type ipv4_addr : verdict; flags interval; \
         elements = { 10.0.0.0/8 : drop, 11.0.0.0/8 : accept, 12.0.0.0 : jump other } }
         chain c { tcp dport vmap { 0-1023 : drop, 1024-65535 : accept } }",
    );
    let found = elements(&namespace, "m");
    assert_eq!(verdict(found.find(&[10, 255, 255, 255])), Some(&Verdict::Drop));
    assert_eq!(verdict(found.find(&[11, 0, 0, 0])), Some(&Verdict::Accept));
    assert_eq!(verdict(found.find(&[12, 0, 0, 0])), Some(&Verdict::Jump("other".to_owned())));
    assert_eq!(verdict(found.find(&[12, 0, 0, 1])), None);
    let ports = elements(&namespace, "__map0");
    assert_eq!(verdict(ports.find(&1023_u16.to_be_bytes())), Some(&Verdict::Drop));
    assert_eq!(verdict(ports.find(&65535_u16.to_be_bytes())), Some(&Verdict::Accept));
    assert_eq!(ports.len(), 2);
}

#[test]
fn concatenations_with_ranges_in_each_part() {
    let namespace = with(
        "set s { type ipv4_addr . inet_proto . inet_service; flags interval; \
         elements = { 10.0.0.0/24 . tcp . 80-90, 10.1.0.1 . udp . 53 } }
         set h { type ipv4_addr . inet_service; elements = { 10.0.0.1 . 80 } }",
    );
    let found = elements(&namespace, "s");
    let key = |last: u8, protocol: u8, port: u8| [10, 0, 0, last, protocol, 0, 0, 0, 0, port, 0, 0];
    assert!(found.find(&key(255, 6, 90)).is_some());
    assert!(found.find(&key(255, 6, 91)).is_none() && found.find(&key(0, 17, 80)).is_none());
    assert!(found.find(&[10, 1, 0, 1, 17, 0, 0, 0, 0, 53, 0, 0]).is_some_and(|element| element.key_end.is_none()));
    assert!(elements(&namespace, "h").find(&[10, 0, 0, 1, 0, 80, 0, 0]).is_some());
}

#[test]
fn maps_of_values_verdicts_and_objects() {
    let namespace = with(
        "map marks { type ipv4_addr : mark; elements = { 10.0.0.1 : 0x7 } }
         map verdicts { type inet_service : verdict; \
             elements = { 22 : accept, 23 : drop, 24 : jump other, 25 : goto other, 26 : continue, * : return } }
         map objects { type ipv4_addr : counter; elements = { 10.0.0.1 : \"c\" } }
         chain c { counter name ip saddr map @objects; }",
    );
    let marks = elements(&namespace, "marks");
    let value = marks.find(&[10, 0, 0, 1]).and_then(|element| element.data.clone());
    assert_eq!(value, Some(ElementData::Value(7_u32.to_ne_bytes().to_vec())), "as a register holds it");
    let verdicts = elements(&namespace, "verdicts");
    let of = |port: u16| verdict(verdicts.find(&port.to_be_bytes())).cloned();
    let expected = [
        Verdict::Accept,
        Verdict::Drop,
        Verdict::Jump("other".into()),
        Verdict::Goto("other".into()),
        Verdict::Continue,
    ];
    assert_eq!((22..=26).filter_map(of).collect::<Vec<_>>(), expected);
    assert_eq!(of(9999), Some(Verdict::Return), "the catch-all");
    assert_eq!(verdicts.len(), 5);
    let objects = elements(&namespace, "objects");
    assert_eq!(objects.iter().next().and_then(|e| e.data.clone()), Some(ElementData::Object("c".to_owned())));
}

#[test]
fn counters_and_conditions_of_elements() {
    let namespace = with(
        "set counted { type ipv4_addr; counter; elements = { 10.0.0.1 counter packets 7 bytes 70 } }
         set limited { type ipv4_addr; limit rate 5/second; elements = { 10.0.0.1 } }
         set both { type ipv4_addr; counter quota over 5 bytes; elements = { 10.0.0.1 } }",
    );
    let only = |set: &str| elements(&namespace, set).iter().next().expect("one").clone();
    let counted = only("counted");
    assert_eq!((counted.counter, counted.conditional), (Some(Counter { packets: 7, bytes: 70 }), false));
    assert!(only("limited").conditional && only("limited").counter.is_none());
    assert!(only("both").conditional && only("both").counter.is_some());
}

#[test]
fn what_has_timed_out_is_not_there() {
    let namespace = with(
        "set s { type ipv4_addr; flags timeout; gc-interval 1h; \
             elements = { 10.0.0.1 timeout 100ms, 10.0.0.2 timeout 1h, 10.0.0.3 } }
         set i { type ipv4_addr; flags interval, timeout; gc-interval 1h; \
             elements = { 10.0.0.0/24 timeout 100ms, 10.0.1.0/24 timeout 1h } }",
    );
    std::thread::sleep(std::time::Duration::from_millis(300));
    let found = elements(&namespace, "s");
    assert_eq!(ranges(&found), pairs(&[("10.0.0.2", "10.0.0.2"), ("10.0.0.3", "10.0.0.3")]));
    assert_eq!(ranges(&elements(&namespace, "i")), pairs(&[("10.0.1.0", "10.0.1.255")]));
}

#[test]
fn a_set_that_is_gone_is_said_so() {
    let namespace = with("set s { type ipv4_addr; }");
    let ruleset = read(&namespace);
    namespace.nft("delete set ip t s");
    let answer = namespace.inside(|| nft::elements(table(&ruleset, "t"), "s"));
    assert_eq!(answer, Err(NftError::NoSet { table: "t".to_owned(), set: "s".to_owned() }));
}

#[test]
fn large_sets_are_read_whole() {
    let namespace = with("set s { type ipv4_addr; }; set i { type ipv4_addr; flags interval; }");
    let address = |number: u32| Ipv4Addr::from(0x0a00_0000 + number * 2).to_string();
    let list = (0..50_000).map(address).collect::<Vec<_>>().join(", ");
    for set in ["s", "i"] {
        namespace.nft(&format!("add element ip t {set} {{ {list} }}"));
        let start = std::time::Instant::now();
        let found = elements(&namespace, set);
        println!("{} elements of {set} read in {:?}", found.len(), start.elapsed());
        assert_eq!(found.len(), 50_000);
        assert!(found.iter().all(|element| element.key_end.is_none()));
        assert!(found.find(&[10, 0, 0, 2]).is_some() && found.find(&[10, 0, 0, 3]).is_none());
    }
}
