//! Types that few kernels have, from bytes as the kernel writes them, what is not known of a packet, and hostile bytes.

use std::net::IpAddr;

use super::decode::{NamedMember, Reading};
use super::*;
use crate::netlink::Attributes;
use crate::packet::{Device, ETH_P_IP, ETH_P_IPV6, Known, Mark};

const NESTED: u16 = 0x8000;
const NETWORK_ORDER: u16 = 0x4000;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A number in network order.
fn number(kind: u16, value: &[u8]) -> Vec<u8> {
    attribute(kind | NETWORK_ORDER, value)
}

fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &parts.concat())
}

fn address(kind: u16, address: &str) -> Vec<u8> {
    nested(
        kind,
        &[match address.parse().unwrap() {
            IpAddr::V4(address) => number(1, &address.octets()),
            IpAddr::V6(address) => number(2, &address.octets()),
        }],
    )
}

fn net(kinds: (u16, u16), net: &str) -> Vec<u8> {
    let (of, prefix) = net.split_once('/').unwrap();
    [address(kinds.0, of), attribute(kinds.1, &[prefix.parse().unwrap()])].concat()
}

const FIRST: (u16, u16) = (1, 3);
const SECOND: (u16, u16) = (20, 21);
const NOMATCH: [u8; 4] = [0, 0, 0, 4];

fn nomatch() -> Vec<u8> {
    number(8, &NOMATCH)
}

fn port(protocol: u8, port: u16) -> Vec<u8> {
    [number(4, &port.to_be_bytes()), attribute(7, &[protocol])].concat()
}

/// The first message of a set.
fn message(type_name: &str, family: u8, header: &[Vec<u8>], members: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|member| nested(7, member)).collect();
    [
        attribute(1, &[7]),
        attribute(2, b"s\0"),
        attribute(3, format!("{type_name}\0").as_bytes()),
        attribute(5, &[family]),
        attribute(4, &[3]),
        number(11, &[0, 9]),
        nested(7, header),
        nested(8, &members),
    ]
    .concat()
}

fn read(messages: &[Vec<u8>]) -> Result<(IpSet, Vec<NamedMember>), IpSetError> {
    let mut reading = Reading::default();
    for message in messages {
        reading.take(Attributes::new(message));
    }
    reading.finish()
}

fn set(type_name: &str, family: u8, header: &[Vec<u8>], members: &[Vec<Vec<u8>>]) -> IpSet {
    let (set, named) = read(&[message(type_name, family, header, members)]).unwrap();
    assert!(named.is_empty());
    set
}

/// TCP from port 1000 to port 80, after an Ethernet header.
fn packet(source: &str, destination: &str) -> Packet {
    let (source, destination): (IpAddr, IpAddr) = (source.parse().unwrap(), destination.parse().unwrap());
    let mut bytes = vec![0; 54];
    bytes[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9]);
    Packet {
        ethertype: if source.is_ipv4() { ETH_P_IP } else { ETH_P_IPV6 },
        bytes,
        link: Some(0),
        network: Some(14),
        transport: Some(34),
        protocol: Some(6),
        fragment_offset: 0,
        length: Some(40),
        source: Some(source),
        destination: Some(destination),
        source_port: Some(1000),
        destination_port: Some(80),
        input: Known::Unknown,
        output: Known::Unknown,
        bridge_input: Known::Unknown,
        bridge_output: Known::Unknown,
        mark: Mark::Before(0x1234),
        connection: Known::Unknown,
        socket: Known::Unknown,
        packet_type: None,
        vlan: None,
        cpu: None,
    }
}

const BOTH: [bool; 2] = [true, false];

#[test]
fn of_two_nets_the_more_specific_first_one_decides() {
    let members = [
        vec![net(FIRST, "10.0.0.0/8"), net(SECOND, "0.0.0.0/0")],
        vec![net(FIRST, "10.1.0.0/16"), net(SECOND, "192.168.0.0/16"), nomatch()],
        vec![net(FIRST, "10.1.0.0/16"), net(SECOND, "192.168.7.0/24")],
    ];
    let set = set("hash:net,net", 2, &[], &members);
    let asked = |source, destination| set.test(&packet(source, destination), &BOTH);
    assert_eq!(asked("10.2.0.1", "8.8.8.8"), Truth::Yes);
    assert_eq!(asked("10.1.0.1", "192.168.1.1"), Truth::No, "excepted");
    assert_eq!(asked("10.1.0.1", "192.168.7.1"), Truth::Yes, "an exception of the exception");
    assert_eq!(asked("10.1.0.1", "9.9.9.9"), Truth::Yes, "the exception is for another destination");
    assert_eq!(asked("11.0.0.1", "8.8.8.8"), Truth::No);
    assert_eq!(set.test(&packet("10.2.0.1", "8.8.8.8"), &[true]), Truth::No, "too few directions");
    assert_eq!(set.test(&packet("fd00::1", "fd00::2"), &BOTH), Truth::No, "another family");
    let printed: Vec<_> = set.members().iter().map(ToString::to_string).collect();
    assert!(printed.contains(&"10.1.0.0/16,192.168.0.0/16 nomatch".to_owned()), "{printed:?}");
    assert!(printed.contains(&"10.0.0.0/8,0.0.0.0/0".to_owned()), "{printed:?}");
}

#[test]
fn a_bitmask_leaves_the_bits_that_count() {
    let header = [address(12, "255.0.255.0")];
    let set = set("hash:ip", 2, &header, &[vec![address(1, "10.0.7.0")]]);
    assert_eq!(set.test(&packet("10.99.7.5", "::ffff"), &[true]), Truth::Yes);
    assert_eq!(set.test(&packet("10.99.8.5", "::ffff"), &[true]), Truth::No);
}

#[test]
fn nets_with_a_port_between() {
    let member = vec![net(FIRST, "fd00::/16"), port(6, 80), net(SECOND, "fd01::/32")];
    let set = set("hash:net,port,net", 10, &[], &[member]);
    let packet = packet("fd00:9::1", "fd01::2");
    assert_eq!(set.test(&packet, &[true, false, false]), Truth::Yes);
    assert_eq!(set.test(&packet, &[true, true, false]), Truth::No, "the source port is another");
    assert_eq!(set.members()[0].to_string(), "fd00::/16,tcp:80,fd01::/32");
}

#[test]
fn macs_are_those_of_the_ethernet_header() {
    let mac = attribute(17, &[2, 0, 0, 0, 0, 9]);
    let set_of_macs = set("hash:mac", 0, &[], &[vec![mac.clone()]]);
    let with_address = set("hash:ip,mac", 2, &[], &[vec![address(1, "10.0.0.1"), mac]]);
    let mut packet = packet("10.0.0.1", "10.0.0.2");
    assert_eq!(set_of_macs.test(&packet, &[true]), Truth::Yes);
    assert_eq!(set_of_macs.test(&packet, &[false]), Truth::No, "the destination's is another");
    assert_eq!(with_address.test(&packet, &[true, true]), Truth::Yes);
    assert_eq!(with_address.test(&packet, &[false, true]), Truth::No);
    assert_eq!(with_address.members()[0].to_string(), "10.0.0.1,02:00:00:00:00:09");

    packet.link = None;
    assert_eq!(set_of_macs.test(&packet, &[true]), Truth::unknown("the packet's Ethernet header"));
    packet.input = Known::Absent;
    assert_eq!(set_of_macs.test(&packet, &[true]), Truth::No, "sent from here: it has none yet");
}

#[test]
fn marks_are_compared_under_the_mask_of_the_set() {
    let header = [attribute(11, &0xff00u32.to_ne_bytes())];
    let member = vec![address(1, "10.0.0.1"), number(10, &0x1200u32.to_be_bytes())];
    let set = set("hash:ip,mark", 2, &header, &[member]);
    let mut packet = packet("10.0.0.1", "10.0.0.2");
    assert_eq!(set.test(&packet, &[true, true]), Truth::Yes);
    packet.mark = Mark::Before(0x1334);
    assert_eq!(set.test(&packet, &[true, true]), Truth::No);
    packet.mark = Mark::After(0x1234);
    assert_eq!(set.test(&packet, &[true, true]), Truth::unknown("the packet's mark on the way"));
    packet.source = "10.0.0.7".parse().ok();
    assert_eq!(set.test(&packet, &[true, true]), Truth::No, "whatever the mark");
    assert_eq!(set.members()[0].to_string(), "10.0.0.1,0x00001200");
}

#[test]
fn what_is_not_known_matters_only_where_a_member_could_hold() {
    let members = [
        vec![net(FIRST, "10.0.0.0/8"), port(6, 80)],
        vec![net(FIRST, "10.1.0.0/16"), port(17, 53), nomatch()],
        vec![net(FIRST, "172.16.0.0/12"), port(6, 80), nomatch()],
    ];
    let set = set("hash:net,port", 2, &[], &members);
    let unknown = Truth::unknown("the packet's destination port");
    let mut packet = packet("10.1.2.3", "1.1.1.1");
    (packet.destination_port, packet.transport) = (None, None);
    assert_eq!(set.test(&packet, &BOTH), unknown);
    packet.protocol = None;
    assert_eq!(set.test(&packet, &BOTH), unknown);
    packet.source = "192.168.0.1".parse().ok();
    assert_eq!(set.test(&packet, &BOTH), Truth::No, "no member has the address");
    packet.source = "172.16.0.1".parse().ok();
    assert_eq!(set.test(&packet, &BOTH), Truth::No, "only an exception has it");
    packet.source = None;
    assert_eq!(set.test(&packet, &BOTH), Truth::unknown("the packet's source address"));
    packet.fragment_offset = 185;
    assert_eq!(set.test(&packet, &BOTH), Truth::No, "a later fragment has no port");
}

#[test]
fn ports_of_a_header_that_is_cut_are_in_no_set() {
    let set = set("hash:ip,port", 2, &[], &[vec![address(1, "10.0.0.1"), port(6, 80)]]);
    let mut packet = packet("10.0.0.1", "10.0.0.2");
    assert_eq!(set.test(&packet, &BOTH), Truth::Yes);
    packet.length = Some(39);
    assert_eq!(set.test(&packet, &BOTH), Truth::No);
}

#[test]
fn the_first_net_with_any_device_ends_the_search() {
    let device = |name: &[u8]| attribute(23, name);
    let members = [
        vec![net(FIRST, "10.0.0.0/8"), device(b"eth0\0")],
        vec![net(FIRST, "10.1.0.0/16"), device(b"eth1\0")],
        vec![net(FIRST, "10.2.0.0/16"), device(b"br\0"), number(8, &[0, 0, 0, 0x80])],
        vec![net(FIRST, "10.3.0.0/16"), device(b"eth1\0"), number(8, &[0, 0, 0, 2])],
    ];
    let set = set("hash:net,iface", 2, &[], &members);
    let asked = |source, name: &str, options| {
        let mut packet = packet(source, "1.1.1.1");
        packet.input = Known::Is(Device { name: name.into(), ..Device::default() });
        packet.bridge_input = packet.input.clone();
        set.find(&packet, &[true, true], options).truth
    };
    let plain = Options::default();
    assert_eq!(asked("10.9.0.1", "eth0", plain), Truth::Yes);
    assert_eq!(asked("10.1.0.1", "eth0", plain), Truth::No, "10.1.0.0/16 is there, for another device");
    assert_eq!(asked("10.1.0.1", "eth1", plain), Truth::Yes);
    assert_eq!(asked("10.2.0.1", "br-lan", plain), Truth::Yes);
    assert_eq!(asked("10.3.0.1", "eth0", plain), Truth::Yes, "ports of bridges are another matter");
    assert_eq!(asked("10.3.0.1", "eth1", plain), Truth::No);
    assert_eq!(asked("10.3.0.1", "eth1", Options::from_flags(1 << 1)), Truth::Yes);
    let mut packet = packet("10.9.0.1", "1.1.1.1");
    packet.input = Known::Absent;
    assert_eq!(set.test(&packet, &[true, true]), Truth::No);
    assert_eq!(set.test(&packet, &[true, false]), Truth::unknown("the output device"));
}

#[test]
fn a_list_is_as_unknown_as_its_members() {
    let nets = Arc::new(set("hash:net", 2, &[], &[vec![net(FIRST, "10.0.0.0/8")]]));
    let list = |sets| IpSet::new("l", "list:set", None).unwrap().with_sets(sets);
    let listed = |name: &str, set| Listed { name: name.into(), set, extensions: None };
    let gone = || listed("x", Err(IpSetError::Gone));
    let set = list(vec![gone(), listed("nets", Ok(Arc::clone(&nets)))]);
    assert_eq!(set.test(&packet("10.0.0.1", "1.1.1.1"), &[true]), Truth::Yes);
    let Truth::Unknown(what) = set.test(&packet("11.0.0.1", "1.1.1.1"), &[true]) else { panic!() };
    assert!(what.starts_with("the members of the set x: there is no such set"), "{what}");

    // The kernel makes no such thing; it ends all the same.
    let mut nesting = Arc::new(list(vec![listed("nets", Ok(nets))]));
    for _ in 0..10 {
        nesting = Arc::new(list(vec![listed("l", Ok(nesting))]));
    }
    assert!(matches!(nesting.test(&packet("10.0.0.1", "1.1.1.1"), &[true]), Truth::Unknown(_)));
}

#[test]
fn a_set_comes_in_several_messages_and_lists_name_their_members() {
    let first = message("list:set", 0, &[], &[vec![attribute(18, b"a\0")]]);
    let further = [attribute(2, b"s\0"), nested(8, &[nested(7, &[attribute(18, b"b\0"), attribute(26, b"why\0")])])];
    let (set, named) = read(&[first, further.concat()]).unwrap();
    assert_eq!((set.name.as_str(), set.index, set.revision), ("s", Some(9), 3));
    assert_eq!(named.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(named[1].1.as_ref().unwrap().comment.as_deref(), Some("why"));
}

#[test]
fn answers_that_make_no_sense_are_refused() {
    let of = |kind, member: Vec<u8>| read(&[message(kind, 2, &[], &[vec![member]])]).map(|(set, _)| set.len());
    assert_eq!(of("hash:dog", address(1, "1.1.1.1")), Err(IpSetError::Type("hash:dog".into())));
    assert_eq!(
        of("hash:net", net(FIRST, "1.1.1.1/33")),
        Err(IpSetError::Malformed("a prefix is longer than its address"))
    );
    assert_eq!(of("hash:ip,port", address(1, "1.1.1.1")), Err(IpSetError::Malformed("a member lacks a part")));
    assert_eq!(of("hash:ip", attribute(1, &[])), Err(IpSetError::Malformed("an address")));
    assert_eq!(of("hash:ip", address(1, "1.1.1.1")), Ok(1));
    assert_eq!(read(&[]).map(|_| ()), Err(IpSetError::Malformed("it does not say what the set is")));
}

#[test]
fn members_are_small() {
    // 100,000 of them are 7 MB.
    assert_eq!(size_of::<Member>(), 72);
}

#[test]
fn hostile_bytes_never_panic() {
    let extensions = [
        number(6, &[0, 0, 1, 0]),
        number(24, &[1; 8]),
        attribute(26, b"say\0"),
        number(27, &[2; 8]),
        number(28, &[3; 4]),
        number(29, &[0, 4]),
    ]
    .concat();
    let header = [attribute(20, &[24]), number(6, &[0, 0, 0, 9])];
    let member = vec![net(FIRST, "10.0.0.0/8"), port(1, 0x800), net(SECOND, "10.1.0.0/16"), extensions, nomatch()];
    let good = message("hash:net,port,net", 2, &header, &[member.clone(), member]);
    assert!(read(std::slice::from_ref(&good)).is_ok());
    let packet = packet("10.0.0.1", "10.1.0.1");
    let (mut state, mut read_well) = (0x9e37_79b9_7f4a_7c15u64, 0);
    for _ in 0..50_000 {
        let mut bytes = good.clone();
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = (state >> 32) as usize % bytes.len();
            bytes[at] = state as u8;
        }
        bytes.truncate(good.len() - (state >> 8) as usize % 8);
        if let Ok((set, _)) = read(&[bytes]) {
            read_well += 1;
            let _ = (set.test(&packet, &[true, false, true]), set.test(&packet, &[false; 6]));
            let _ = (set.evidence(&packet, &[true; 3], Options::default()), format!("{:?}", set.members()[..].first()));
            set.members().iter().for_each(|member| drop(member.to_string()));
        }
    }
    assert!((1_000..50_000).contains(&read_well), "{read_well}");
}
