//! Routes, policies, devices and addresses from bytes as the kernel writes them, good ones and hostile ones.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::table::{Route, RoutingTable, devices};
use super::{address, device, policy, route, table};
use crate::ipset::Net;
use crate::packet::Device;
use crate::world::RouteQuestion;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn word(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_ne_bytes())
}

/// `struct rtnexthop`.
fn hop(flags: u8, device: u32) -> Vec<u8> {
    let mut bytes = 16u16.to_ne_bytes().to_vec();
    bytes.extend([flags, 0]);
    bytes.extend(device.to_ne_bytes());
    bytes.extend(attribute(5, &[10, 0, 0, 254]));
    bytes
}

/// 10.4.0.0/16 in table 254 by two next hops.
fn route_message(flags: u8) -> Vec<u8> {
    let header = vec![2, 16, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    let hops = [hop(flags, 7), hop(0, 9)].concat();
    [header, word(15, 254), attribute(1, &[10, 4, 0, 0]), attribute(9, &hops)].concat()
}

/// Action and its attributes, with a priority.
fn rule(priority: u32, action: u8, flags: u8, more: &[Vec<u8>]) -> Vec<u8> {
    [vec![2, 0, 24, 0, 0, 0, 0, action, flags, 0, 0, 0], word(6, priority), more.concat()].concat()
}

fn source() -> Vec<u8> {
    attribute(2, &[192, 168, 5, 0])
}

fn policies(messages: &[Vec<u8>]) -> policy::Policies {
    policy::Policies::new(messages.iter().map(|message| policy::parse(message).unwrap()).collect())
}

fn net(address: [u8; 4], prefix: u8) -> Net {
    Net { address: IpAddr::V4(address.into()), prefix }
}

fn question(source: [u8; 4]) -> RouteQuestion {
    let destination = IpAddr::V4(Ipv4Addr::new(10, 4, 1, 1));
    RouteQuestion { destination, source: Some(IpAddr::V4(source.into())), mark: 0, output: 0, input: 0 }
}

/// Table 1 has a default route only, table 2 a throw for the destination, table 3 a blackhole.
fn tables(number: u32) -> Result<Arc<RoutingTable>, String> {
    let routes = match number {
        1 => vec![Route::new(net([0, 0, 0, 0], 0), 1, vec![11])],
        2 => vec![Route::new(net([10, 4, 0, 0], 16), 9, vec![])],
        3 => vec![Route::new(net([10, 4, 1, 1], 32), 6, vec![]), Route::new(net([10, 4, 0, 0], 16), 1, vec![33])],
        _ => return Err(format!("table {number}")),
    };
    Ok(Arc::new(RoutingTable::new(routes)))
}

fn way(policies: &policy::Policies, source: [u8; 4]) -> Result<Option<(u8, Vec<u32>)>, String> {
    Ok(policies.follow(&question(source), "lo", tables)?.map(|route| (route.kind, route.devices)))
}

const ASKED: [u8; 4] = [192, 168, 5, 9];

#[test]
fn a_route_has_the_devices_of_its_living_next_hops() {
    let (route, of_table) = table::parse(&route_message(0)).unwrap();
    assert_eq!((route.net, route.kind, of_table), (net([10, 4, 0, 0], 16), 1, 254));
    assert_eq!(route.devices, [7, 9]);
    assert_eq!(devices(&route_message(1)), Some(vec![9]));
}

#[test]
fn the_longest_living_prefix_is_found() {
    let table = RoutingTable::new(vec![
        Route::new(net([0, 0, 0, 0], 0), 1, vec![1]),
        Route::new(net([10, 0, 0, 0], 8), 1, vec![2]),
        Route::new(net([10, 4, 0, 0], 16), 1, vec![]),
        Route::new(net([10, 5, 0, 0], 16), 6, vec![]),
    ]);
    let asked = |address: [u8; 4]| table.find(address.into()).map(|route| (route.kind, route.devices.clone()));
    assert_eq!(asked([11, 0, 0, 1]), Some((1, vec![1])));
    assert_eq!(asked([10, 4, 0, 1]), Some((1, vec![2])), "its next hops are dead");
    assert_eq!(asked([10, 5, 0, 1]), Some((6, vec![])));
}

#[test]
fn policies_are_followed_in_order() {
    let default = || rule(900, 1, 0, &[word(15, 1)]);
    let refused = policies(&[rule(10, 8, 0, &[source()]), default()]);
    assert_eq!(way(&refused, ASKED), Ok(Some((8, vec![]))));
    assert_eq!(way(&refused, [1, 1, 1, 1]), Ok(Some((1, vec![11]))));
    assert!(refused.looks_at(&question(ASKED)) && !refused.looks_at(&question([1, 1, 1, 1])));

    let jumping = policies(&[rule(10, 2, 0, &[source(), word(4, 900)]), rule(20, 6, 0, &[]), default()]);
    assert_eq!(way(&jumping, ASKED), Ok(Some((1, vec![11]))));
    assert_eq!(way(&jumping, [1, 1, 1, 1]), Ok(Some((6, vec![]))));

    let inverted = policies(&[rule(10, 7, 2, &[source()]), default()]);
    assert_eq!(way(&inverted, ASKED), Ok(Some((1, vec![11]))));
    assert_eq!(way(&inverted, [1, 1, 1, 1]), Ok(Some((7, vec![]))));

    let thrown = policies(&[rule(10, 1, 0, &[word(15, 2)]), rule(20, 1, 0, &[word(15, 1), word(14, 0)])]);
    assert_eq!(way(&thrown, ASKED), Ok(None), "a throw, then a default route that is suppressed");
    assert_eq!(way(&policies(&[rule(10, 1, 0, &[word(15, 3)]), default()]), ASKED), Ok(Some((6, vec![]))));
    assert_eq!(way(&policies(&[rule(10, 1, 0, &[word(15, 4)])]), ASKED), Err("table 4".to_owned()));
}

#[test]
fn marks_and_devices_of_policies_are_heeded_and_what_is_not_known_is_said() {
    let marked = policies(&[rule(10, 1, 0, &[word(15, 1), word(10, 7), word(16, 15)])]);
    let with_mark = RouteQuestion { mark: 0x17, ..question(ASKED) };
    assert!(marked.follow(&with_mark, "lo", tables).unwrap().is_some());
    assert_eq!(way(&marked, ASKED), Ok(None));

    let of_device = policies(&[rule(10, 1, 0, &[word(15, 1), attribute(3, b"eth0\0")])]);
    assert!(of_device.follow(&question(ASKED), "eth0", tables).unwrap().is_some());
    assert_eq!(way(&of_device, ASKED), Ok(None));
    assert!(of_device.looks_at(&RouteQuestion { input: 3, ..question([1, 1, 1, 1]) }));

    let of_port = policies(&[rule(10, 1, 0, &[word(15, 1), source(), attribute(24, &[80, 0, 80, 0])])]);
    assert_eq!(way(&of_port, [1, 1, 1, 1]), Ok(None), "another source");
    assert_eq!(way(&of_port, ASKED), Err("whether the routing policy (ip rule) with priority 10 holds".to_owned()));
}

#[test]
fn devices_are_read() {
    let header = vec![0, 0, 1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let info = attribute(18, &attribute(1, b"bridge\0"));
    let read = device::parse(&[header, attribute(3, b"br0\0"), word(27, 3), word(10, 4), info].concat());
    let kind = Some("bridge".to_owned());
    let (hardware, group, master) = (Some(1), Some(3), Some(4));
    assert_eq!(read, Some(Device { index: 7, name: "br0".into(), hardware, group, kind, master }));
}

#[test]
fn hostile_bytes_never_panic() {
    let device = [vec![0; 16], attribute(3, b"eth0\0"), attribute(18, &attribute(1, b"veth\0")), word(27, 0)].concat();
    let address = [vec![10, 64, 0, 0, 2, 0, 0, 0], attribute(1, &[0xfd; 16]), word(8, 0x80)].concat();
    let good = [route_message(0), rule(10, 1, 0, &[source(), word(15, 1), word(10, 7)]), device, address];
    assert!(table::parse(&good[0]).is_some() && policy::parse(&good[1]).is_some());
    assert!(device::parse(&good[2]).is_some() && address::parse(&good[3]).is_some());
    let mut state = 0x1234_5678_9abc_def1u64;
    for round in 0..200_000 {
        let of = &good[round % good.len()];
        let mut bytes = of.clone();
        for _ in 0..3 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state >> 32) as usize % bytes.len();
            bytes[at] = state as u8;
        }
        bytes.truncate(of.len() - (state >> 8) as usize % 12);
        if let Some((route, _)) = table::parse(&bytes) {
            let _ = RoutingTable::new(vec![route]).find([10, 4, 0, 1].into());
        }
        if let Some(policy) = policy::parse(&bytes) {
            let _ = way(&policy::Policies::new(vec![policy]), ASKED);
        }
        let _ = (route::parse(&bytes), device::parse(&bytes), address::parse(&bytes));
    }
}
