//! Matches on what is around a packet: devices, addresses, routes, sockets, rates.

use super::*;
use crate::packet::Socket;
use Truth::{No, Yes};

#[test]
fn marks_are_asked_bit_by_bit() {
    let mark = |value: u32, mask: u32, inverted| {
        decode4("mark", 1, &[&value.to_ne_bytes()[..], &mask.to_ne_bytes(), &[inverted]].concat())
    };
    assert_eq!(ask(&mark(0x400, 0x400, 0), &syn()), Yes);
    assert_eq!(ask(&mark(0x400, 0x400, 1), &syn()), No);
    assert_eq!(ask(&mark(0, 0x200, 0), &syn()), Yes);
    let forgotten = ask_at(Hook::Input, "filter", &mark(1, 1, 1), &syn(), |view| view.mark.forget(1));
    assert_eq!(forgotten, Truth::unknown("the packet's mark on the way"), "inverted too");
}

#[test]
fn kinds_of_addresses() {
    let kinds = |source: u16, destination: u16, flags: u32| {
        let start = [&source.to_ne_bytes()[..], &destination.to_ne_bytes(), &flags.to_ne_bytes()].concat();
        decode4("addrtype", 1, &start)
    };
    assert_eq!(ask(&kinds(0, 1 << 2, 0), &syn()), Yes, "10.0.0.2 is ours");
    assert_eq!(ask(&kinds(1 << 2, 0, 0), &syn()), No);
    assert_eq!(ask(&kinds(1 << 2, 1 << 2, 1), &syn()), Yes, "the source is not");
    assert_eq!(ask(&kinds(0, 1 << 2, 2), &syn()), No);
}

#[test]
fn a_way_back() {
    let rpfilter = |flags| decode4("rpfilter", 0, &[flags]);
    assert_eq!(ask(&rpfilter(0), &syn()), Yes, "10.0.0.1 is reached by the device it came in by");
    let mut other = syn();
    other.input = device(3, "eth1");
    assert_eq!((ask(&rpfilter(0), &other), ask(&rpfilter(8), &other)), (No, Yes));
    assert_eq!(ask(&rpfilter(1), &other), Yes, "loose");
    let mut ours = syn();
    ours.source = Some("10.0.0.2".parse().unwrap());
    assert_eq!((ask(&rpfilter(1), &ours), ask(&rpfilter(5), &ours)), (No, Yes), "our own address from outside");
    ours.input = device(1, "lo");
    assert_eq!(ask(&rpfilter(0), &ours), Yes, "loopback is not looked at");
}

#[test]
fn owners_of_sockets() {
    let owner = |asked, inverted| {
        let range = |id: u32| [id.to_ne_bytes(), id.to_ne_bytes()].concat();
        decode4("owner", 1, &[range(1000), range(5), vec![asked, inverted]].concat())
    };
    assert_eq!((ask(&owner(1, 0), &syn()), ask(&owner(1, 1), &syn())), (No, Yes), "there is no socket");
    let mut sent = syn();
    sent.socket = Known::Is(Socket { user: Some(1000), group: None, cgroup: None });
    assert_eq!((ask(&owner(1, 0), &sent), ask(&owner(1, 1), &sent)), (Yes, No));
    assert_eq!(ask(&owner(3, 0), &sent), Truth::unknown("the group of its socket"));
    assert_eq!(ask(&owner(3, 1), &sent), No, "the user decides");
    assert_eq!((ask(&owner(4, 0), &sent), ask(&owner(4, 4), &sent)), (Yes, No));
}

#[test]
fn ports_of_a_bridge() {
    let physdev = |asked, inverted| {
        let mut start = vec![0; 64];
        start[..5].copy_from_slice(b"port1");
        start[16..22].fill(0xff);
        start.extend_from_slice(&[inverted, asked]);
        decode4("physdev", 0, &start)
    };
    assert_eq!((ask(&physdev(1, 0), &syn()), ask(&physdev(1, 1), &syn())), (No, Yes), "not bridged");
    assert_eq!(ask(&physdev(5, 4), &syn()), No);
    let mut bridged = syn();
    (bridged.bridge_input, bridged.bridge_output) = (device(5, "port1"), Known::Absent);
    assert_eq!((ask(&physdev(1, 0), &bridged), ask(&physdev(1, 1), &bridged)), (Yes, No));
    assert_eq!((ask(&physdev(4, 0), &bridged), ask(&physdev(4, 4), &bridged)), (No, Yes), "it goes to no port");
    bridged.bridge_output = device(6, "port2");
    assert_eq!((ask(&physdev(4, 0), &bridged), ask(&physdev(8 | 16, 0), &bridged)), (Yes, Yes));
}

#[test]
fn what_hangs_on_other_packets_is_unknown() {
    let unknown = |name, start: &[u8]| ask(&decode4(name, 0, start), &syn());
    assert_eq!(unknown("limit", &[1]), Truth::unknown("the rate so far (limit)"));
    assert_eq!(unknown("statistic", &[0, 0, 1, 0, 1]), Truth::unknown("chance (statistic)"), "inverted too");
    assert_eq!((unknown("statistic", &[1]), unknown("statistic", &[0])), (Yes, No), "each one, and none at all");
    assert_eq!(ask(&decode4("recent", 1, &[0, 0, 0, 0, 0, 0, 0, 0, 2]), &syn()), Yes, "--set");
    assert_eq!(unknown("quota", &[0]), No, "nothing fits into it");
    assert_eq!(ask(&decode4("set", 4, &[7, 0, 1, 2]), &syn()), Truth::unknown("set 7"));
    assert_eq!((unknown("comment", b"x"), unknown("nfacct", b"x")), (Yes, Yes));
    assert_eq!(unknown("no such", &[]), Truth::unknown("the match no such"));
}

#[test]
fn names_of_sets_are_the_readers_to_find() {
    let set = decode4("set", 1, &[7, 0, 2, 0b11]);
    assert_eq!((set.set(), set.text(Family::Ip).as_str()), (Some(7), "-m set ! --match-set #7 src,dst"));
    let name = |index| (index == 7).then(|| "bl".to_owned());
    assert_eq!(set.text_naming(Family::Ip, &name), "-m set ! --match-set bl src,dst");
    assert_eq!(decode4("comment", 0, b"hello").comment(), Some("hello"));
}
