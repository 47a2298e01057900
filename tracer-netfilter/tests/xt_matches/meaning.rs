//! What matches say of packets, against what the kernel says: the counter of each rule, packet by packet.

use std::net::IpAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracer_netfilter::evaluate::{MarkState, View};
use tracer_netfilter::ipset::IpSet;
use tracer_netfilter::model::{Backend, Elements, Hook};
use tracer_netfilter::packet::{Device, Mark, Packet};
use tracer_netfilter::world::{RouteAnswer, RouteQuestion, Unanswered};
use tracer_netfilter::{Family, Table, Truth, World};

use super::frames::{Random, frame};
use super::namespace::{inside, shell};
use super::{CHAIN, TABLE, cases, sockopt, tool};

const FRAMES: usize = 400;
/// Matches that need connection tracking, which would put fragments together, and those on sets.
const LEFT_OUT: [&str; 9] =
    ["-m conn", "-m state", "-m helper", "-m cluster", "-m socket", "-m set", "-m rateest", "-m nfacct", "-m recent"];
/// More that some of the frames match.
const MORE: &[&str] = &[
    "-p tcp -m tcp --sport 1:1024",
    "-p tcp -m tcp ! --dport 22",
    "-p tcp -m tcp --tcp-option 4",
    "-p udp -m udp --dport 53",
    "-p sctp -m sctp --chunk-types any DATA",
    "-p sctp -m sctp --chunk-types only DATA,SACK",
    "-p sctp -m sctp --dport 22",
    "-p sctp -m sctp --chunk-types all DATA,INIT",
    "-p sctp -m sctp ! --chunk-types any DATA:Be",
    "-p dccp -m dccp --dccp-types REQUEST,DATA",
    "-p dccp -m dccp --dccp-option 0",
    "-p dccp -m dccp --sport 1:1024",
    "-p tcp -m multiport --ports 22,80:500",
    "-p udp -m multiport ! --dports 53,1000:",
    "-m length --length 40:60",
    "-m string --string 'b' --algo kmp",
    "-m string --string xa --algo bm --icase",
    "-m string ! --string GET --algo bm --to 50",
    "-m pkttype --pkt-type broadcast",
    "-m pkttype ! --pkt-type multicast",
    "-m mac --mac-source 02:00:00:00:00:01",
    "-m dscp --dscp 0",
    "-m tos --tos 0x10/0x10",
    "-m ecn --ecn-ip-ect 0",
    "-p tcp -m ecn --ecn-tcp-cwr",
    "-p tcp -m tcpmss --mss 1:1460",
    "-p tcp -m tcpmss ! --mss 1460",
    "-m u32 --u32 '0>>22&0x3C@0>>16=22,53,80'",
    "-m u32 --u32 '40=0:0xffffff'",
    "-m rpfilter",
    "-m rpfilter --loose",
    "-m rpfilter --accept-local",
    "-m rpfilter --loose --accept-local --invert",
    "-m addrtype --src-type LOCAL",
    "-m addrtype ! --dst-type LOCAL",
    "-m addrtype --dst-type MULTICAST",
    "-m addrtype --src-type UNICAST",
    "-m devgroup --src-group 0",
    "-i v+",
    "! -i v0",
    "-m devgroup ! --src-group 1/1",
    "-m statistic --mode nth --every 1 --packet 0",
    "-p esp -m esp ! --espspi 0:299",
    "-p ipcomp -m ipcomp --ipcompspi 22",
    "-p ah",
    "! -p tcp",
    "-m owner ! --socket-exists",
    "-m quota --quota 44",
];
const MORE_IPV4: &[&str] = &[
    "-s 10.0.0.0/8",
    "! -d 10.9.0.0/16",
    "-m iprange --src-range 10.9.0.1-10.9.0.2",
    "-m ttl --ttl-lt 64",
    "-p icmp -m icmp --icmp-type any",
    "-p icmp -m icmp --icmp-type 3",
    "-p icmp -m icmp ! --icmp-type 8/0",
    "-m addrtype --dst-type BROADCAST",
    "-m addrtype --dst-type BROADCAST --limit-iface-in",
    "-p ah -m ah --ahspi 0:5",
];
const MORE_IPV6: &[&str] = &[
    "-s fd09::/16",
    "! -d fd09::2",
    "-m iprange ! --dst-range fd00::-fdff::",
    "-m hl --hl-gt 5",
    "-m rt --rt-type 0",
    "-m rt --rt-segsleft 1",
    "-m rt ! --rt-len 24",
    "-m rt --rt-type 0 --rt-0-res",
    "-m rt --rt-type 0 --rt-0-addrs ::1",
    "-m rt --rt-type 0 --rt-0-addrs ::1 --rt-0-not-strict",
    "-m frag --fragid 1",
    "-m frag --fragfirst --fragmore",
    "-m frag --fraglast",
    "-m hbh --hbh-len 8",
    "-m hbh --hbh-opts 5:2",
    "-m dst --dst-opts 5",
    "-m dst --dst-opts 1:4",
    "-m ipv6header --header hop --soft",
    "-m ipv6header --header prot",
    "-m ah --ahspi 1",
    "-m ipv6header ! --header frag,prot",
    "-m ah --ahlen 12",
    "-p mh -m mh --mh-type 5:6",
    "-m addrtype --src-type UNREACHABLE",
    "-p icmpv6 -m icmp6 --icmpv6-type 1",
    "-p icmpv6 -m icmp6 ! --icmpv6-type 128/0",
    "-m addrtype --dst-type UNICAST",
];

/// The namespace's end of the wire: 10.9.0.2/24 and fd09::2/64.
pub(crate) struct Node {
    pub(crate) device: u32,
}

impl World for Node {
    fn elements(&self, _: &Table, _: &str) -> Result<Arc<Elements>, Unanswered> {
        Err("the elements".to_owned())
    }

    fn ipset(&self, index: u16) -> Result<Arc<IpSet>, Unanswered> {
        Err(format!("set {index}"))
    }

    fn address_kind(&self, address: IpAddr, device: u32) -> Result<u8, Unanswered> {
        Ok(match address {
            _ if ![0, self.device].contains(&device) => 1,
            IpAddr::V4(address) if address.octets() == [10, 9, 0, 2] => 2,
            IpAddr::V4(address) if address.is_broadcast() || address.octets() == [10, 9, 0, 255] => 3,
            IpAddr::V4(address) if address.is_multicast() => 5,
            IpAddr::V4(_) => 1,
            IpAddr::V6(address) if address.to_string() == "fd09::2" => 2,
            IpAddr::V6(address) if matches!(address.segments()[0], 0xfd09 | 0xfe80 | 0xff02) => 1,
            IpAddr::V6(_) => 7,
        })
    }

    fn route(&self, question: &RouteQuestion) -> Result<RouteAnswer, Unanswered> {
        let kind = self.address_kind(question.destination, 0)?;
        let is_near = match question.destination {
            IpAddr::V4(address) => address.octets().starts_with(&[10, 9, 0]),
            IpAddr::V6(_) => kind == 1,
        };
        Ok(match kind {
            2 => RouteAnswer { output: 1, kind },
            1 if is_near => RouteAnswer { output: self.device, kind },
            _ => RouteAnswer { output: 0, kind: 7 },
        })
    }

    fn device(&self, _: u32) -> Result<Device, Unanswered> {
        Err("the device".to_owned())
    }
}

/// The end of the wire that frames are put on.
pub(crate) struct Wire {
    socket: OwnedFd,
    index: i32,
}

impl Wire {
    pub(crate) fn open(index: u32) -> Self {
        // SAFETY: makes a socket, or fails.
        let socket = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        assert!(socket >= 0);
        // SAFETY: the descriptor was just made and has no other owner.
        Self { socket: unsafe { OwnedFd::from_raw_fd(socket) }, index: index.cast_signed() }
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: a structure of integers and arrays of them, for which zeros are values.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = self.index;
        let size = size_of_val(&to) as libc::socklen_t;
        let (bytes, length) = (frame.as_ptr().cast(), frame.len());
        // SAFETY: both pointers are to memory of the lengths that go with them.
        let sent = unsafe { libc::sendto(self.socket.as_raw_fd(), bytes, length, 0, (&raw const to).cast(), size) };
        assert_eq!(sent, length.cast_signed(), "{}", std::io::Error::last_os_error());
    }
}

/// Index and hardware address of a device.
pub(crate) fn link(name: &str) -> (u32, [u8; 6]) {
    let line = shell(&format!("ip -o link show {name}")).unwrap();
    let index = line.split(':').next().unwrap().parse().unwrap();
    let address = line.split("link/ether ").nth(1).unwrap().split(' ').next().unwrap();
    let bytes: Vec<_> = address.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    (index, bytes.try_into().unwrap())
}

/// Counters of all rules as soon as the first one has seen another packet; `None` if it sees none.
pub(crate) fn counters_behind(family: Family, table: &str, seen: u64) -> Option<Vec<u64>> {
    let end = Instant::now() + Duration::from_millis(300);
    while Instant::now() < end {
        let counters: Vec<_> = sockopt::rules(family, table, CHAIN).iter().map(|rule| rule.packets).collect();
        if counters[0] > seen {
            return Some(counters);
        }
    }
    None
}

/// Makes the wire.
pub(crate) fn set_up_wire() {
    shell("ip link add v0 type veth peer name v1 && sysctl -qw net.ipv6.conf.v1.disable_ipv6=1").unwrap();
    shell("ip link set v1 up && ip addr add 10.9.0.2/24 dev v0").unwrap();
    shell("ip addr add fd09::2/64 dev v0 nodad && ip link set v0 up && ip link set lo up").unwrap();
}

/// Makes the rules: one for all first and last, and between them those that may stand here.
fn set_up_rules(family: Family) -> Vec<&'static str> {
    let tool = tool(family, "legacy");
    shell(&format!("{tool} -N {CHAIN} && {tool} -A PREROUTING -i v0 -j {CHAIN} && {tool} -A {CHAIN}")).unwrap();
    let own = if family == Family::Ip6 { MORE_IPV6 } else { MORE_IPV4 };
    let more = MORE.iter().chain(own).copied();
    let rules = cases::of(family, "legacy").filter(|rule| !LEFT_OUT.iter().any(|out| rule.contains(out)));
    let kept = rules.chain(more).filter(|rule| shell(&format!("{tool} -A {CHAIN} {rule}")).is_ok()).collect();
    shell(&format!("{tool} -A {CHAIN}")).unwrap();
    kept
}

pub(crate) fn ask(rule: &sockopt::Rule, packet: &Packet, node: &Node, table: &Table) -> Truth {
    let mark = MarkState::new(Mark::Before(0), true);
    let (world, hook): (&dyn World, _) = (node, Hook::Prerouting);
    let mut view = View { packet, world, hook, table, mark, connection_mark: mark, no_track: false };
    rule.matches.iter().fold(rule.header.matches(&view), |truth, part| truth.and(part.matches(&mut view)))
}

fn check(family: Family) {
    inside(|| {
        set_up_wire();
        let rules = set_up_rules(family);
        let (index, address) = link("v0");
        let (node, wire) = (Node { device: index }, Wire::open(link("v1").0));
        let device = Device {
            index: node.device,
            name: "v0".to_owned(),
            hardware: Some(1),
            group: Some(0),
            ..Device::default()
        };
        let table = Table::new(Backend::Legacy, family, TABLE);
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        let mut before: Vec<_> = sockopt::rules(family, TABLE, CHAIN).iter().map(|rule| rule.packets).collect();
        let (mut wrong, mut arrived, mut decided, mut matched) = (Vec::new(), 0, 0, 0);
        for _ in 0..FRAMES {
            let packet = frame(&mut random, family == Family::Ip6, &device, address);
            wire.send(&packet.bytes);
            let Some(after) = counters_behind(family, TABLE, before[0]) else { continue };
            arrived += 1;
            let read = sockopt::rules(family, TABLE, CHAIN);
            // A match that can't read what it asks for drops the packet there and then.
            let is_through = after.last() > before.last();
            for (index, rule) in read.iter().enumerate().skip(1).take(rules.len()) {
                let counted = after[index] > before[index];
                let said = ask(rule, &packet, &node, &table);
                let is_wrong = match said {
                    Truth::Yes => is_through && !counted,
                    Truth::No => counted,
                    Truth::Unknown(_) => continue,
                };
                decided += 1;
                matched += usize::from(counted);
                if is_wrong {
                    wrong.push(format!("{}: {said:?}, the kernel {counted}: {:02x?}", rules[index - 1], packet.bytes));
                }
            }
            before = after;
        }
        println!("{} rules, {arrived} packets, {decided} answers of which {matched} yes", rules.len());
        assert!(rules.len() > 150 && arrived > FRAMES / 2 && matched > 5_000, "too few to tell");
        assert!(
            wrong.is_empty(),
            "{} wrong answers, such as\n{}",
            wrong.len(),
            wrong[..wrong.len().min(20)].join("\n")
        );
    });
}

#[test]
fn matches_hold_for_the_packets_that_the_kernel_counts() {
    check(Family::Ip);
}

#[test]
fn matches_hold_for_the_ipv6_packets_that_the_kernel_counts() {
    check(Family::Ip6);
}
